"""The record of a tree: parts that are whole, one origin, and a table with every digest."""

import hashlib
import json

import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError
from causal_iqa.copies import manifest
from tests.copies import trees


def test_manifest_names_every_file_with_its_digest(tree):
    table = pq.read_table(tree / manifest.PARQUET)
    rows = table.to_pylist()
    written = {name for name in trees.contents(tree) if name.endswith(".png")}
    assert {row["path"] for row in rows} == written and len(rows) == 4 * 5
    for row in rows:
        assert row["sha256"] == hashlib.sha256((tree / row["path"]).read_bytes()).hexdigest()
    assert {row["condition"] for row in rows} >= {"clean/0", "contrast/4.5|family=cifar32"}
    told = json.loads((tree / manifest.JSON).read_text())
    assert told["sha256"] == {row["path"]: row["sha256"] for row in rows}
    assert told["passports"]["contrast"]["parameters"]["cifar32"][0] == 0.75
    assert told["conditions"]["contrast/4.5"]["family"] == "cifar32"
    assert [name for name, _ in told["unreadable"]] == ["broken.png"]


def _part(folder):
    (folder / "x.png").write_bytes(b"1234")
    return manifest.Part((manifest.Copy("x.png", "fog/1", "fog", 1.0, "x", 2, 3, 4, "ab"),), (("y", "bad"),))


def test_a_part_comes_back_while_its_files_are_whole(tmp_path):
    manifest.begin(tmp_path, {"config": {"seed": 0}})
    part = _part(tmp_path)
    assert manifest.read_part(tmp_path, 0) is None
    manifest.write_part(tmp_path, 0, part)
    assert manifest.read_part(tmp_path, 0) == part
    (tmp_path / "x.png").write_bytes(b"123")
    assert manifest.read_part(tmp_path, 0) is None, "a file is cut"
    (tmp_path / "x.png").write_bytes(b"1234")
    path = manifest.part_path(tmp_path, 0)
    path.write_text(path.read_text().replace('"fog"', '"fgo"'))
    assert manifest.read_part(tmp_path, 0) is None, "the record was changed"


def test_a_tree_is_begun_once(tmp_path):
    manifest.begin(tmp_path, {"config": {"seed": 0, "format": "png"}})
    manifest.begin(tmp_path, {"config": {"seed": 0, "format": "png"}})
    with pytest.raises(InputError, match=r"made otherwise: .*seed \(0 there, 1 now\)") as caught:
        manifest.begin(tmp_path, {"config": {"seed": 1, "format": "webp"}})
    assert 'format ("png" there, "webp" now)' in str(caught.value)
    (tmp_path / manifest.CONFIG_FILE).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        manifest.begin(tmp_path, {})
