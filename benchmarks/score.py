"""Images a second of `score`, beside cleanvision and three fast no-reference metrics of pyiqa; and a large report.

  python -m benchmarks.score --images=DIR --json=score.json
  python -m benchmarks.score --rows=1000000 --json=report.json

The first scores a folder end to end, decoding and report included, with all statistics, EfficientNet-Lite0 at 224
pixels where it is installed, and the diagnosis; then stage by stage, each alone. Peers that are not installed, or whose
parameters are not at hand, are left out. pyiqa works image by image, on one thread (two wait for each other more than
they help at this size) and, where it is asked for, on every n-th photograph only. Beside the seconds stand those that
the processor worked, for a machine that others use, too. The second makes a table of so many scored images in two sets,
with causes and a map to accuracy, and times the findings and the report.
"""

import json
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
import pyarrow as pa
from absl import app, flags

from causal_iqa import _files, _score, alignment, data, diagnosis, pipeline
from causal_iqa.analysis import datasets
from causal_iqa.cli import common
from causal_iqa.pipeline import rows
from causal_iqa.report import dataset_files

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.")
_ROWS = flags.DEFINE_integer("rows", None, "Rows of a synthetic table; without --images.")
_PEERS = flags.DEFINE_list("peers", ["cleanvision", "pyiqa"], "Of cleanvision and pyiqa.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

_PYIQA_EVERY = flags.DEFINE_integer("pyiqa_every", 1, "pyiqa scores every so manieth photograph.")
# The fastest of pyiqa without a network; those whose files of parameters it would have to download are left out.
_PYIQA = ("piqe", "brisque", "niqe", "entropy")
# Enough for every program of the findings.
_WARM_IMAGES = 40


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _timed(work: Callable[[], int]) -> dict[str, float]:
    start, before = time.perf_counter(), _processor_seconds()
    count = work()
    seconds, processor = time.perf_counter() - start, _processor_seconds() - before
    return {
        "images": count,
        "seconds": seconds,
        "processor_seconds": processor,
        "images_per_second": count / seconds,
        "images_per_processor_second": count / processor,
    }


def _ours(folder: str) -> Callable[[], int]:
    chosen, _ = _score.default_backbones()
    config = pipeline.ScoringConfig(images=(folder,), backbones=chosen)
    work = _score.prepare(config, None, pipeline.Execution())
    diagnose = _score.diagnosis()
    # Compiled before the clock starts, as every further run finds it in the cache of programs.
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as some:
        some.write("\n".join(_photographs(folder)[:_WARM_IMAGES]))
        some.flush()
        warm = pipeline.ScoringConfig(images=(some.name,), backbones=chosen, image_size=work.work.image_size)
        _scored(_score.prepare(warm, None, pipeline.Execution()), diagnose)
    return lambda: _scored(work, diagnose)


def _scored(work: pipeline.Scoring, diagnose: pipeline.Diagnose) -> int:
    """Scores images and writes their report; returns how many they are."""
    with tempfile.TemporaryDirectory() as output:
        store = pipeline.ScoringStore(output, work, {})
        with store.locked():
            start = _processor_seconds()
            stamps = pipeline.score_sets(work, store, diagnose=diagnose)
            scored_at = _processor_seconds()
            scored = pipeline.read_sets(work, store, stamps)
            found = _score.find(scored, datasets.Request(), None)
            found_at = _processor_seconds()
            dataset_files.write(store.folder, scored, work.sets, found, settings={})
        spent = scored_at - start, found_at - scored_at, _processor_seconds() - found_at
        print("processor seconds of scores, findings and report:", *(f"{one:.2f}" for one in spent), flush=True)
    return scored.table.num_rows


def _stages(folder: str) -> dict[str, float]:
    """Milliseconds of the processor that each stage takes of an image, one stage after the other."""
    execution = pipeline.Execution()
    chosen, _ = _score.default_backbones()
    found = {}
    batches: list[data.Batch] = []
    for name, networks in (("statistics", ()), ("statistics and network", chosen)):
        work = _score.prepare(pipeline.ScoringConfig(images=(folder,), backbones=networks), None, execution)
        step, size = rows.make_step(work.work, execution)
        source, indices = work.sets[0].source, range(work.num_images)
        if not batches:
            options = {"batch_size": size, "size": work.work.image_size, "crop_fraction": work.work.crop_fraction}
            start = _processor_seconds()
            batches += data.batches(source, indices, look=data.Looker(source), **options)
            found["decoding and facts"] = _processor_seconds() - start
        found[name] = _every(step, batches)
    diagnose = _score.diagnosis()
    found["diagnosis"] = _every(lambda batch: diagnose(batch.images), batches)
    return {name: 1e3 * seconds / work.num_images for name, seconds in found.items()}


def _every(work: Callable[[data.Batch], object], batches: Sequence[data.Batch]) -> float:
    """Seconds of the processor for all batches, what is compiled first left out."""
    work(batches[0])
    start = _processor_seconds()
    for batch in batches:
        work(batch)
    return _processor_seconds() - start


def _photographs(folder: str) -> list[str]:
    return [str(path.absolute()) for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]


def _cleanvision(folder: str) -> Callable[[], int]:
    import cleanvision

    def run() -> int:
        scan = cleanvision.Imagelab(data_path=folder)
        scan.find_issues()
        return len(scan.issues)

    return run


def _pyiqa(folder: str, name: str) -> Callable[[], int]:
    from tests import peers

    torch = peers.torch_peer("torch")
    pyiqa = peers.torch_peer("pyiqa")
    metric = pyiqa.create_metric(name, device="cpu")
    torch.set_num_threads(1)
    paths = _photographs(folder)[:: _PYIQA_EVERY.value]

    def run() -> int:
        with torch.no_grad():
            for path in paths:
                pixels = data.fit(data.open_files([path])[0].image, 224)
                metric(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)
        return len(paths)

    return run


def _synthetic(num_rows: int) -> pipeline.Scored:
    rng = np.random.default_rng(0)
    columns = tuple(
        pipeline.Column(name, name, "label_free" if "@" in name else "no_reference", True, 224, (), {})
        for name in ("head_free@b", *pipeline.NO_REFERENCE)
    )
    kinds = pa.array([f"folder{i:03d}" for i in range(200)])
    table = {
        "image_id": pa.array([f"folder{i % 200:03d}/image{i:08d}.jpg" for i in range(num_rows)]),
        "set": pa.array(np.repeat(["first", "second"], [num_rows - num_rows // 2, num_rows // 2])),
        "group": kinds.take(pa.array(np.arange(num_rows) % 200)),
        "label": pa.array(np.full(num_rows, -1, np.int32)),
        "position": pa.array(np.arange(num_rows)),
        "width": pa.array(rng.integers(300, 600, num_rows, dtype=np.int32)),
        "height": pa.array(rng.integers(300, 600, num_rows, dtype=np.int32)),
        "format": pa.array(["JPEG"] * num_rows),
        "one_colour": pa.array(np.zeros(num_rows, bool)),
        "look_across": pa.array(rng.integers(1, 2**63, num_rows, dtype=np.uint64)),
        "look_down": pa.array(rng.integers(1, 2**63, num_rows, dtype=np.uint64)),
    }
    table |= {column.name: pa.array(rng.normal(size=num_rows).astype(np.float32)) for column in columns}
    causes = np.asarray([*diagnosis.default_model().causes, diagnosis.OTHER], object)
    scores = rng.gamma(0.1, size=(num_rows, len(causes))).astype(np.float32) + 1e-6
    said = scores / scores.sum(axis=1, keepdims=True)
    table |= {
        "cause": pa.array(causes[said.argmax(axis=1)].tolist()),
        "cause_severity": pa.nulls(num_rows, pa.float32()),
    }
    table |= {f"{pipeline.CAUSE_IS}{name}": pa.array(said[:, i].astype(np.float16)) for i, name in enumerate(causes)}
    table |= {"cause_probability": pa.array(said.max(axis=1)), "undefined": pa.nulls(num_rows, pa.string())}
    sizes = (num_rows - num_rows // 2, num_rows // 2)
    samples = tuple(pipeline.Sample(np.arange(1000), rng.normal(size=(1000, 128)).astype(np.float32)) for _ in sizes)
    return pipeline.Scored(
        pa.table(table), columns, ("first", "second"), sizes, (), {"b": samples}, 224, 0.875, ((), ())
    )


def _synthetic_map() -> datasets.Maps:
    """A map from the synthetic quality to accuracy, as a run would have taught it."""
    rng = np.random.default_rng(1)
    quality = rng.normal(size=(20, 400)) * 1.6 - np.linspace(0, 2, 20)[:, None]
    right = (rng.uniform(size=quality.shape) < 1 / (1 + np.exp(-quality - 1))).astype(float)

    def fitted(images: np.ndarray) -> alignment.AccuracyMap:
        return alignment.fit_accuracy_map(quality[:, images], right[:, images], num_bins=128)

    resampled = tuple(fitted(rng.integers(0, 400, 400)) for _ in range(100))
    ends = float(quality.min()), float(quality.max())
    whole = fitted(np.arange(400))
    one = datasets.ScoreMap(
        "run", "synthetic", "head_free@b", "all", whole, resampled, *ends, rng.normal(0, 0.02, 19), 400, 20, 0.9
    )
    return datasets.Maps(one, (one._replace(network="network"),))


def _report(num_rows: int) -> dict[str, float]:
    scored, learned = _synthetic(num_rows), _synthetic_map()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    def run() -> int:
        with tempfile.TemporaryDirectory() as output:
            found = datasets.analyse(scored, datasets.Request(), learned)
            dataset_files.write(pathlib.Path(output), scored, (), found, settings={})
        return num_rows

    found = _timed(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {**found, "gigabytes_before": before, "gigabytes_at_the_peak": peak}


def main(_: list[str]) -> None:
    """Times the parts that the flags name and prints the times."""
    common.one_device_per_core()
    found: dict[str, dict[str, float] | str] = {"jax": jax.__version__}
    if _ROWS.value is not None:
        found["report"] = _report(_ROWS.value)
    if _IMAGES.value is not None:
        makers: dict[str, Callable[[], Callable[[], int]]] = {"causal_iqa score": lambda: _ours(_IMAGES.value)}
        if "cleanvision" in _PEERS.value:
            makers["cleanvision"] = lambda: _cleanvision(_IMAGES.value)
        if "pyiqa" in _PEERS.value:
            makers |= {f"pyiqa {name}": lambda name=name: _pyiqa(_IMAGES.value, name) for name in _PYIQA}
        for name, make in makers.items():
            try:
                run = make()
            except (ImportError, OSError) as error:  # Not installed, or without its parameters.
                found[name] = f"not at hand ({error})"
                print(name, found[name], flush=True)
                continue
            found[name] = _timed(run)
            if name == "causal_iqa score":
                found["processor milliseconds an image"] = _stages(_IMAGES.value)
                print(found["processor milliseconds an image"], flush=True)
            print(name, found[name], flush=True)
    print(json.dumps(found, indent=1))
    if _JSON.value is not None:
        _files.write_text(_JSON.value, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
