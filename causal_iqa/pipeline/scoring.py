"""Quality of any images, without labels or references: what the no-reference metrics and the witness say of each."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from causal_iqa import _checks, _files, backbones, data, metrics
from causal_iqa.pipeline import anchors, inputs, parts, rows, scorers, study
from causal_iqa.pipeline.columns import Column, Scorer, metric_scorer
from causal_iqa.pipeline.config import CLEAN, Condition, NetworkChoice, check_network_names, check_unique
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution, check_execution
from causal_iqa.pipeline.views import View, backbone_side, enlarged_for

NO_REFERENCE = tuple(name for name, spec in metrics.TABLE.items() if not spec.needs_reference)
ANCHOR_KINDS = ("images", "head")
DEFAULT_SIZE = 224
SUFFIXES = (".csv", ".parquet")
_QUANTILES = (0.05, 0.5, 0.95)


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """Everything the scores depend on.

    Attributes:
      images: an image file, or a folder with images at any depth.
      metrics: names of NO_REFERENCE.
      backbones: whose features score quality, too.
      anchors: "images": the witness compares with the images of anchor_dataset; "head": with the class vectors of the
        backbone's own classifier.
      anchor_dataset: "scenes", "tfds:NAME" or "folder:PATH".
      anchor_data_dir: folder of the prepared TFDS datasets.
      anchor_split: None: "train", and for a folder the folder itself.
      classes: file with one class per line, for an anchor folder.
      class_order: of an anchor folder's class folders without such a file, one of `data.CLASS_ORDERS`; None: "text".
      max_pixels: the most pixels of an image that is decoded; larger ones count as unreadable.
      num_anchors: at most so many, classes in turn.
      image_size: side in pixels at which images are scored; None: their own where all are square and equal, else 224.
      crop_fraction: central square cut from photos of varying size, fraction of the shorter side.
      precision: of the backbones' layers, one of `backbones.PRECISIONS`; everything else is float32.
      seed: of the choice of anchors.
    """

    images: str
    metrics: tuple[str, ...] = NO_REFERENCE
    backbones: tuple[NetworkChoice, ...] = ()
    anchors: str = "images"
    anchor_dataset: str | None = None
    anchor_data_dir: str | None = None
    anchor_split: str | None = None
    classes: str | None = None
    class_order: str | None = None
    max_pixels: int = data.MAX_PIXELS
    num_anchors: int = 1000
    image_size: int | None = None
    crop_fraction: float = data.CROP_FRACTION
    precision: str = "highest"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.metrics:
            metrics.check_name(name)
            if name in metrics.TABLE and metrics.TABLE[name].needs_reference:
                raise _checks.InputError(
                    f"metrics: {name} compares with a pristine image, and there is none here; choose from "
                    f"{', '.join(NO_REFERENCE)}"
                )
        check_unique("metrics", self.metrics)
        check_network_names("backbones", self.backbones)
        if not self.metrics and not self.backbones:
            raise _checks.InputError("metrics: expected at least one metric or backbone")
        _checks.check_choice(self.anchors, ANCHOR_KINDS, "anchors")
        _checks.check_choice(self.precision, backbones.PRECISIONS, "precision")
        if self.backbones and self.anchors == "images" and self.anchor_dataset is None:
            raise _checks.InputError(
                "anchors: a backbone needs clean labelled images to compare with: give --anchor_dataset, or "
                "--anchors=head where the backbone is a classifier"
            )
        for name, least in (("image_size", 16), ("num_anchors", 2), ("seed", 0), ("max_pixels", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise _checks.InputError(f"{name}: expected at least {least}, got {value}")
        if not 0 < self.crop_fraction <= 1:
            raise _checks.InputError(f"crop_fraction: expected a number between 0 and 1, got {self.crop_fraction}")


class ImageScores(NamedTuple):
    """Scores of N images."""

    image_ids: tuple[str, ...]
    columns: tuple[Column, ...]  # direction and passport of each column of `values`
    values: Mapping[str, np.ndarray]  # column -> float32 [N], NaN where undefined
    skipped: tuple[tuple[str, str], ...]  # (id, reason) of unreadable images
    image_size: int  # side in pixels at which they were scored


def _image_size(config: ScoringConfig, source: data.Source) -> int:
    if config.image_size is not None:
        return config.image_size
    shape = source.image_shape
    return shape[0] if shape is not None and shape[0] == shape[1] else DEFAULT_SIZE


def _anchor_images(config: ScoringConfig, scored: data.FolderSource, image_size: int) -> tuple[Any, int, dict]:
    is_folder = config.anchor_dataset.startswith("folder:")
    source = data.open_source(
        config.anchor_dataset,
        split=config.anchor_split or (None if is_folder else "train"),
        data_dir=config.anchor_data_dir,
        classes=config.classes,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
    )
    chosen = anchors.choose_others(source, scored, range(len(scored)), config.num_anchors, seed=config.seed)
    read = anchors.read_anchors(source, chosen, image_size, config.crop_fraction)
    details = {"anchors": "images", "num_anchors": len(read.ids), "anchor_dataset": source.name}
    return read, len(source.class_names), details


def _witnesses(
    config: ScoringConfig, scored, view, feature_backbones
) -> tuple[dict[str, Any], dict[str, dict], list[str]]:
    """Witnesses, for each backbone what its passport says of the anchors, and what to say of these."""
    if not feature_backbones:
        return {}, {}, []
    if config.anchors == "images":
        read, num_classes, details = _anchor_images(config, scored, view.side)
        witnesses, notes = anchors.fit_on_images(read, num_classes, [view], feature_backbones)
        remarks = anchors.not_finite_remarks(notes, len(read.ids))
        return witnesses, dict.fromkeys(feature_backbones, details), remarks
    witnesses, details = {}, {}
    for name, backbone in feature_backbones.items():
        witnesses |= anchors.fit_on_heads(backbone.num_classes, [view], {name: backbone})
        details[name] = {"anchors": "head", "num_anchors": backbone.num_classes}
    return witnesses, details, []


def _scorers(config: ScoringConfig, view, feature_backbones, anchors, witnesses) -> tuple[Scorer, ...]:
    found = [metric_scorer(spec, view) for spec in scorers.resolve_metrics(config.metrics)]
    for name, network in feature_backbones.items():
        details = {
            "weights_sha256": {name: network.weights_sha256},
            "precision": {name: network.precision},
            **anchors[name],
        }
        found += scorers.of_backbone(view, name, {name: network}, details, witnesses, families=("label_free",))
    return tuple(found)


def prepare(config: ScoringConfig, execution: Execution = DEFAULT_EXECUTION) -> rows.Work:
    """Opens and checks everything that scoring needs: a study of one condition, the clean one, that judges no network.

    Args:
      config: what to score, and how.
      execution: how it runs.

    Returns:
      The work.

    Raises:
      InputError: for anything missing or contradictory.
    """
    check_execution(execution)
    source = data.open_images(config.images, max_pixels=config.max_pixels)
    feature_backbones = {choice.name: study.load_backbone(choice, config.precision) for choice in config.backbones}
    size = _image_size(config, source)
    sides = {k: backbone_side(b.preprocessing, size, at_task=False) for k, b in feature_backbones.items()}
    view = View(size, (), sides, enlarged_for=enlarged_for(feature_backbones, size, at_task=False))
    witnesses, anchor_details, remarks = _witnesses(config, source, view, feature_backbones)
    return rows.Work(
        source=source,
        indices=np.arange(len(source)),
        image_size=size,
        crop_fraction=config.crop_fraction,
        interventions=(Condition(CLEAN, 0.0),),
        networks={},
        feature_backbones=feature_backbones,
        views=(view,),
        scorers=_scorers(config, view, feature_backbones, anchor_details, witnesses),
        witnesses=witnesses,
        remarks=(*data.remarks(source), *remarks),
    )


def score_images(
    config: ScoringConfig,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[int, int], None] | None = None,
    announce: Callable[[str], None] | None = None,
) -> ImageScores:
    """Scores every image of a folder.

    Args:
      config: what to score, and how.
      execution: changes no number by more than rounding, see `Execution`.
      progress: called with (images done, images in all).
      announce: called with every line that a user should read before scoring begins.

    Returns:
      The scores, in the metrics' own directions; the same whatever the batch size.

    Raises:
      InputError: for anything missing or contradictory, or when no image can be read.
    """
    work = prepare(config, execution)
    step, batch_size = rows.make_step(work, execution)
    for line in work.remarks if announce else ():
        announce(line)
    found, done = [], 0
    for batch in rows.compute(work, work.indices, step, batch_size, execution.workers):
        found.append(batch)
        done += len(batch.ids) + len(batch.skipped)
        if progress:
            progress(done, len(work.indices))
    scored = rows.joined(found)
    if not scored.ids:
        shown = "; ".join(f"{name}: {reason}" for name, reason in scored.skipped[:3])
        raise _checks.InputError(
            f"images: none of the {len(scored.skipped)} in {config.images!r} can be read ({shown})"
        )
    columns = tuple(scorer.column for scorer in work.scorers)
    values = {column.name: scored.columns[column.name][0] for column in columns}
    return ImageScores(tuple(scored.ids), columns, values, tuple(scored.skipped), work.image_size)


def check_output(path: pathlib.Path) -> None:
    """Raises InputError unless the file's ending is one of SUFFIXES."""
    if path.suffix not in SUFFIXES:
        raise _checks.InputError(f"output: expected a file ending in {' or '.join(SUFFIXES)}, got {str(path)!r}")


def write_scores(path: pathlib.Path, scores: ImageScores) -> None:
    """Writes one row per image, atomically; what is undefined is left empty, and the last column says why.

    Args:
      path: ending in .csv or .parquet. Parquet carries the columns' passports as metadata and a digest of its content.
        In CSV an image whose name begins with = + - @ has "./" before it, for else a spreadsheet would run it.
      scores: of the images.

    Raises:
      InputError: for another ending, or when the file cannot be written.
    """
    check_output(path)
    records = {column.name: column.record() for column in scores.columns}
    reasons = parts.undefined_reasons(scores.values, records, len(scores.image_ids))
    ids = [_files.readable(name) for name in scores.image_ids]
    if path.suffix == ".parquet":
        table = {"image_id": pa.array(ids, pa.string())}
        table |= {name: pa.array(v, pa.float32(), mask=~np.isfinite(v)) for name, v in scores.values.items()}
        table["undefined"] = reasons
        skipped = [[_files.readable(name), reason] for name, reason in scores.skipped]
        metadata = {"columns": records, "skipped": skipped, "library": inputs.of_library()}
        content = parts.sealed_parquet(pa.table(table), metadata)
        _files.write_atomically(path, content)
        return
    ids = [f"./{name}" if name[:1] in "=+-@" else name for name in ids]
    table = zip(ids, *scores.values.values(), reasons.to_pylist(), strict=True)
    _files.write_text(path, _files.csv_text([("image_id", *scores.values, "undefined"), *table]))


def summary_table(scores: ImageScores) -> str:
    """Returns mean, quantiles and direction of every column as text.

    Args:
      scores: of the images.
    """
    width = max(len("score"), *(len(column.name) for column in scores.columns))
    head = "".join(f"{title:>11}" for title in ("mean", *(f"{100 * q:g} %" for q in _QUANTILES)))
    lines = [f"{'score':<{width}}{head}  direction"]
    for column in scores.columns:
        values = scores.values[column.name]
        values = values[np.isfinite(values)]
        if not values.size:
            lines.append(f"{column.name:<{width}}  undefined: {column.passport.get('undefined', 'for every image')}")
            continue
        numbers = (values.mean(dtype=np.float64), *np.quantile(values, _QUANTILES))
        direction = f"{'higher' if column.higher_is_better else 'lower'} is better"
        lines.append(f"{column.name:<{width}}" + "".join(f"{number:>11.4g}" for number in numbers) + f"  {direction}")
    return "\n".join(lines)
