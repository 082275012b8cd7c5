"""Images a second of `score`, beside cleanvision and three fast no-reference metrics of pyiqa; and a large report.

  python -m benchmarks.score --images=DIR --json=score.json
  python -m benchmarks.score --rows=1000000 --json=report.json

The first scores a folder end to end, decoding and report included, with all statistics and EfficientNet-Lite0 at 224
pixels where it is installed; peers that are not installed are left out. Beside the seconds stand those that the
processor worked, for a machine that others use, too. The second makes a table of so many scored images and times the
findings and the report.
"""

import json
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
import pyarrow as pa
from absl import app, flags

from causal_iqa import _files, _score, pipeline
from causal_iqa.analysis import datasets
from causal_iqa.cli import common
from causal_iqa.report import dataset_files

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.")
_ROWS = flags.DEFINE_integer("rows", None, "Rows of a synthetic table; without --images.")
_PEERS = flags.DEFINE_list("peers", ["cleanvision", "pyiqa"], "Of cleanvision and pyiqa.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

# The fastest of pyiqa without a network.
_PYIQA = ("niqe", "brisque", "piqe")


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
    # Compiled before the clock starts, as every further run finds it in the cache of programs.
    warm = pipeline.ScoringConfig(images=(_first(folder),), backbones=chosen, image_size=work.work.image_size)
    pipeline.score_sets(_score.prepare(warm, None, pipeline.Execution()), pipeline.InMemory(), pipeline.Execution())

    def run() -> int:
        with tempfile.TemporaryDirectory() as output:
            store = pipeline.ScoringStore(output, work, {})
            with store.locked():
                stamps = pipeline.score_sets(work, store)
                scored = pipeline.read_sets(work, store, stamps)
                found = _score.find(scored, datasets.Request(), None)
                dataset_files.write(store.folder, scored, work.sets, found, settings={})
        return scored.table.num_rows

    return run


def _first(folder: str) -> str:
    return str(next(path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()))


def _cleanvision(folder: str) -> Callable[[], int]:
    import cleanvision

    def run() -> int:
        scan = cleanvision.Imagelab(data_path=folder)
        scan.find_issues()
        return len(scan.issues)

    return run


def _pyiqa(folder: str, name: str) -> Callable[[], int]:
    from benchmarks import peers

    torch = peers.torch_peer("torch")
    pyiqa = peers.torch_peer("pyiqa")
    metric = pyiqa.create_metric(name, device="cpu")
    paths = [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]

    def run() -> int:
        from causal_iqa import data

        with torch.no_grad():
            for path in paths:
                pixels = data.fit(data.open_files([str(path)])[0].image, 224)
                metric(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)
        return len(paths)

    return run


def _synthetic(rows: int) -> pipeline.Scored:
    rng = np.random.default_rng(0)
    columns = tuple(
        pipeline.Column(name, name, "label_free" if "@" in name else "no_reference", True, 224, (), {})
        for name in ("head_free@b", *pipeline.NO_REFERENCE)
    )
    kinds = pa.array([f"folder{i:03d}" for i in range(200)])
    table = {
        "image_id": pa.array([f"folder{i % 200:03d}/image{i:08d}.jpg" for i in range(rows)]),
        "set": pa.array(np.repeat(["first", "second"], [rows - rows // 2, rows // 2])),
        "group": kinds.take(pa.array(np.arange(rows) % 200)),
        "label": pa.array(np.full(rows, -1, np.int32)),
        "position": pa.array(np.arange(rows)),
        "width": pa.array(rng.integers(300, 600, rows, dtype=np.int32)),
        "height": pa.array(rng.integers(300, 600, rows, dtype=np.int32)),
        "format": pa.array(["JPEG"] * rows),
        "one_colour": pa.array(np.zeros(rows, bool)),
        "look_across": pa.array(rng.integers(1, 2**63, rows, dtype=np.uint64)),
        "look_down": pa.array(rng.integers(1, 2**63, rows, dtype=np.uint64)),
    }
    table |= {column.name: pa.array(rng.normal(size=rows).astype(np.float32)) for column in columns}
    table |= {"cause": pa.nulls(rows, pa.string()), "cause_severity": pa.nulls(rows, pa.float32())}
    table |= {"cause_probability": pa.nulls(rows, pa.float32()), "undefined": pa.nulls(rows, pa.string())}
    sizes = (rows - rows // 2, rows // 2)
    samples = tuple(pipeline.Sample(np.arange(1000), rng.normal(size=(1000, 128)).astype(np.float32)) for _ in sizes)
    return pipeline.Scored(
        pa.table(table), columns, ("first", "second"), sizes, (), {"b": samples}, 224, 0.875, ((), ())
    )


def _report(rows: int) -> dict[str, float]:
    scored = _synthetic(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    def run() -> int:
        with tempfile.TemporaryDirectory() as output:
            found = _score.find(scored, datasets.Request(), None)
            dataset_files.write(pathlib.Path(output), scored, (), found, settings={})
        return rows

    found = _timed(run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {**found, "gigabytes_before": before, "gigabytes_at_the_peak": peak}


def main(_: list[str]) -> None:
    """Times what is asked for and prints it."""
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
            except ImportError as error:
                found[name] = f"not installed ({error})"
                continue
            found[name] = _timed(run)
            print(name, found[name], flush=True)
    print(json.dumps(found, indent=1))
    if _JSON.value is not None:
        _files.write_text(_JSON.value, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
