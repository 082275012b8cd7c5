"""Finished runs: read back as written, refused by name when damaged, warned of when old."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.pipeline import parts, store
from tests.pipeline import folders

pytestmark = pytest.mark.usefixtures("small_parts")
_PART = "scores/part-00001.parquet"


def test_a_finished_run_is_read_back(finished, monkeypatch):
    folder, content = finished
    monkeypatch.setattr(store, "PART_IMAGES", 64)  # As by a version of other parts.
    assert sorted(content) == ["config.json", "images.parquet", *(f"scores/part-0000{i}.parquet" for i in range(3))]
    run = pipeline.read_run(folder)
    assert run.table.image_ids == folders.LISTING.ids and run.warnings == () and run.config == folders.CONFIG
    expected = folders.rows(folders.LISTING.ids, folders.CONFIG.conditions)
    np.testing.assert_array_equal(run.table.columns["entropy"], expected["entropy"])
    np.testing.assert_array_equal(run.table.columns["scene_cnn_a/correct"], expected["scene_cnn_a/correct"])
    assert run.table.labels.tolist() == list(folders.LISTING.labels)


def test_a_missing_part_is_named(finished):
    (finished[0] / _PART).unlink()
    with pytest.raises(InputError, match=r"1 of 3 parts missing, first part-00001\.parquet"):
        pipeline.read_run(finished[0])


def _make_old(folder):
    """Turns a run into one of a version that recorded no digests."""
    found = json.loads((folder / "config.json").read_text())
    for name in ("provenance", "content_sha256", "sealed"):
        found.pop(name, None)
    (folder / "config.json").write_text(json.dumps(found))
    (folder / "images.parquet").unlink()
    for path in (folder / "scores").iterdir():
        rows = pq.ParquetFile(path).read()
        metadata = parts.metadata_of(rows.schema)
        kept = {name: metadata[name] for name in ("fingerprint", "columns", "degradations", "skipped")}
        pq.write_table(rows.replace_schema_metadata({b"causal_iqa": json.dumps(kept)}), path)


def test_an_old_run_is_read_with_a_warning_and_never_gone_on_with(finished):
    folder, _ = finished
    _make_old(folder)
    run = pipeline.read_run(folder)
    assert run.table.image_ids == folders.LISTING.ids
    (warning,) = run.warnings
    assert "written by an older version" in warning
    changed = folders.make_store(folder, parts={"library": "1"})
    with pytest.raises(InputError, match=r"run of an older version.*start a new --output_dir"):
        folders.score(changed)
    rows = pq.ParquetFile(folder / _PART).read()
    pq.write_table(rows.take(list(range(rows.num_rows))[::-1]), folder / _PART)
    with pytest.raises(InputError, match=r"part-00001\.parquet: its rows are not one per image and condition"):
        pipeline.read_run(folder)
    (folder / _PART).write_bytes((folder / "scores" / "part-00000.parquet").read_bytes())
    with pytest.raises(InputError, match="test/0 is in two parts"):
        pipeline.read_run(folder)
    for damaged in folders.flips((folder / "scores" / "part-00000.parquet").read_bytes(), 60):
        (folder / "scores" / "part-00000.parquet").write_bytes(damaged)
        with pytest.raises(InputError):  # By name or for the copy: no traceback of a reader.
            pipeline.read_run(folder)


@pytest.mark.parametrize("size", [10**12, 10**30, -1, 1.5, True, "many", None, [], float("inf")])
def test_a_config_that_asks_for_endless_work_ends_at_once(finished, size):
    folder, _ = finished
    _make_old(folder)
    found = json.loads((folder / "config.json").read_text())
    for place in ("size", "num_images"):
        changed = json.loads(json.dumps(found))
        (changed["dataset"] if place == "size" else changed["config"])[place] = size
        if place == "size":
            changed["config"]["num_images"] = None
        if place == "num_images" and size is None:
            continue  # Means all.
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(InputError):
            pipeline.read_run(folder)
