"""`causal_iqa.score`: the quality of any images in one call, for notebooks; the command `score` is made of the same."""

import concurrent.futures
import dataclasses
import functools
import html
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from causal_iqa import _checks, _kept_programs, backbones, data, pipeline
from causal_iqa.analysis import datasets
from causal_iqa.report import dataset_files, dataset_words

NONE = "none"
# Trained on labelled photographs (extra imagenet); its own class vectors serve as anchors.
PHOTOGRAPHS = "efficientnet_lite0"
_EXECUTION = pipeline.Execution()
Path: TypeAlias = str | os.PathLike[str]
Images: TypeAlias = Path | data.Source | np.ndarray | Sequence[Path] | Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True)
class ScoredImages:
    """What `score` gives.

    Attributes:
      table: a row per image; docs/score.md has the columns.
      findings: distributions, expected accuracy, reject curves, comparisons.
      remarks: lines that a reader should see before any number.
      skipped: (set, id, reason) of unreadable images.
      scored: the scores as they were computed.
      sets: where the images are.
    """

    table: pa.Table
    findings: datasets.DatasetFindings
    remarks: tuple[str, ...]
    skipped: tuple[tuple[str, str, str], ...]
    scored: pipeline.Scored = dataclasses.field(repr=False)
    sets: tuple[data.ImageSet, ...] = dataclasses.field(repr=False)
    found: datasets.Found = dataclasses.field(repr=False)

    @property
    def quality(self) -> np.ndarray:
        """Quality of every row, float32 [n], higher is better, NaN where undefined."""
        return self.table["quality"].to_numpy()

    def __str__(self) -> str:
        return "\n".join([*self.remarks, dataset_words.terminal(self.findings, None, ())])

    def _repr_html_(self) -> str:
        """Returns the remarks and the findings of every set as a table, for notebooks."""
        return "".join([*(f"<p>{html.escape(one)}</p>" for one in self.remarks), self.findings._repr_html_()])

    def write(self, folder: Path) -> None:
        """Writes report.html, scores.parquet, summary.json and below_threshold.txt into a folder, made when missing."""
        target = pathlib.Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _checks.InputError(f"folder: {target} cannot be made: {error.strerror}") from error
        dataset_files.write(target, self.scored, self.sets, self.found, settings={})


def default_backbones() -> tuple[tuple[pipeline.NetworkChoice, ...], str]:
    """Chooses the backbone where the user names none: EfficientNet-Lite0 where it is installed.

    Returns:
      (backbones, a line that says so or how to get one).
    """
    try:
        backbones.bundled(PHOTOGRAPHS)
    except _checks.InputError:
        return (), (
            f"no --backbone given, and {PHOTOGRAPHS} is not installed: the label-free scores, which predict accuracy, "
            "are left out (pip install 'causal-iqa[imagenet]', or --backbone=ARCHITECTURE=FILE)"
        )
    chosen = (pipeline.NetworkChoice.parse(PHOTOGRAPHS),)
    return chosen, f"no --backbone given: {PHOTOGRAPHS} and its own classes score quality (--backbone=none uses none)"


@functools.cache
def diagnosis(num_devices: int | None = None) -> pipeline.Diagnose:
    """Returns what names the likely cause of poor quality.

    Args:
      num_devices: number of the local devices that share a batch, as of `pipeline.Execution`; None: all.
    """
    import jax

    from causal_iqa import diagnosis as room

    mesh = jax.sharding.Mesh(np.asarray(jax.local_devices()[:num_devices]), ("images",))
    model = jax.device_put(room.default_model(), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    names = np.asarray([*model.causes, room.OTHER], object)
    programs: dict[tuple[int, ...], _kept_programs.Program] = {}

    def said_of(pixels: np.ndarray) -> room.Diagnoses:
        """Each image is diagnosed alone: every device takes a part of the batch."""
        split = jax.sharding.PartitionSpec("images")

        def make() -> Callable:
            specs = (jax.sharding.PartitionSpec(), split)
            return jax.shard_map(_diagnosed, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)

        given = jax.device_put(pixels, jax.sharding.NamedSharding(mesh, split))
        if pixels.shape not in programs:
            devices = list(mesh.devices.flat)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                programs[pixels.shape] = _kept_programs.compiled(make, (model, given), _diagnosed, {}, devices, pool)
        return programs[pixels.shape](model, given)

    def diagnose(pixels: np.ndarray) -> dict[str, np.ndarray]:
        whole = -(-len(pixels) // mesh.size) * mesh.size
        filled = pixels if whole == len(pixels) else np.concatenate([pixels, pixels[: whole - len(pixels)]])
        said = jax.tree.map(lambda x: x[: len(pixels)], jax.device_get(said_of(filled)))
        every = np.concatenate([said.probabilities, said.unexplained[:, None]], axis=1)
        likely = every.argmax(axis=1)
        nothing = np.isin(names[likely], (room.NONE, room.OTHER))
        # Of one colour there is nothing to see, and whatever the model says of it means nothing.
        blank = (pixels == pixels[:, :1, :1]).all(axis=(1, 2, 3))
        every[blank] = np.nan
        causes = names[likely]
        causes[blank] = None
        return {
            "cause": causes,
            "cause_severity": np.where(nothing | blank, np.nan, said.severities).astype(np.float32),
            "cause_probability": every.max(axis=1).astype(np.float32),
            **{f"{pipeline.CAUSE_IS}{name}": every[:, i].astype(np.float16) for i, name in enumerate(names)},
        }

    return diagnose


def _diagnosed(model: Any, pixels: Any) -> Any:
    """Diagnoses of images uint8 [B, H, W, 3] as they are, brought to the side of the model."""
    import jax
    import jax.numpy as jnp

    from causal_iqa import diagnosis as room
    from causal_iqa import images

    def at_its_side(image: jax.Array) -> jax.Array:
        resized = images.resize(images.from_uint8(image), model.side, model.side)
        return jnp.clip(resized, 0.0, 1.0)

    return room.diagnose(model, jax.vmap(at_its_side)(pixels))


def open_images(images: Images | Mapping[str, Images], **options) -> tuple[data.ImageSet, ...]:
    """Opens what `score` takes.

    Args:
      images: a path, a source, arrays, a list of paths to images; or name -> any of these.
      **options: options of `data.open_sets`.

    Returns:
      The sets.

    Raises:
      InputError: when something cannot be opened; TypeError for what is none of these.
    """
    named = images if isinstance(images, Mapping) else {None: images}
    if not named:
        raise _checks.InputError("images: expected at least one set")
    sets = []
    for name, own in named.items():
        found = _open(own, functools.partial(data.open_sets, **options))
        sets.append(found if name is None else dataclasses.replace(found, name=str(name)))
    return tuple(sets)


def _open(images: Images, open_sets: Callable[[Sequence[str]], tuple[data.ImageSet, ...]]) -> data.ImageSet:
    if isinstance(images, str | os.PathLike):
        return open_sets([os.fspath(images)])[0]
    if isinstance(images, np.ndarray):
        return data.ImageSet("images", data.open_arrays(images))
    if isinstance(images, data.Source):
        return data.ImageSet(images.name, images, data.remarks(images))
    if isinstance(images, Sequence):
        if not images:
            raise _checks.InputError("images: expected at least one image, got an empty list")
        paths = [one for one in images if isinstance(one, str | os.PathLike)]
        if len(paths) == len(images):
            return data.ImageSet("images", data.open_files([os.fspath(one) for one in paths]))
        if not paths:
            return data.ImageSet("images", data.open_arrays([np.asarray(one) for one in images]))
    raise TypeError(f"images: expected a path, paths, arrays or a source, got {type(images).__name__}")


def score(
    images: Images | Mapping[str, Images],
    *,
    map: Path | None = None,
    backbones: Sequence[str] | None = None,
    networks: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    anchor_dataset: str | None = None,
    quality: str | None = None,
    reference: str | None = None,
    threshold: float | None = None,
    accuracy: float | None = None,
    image_size: int | None = None,
    data_dir: str | None = None,
    split: str | None = None,
    labels: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    execution: pipeline.Execution = _EXECUTION,
    progress: Callable[[int, int], None] | None = None,
) -> ScoredImages:
    """Scores images without labels or references, and interprets the scores.

    Args:
      images: a folder, an image, a file that lists paths, "tfds:NAME" or "folder:PATH" as the command takes them; a
        list of paths; arrays uint8 [H, W, 3] or floats in [0, 1], of any sizes; a source of `causal_iqa.data`; or
        name -> any of these, for several sets.
      map: folder of a finished run of `align`; images are scored as the run scored its own, and accuracy is expected.
      backbones: ARCHITECTURE, ARCHITECTURE=PATH or NAME=ARCHITECTURE=PATH each; None: the installed one, or the run's;
        empty: none.
      networks: networks in the same form, judged where images have labels.
      metrics: no-reference metrics; None: all.
      anchor_dataset: clean labelled images to compare with; None: the backbone's own class vectors.
      quality: the score that stands for quality; None: a label-free one where there is one.
      reference: the set that others are compared with; None: the first.
      threshold: score below which images are listed.
      accuracy: wanted, for a threshold that reaches it by the map.
      image_size: side in pixels at which images are scored.
      data_dir: folder of the prepared TFDS datasets.
      split: split of a TFDS dataset.
      labels: file with one class per line in label order; folders are then class folders.
      level: confidence level of the intervals.
      seed: seed of every random choice.
      execution: how it runs.
      progress: called with (images done, images in all).

    Returns:
      The scores and the findings; `print` says the main thing, `write(folder)` writes the report.

    Raises:
      InputError: for anything missing or contradictory, or when no image can be read.

    Examples:
      >>> import numpy as np
      >>> noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
      >>> score(noise, backbones=[], metrics=["entropy"]).table["entropy"].to_numpy().shape
      (4,)
    """
    request = datasets.Request(quality, reference, threshold, accuracy, level, seed)
    check_values(request)
    options = {"data_dir": data_dir, "split": split, "classes": labels}
    sets = open_images(images, **options)
    remark = ""
    if backbones is not None:
        chosen = tuple(pipeline.NetworkChoice.parse(text) for text in backbones)
    elif map is not None:
        chosen = ()
    else:
        chosen, remark = default_backbones()
    config = pipeline.ScoringConfig(
        metrics=pipeline.NO_REFERENCE if metrics is None else tuple(metrics),
        backbones=chosen,
        networks=tuple(pipeline.NetworkChoice.parse(text) for text in networks),
        anchor_dataset=anchor_dataset,
        image_size=image_size,
        seed=seed,
    )
    run = None if map is None else pipeline.read_run(map)
    work = prepare(config, run, execution, sets)
    check_request(work, request)
    keeper = pipeline.InMemory()
    stamps = pipeline.score_sets(work, keeper, execution, progress=progress, diagnose=diagnosis(execution.num_devices))
    scored = pipeline.read_sets(work, keeper, stamps)
    found = find(scored, request, run)
    remarks = (*([remark] if remark else []), *work.remarks)
    table = dataset_files.final_table(scored, found.derived)
    return ScoredImages(table, found.findings, remarks, scored.skipped, scored, work.sets, found)


def prepare(
    config: pipeline.ScoringConfig,
    run: pipeline.Run | None,
    execution: pipeline.Execution,
    sets: Sequence[data.ImageSet] | None = None,
) -> pipeline.Scoring:
    """Opens and checks everything, as a run did where there is one."""
    if run is None:
        return pipeline.prepare_scoring(config, execution, sets=sets)
    return pipeline.prepare_like(run, config, execution, sets=sets)


def check_values(request: datasets.Request) -> None:
    """Raises InputError where a number of a request is out of its range."""
    for name in ("accuracy", "level"):
        share = getattr(request, name)
        if share is not None and not 0 < share < 1:
            raise _checks.InputError(f"{name}: expected a number between 0 and 1, got {share:g}")
    if request.threshold is not None and not math.isfinite(request.threshold):
        raise _checks.InputError(f"threshold: expected a finite number, got {request.threshold:g}")


def check_request(work: pipeline.Scoring, request: datasets.Request) -> None:
    """Raises InputError where a request names a score or a set that there is not, before anything is computed."""
    datasets.choose([scorer.column for scorer in work.work.scorers], request.quality)
    names = [one.name for one in work.sets]
    if request.reference is not None and request.reference not in names:
        raise _checks.InputError(
            f"reference: no set is called {request.reference!r}; {_checks.closest(request.reference, names)}"
        )


def find(
    scored: pipeline.Scored,
    request: datasets.Request,
    run: pipeline.Run | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> datasets.Found:
    """Finds what scores say, with the maps of a run where there is one."""
    learned = None
    if run is not None:
        if progress:
            progress("the map from score to accuracy", 0, 1)
        metric = datasets.choose(scored.columns, request.quality)
        learned = datasets.learn_maps(run, metric, level=request.level)
        request = request._replace(quality=metric)
    return datasets.analyse(scored, request, learned, progress=progress)
