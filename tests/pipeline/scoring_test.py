"""The file of scores: complete, harmless to a spreadsheet, and readable whatever the images are called."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, _files, pipeline

_NAMES = (
    "=HYPERLINK(1).png",
    "+1.png",
    "-1.png",
    "@SUM.png",
    b"caf\xe9.png".decode("utf-8", "surrogateescape"),
    "a.png",
)
_SCORES = pipeline.ImageScores(
    _NAMES,
    (pipeline.Column("entropy", "entropy", "no_reference", True, 48, (), {"undefined": "it is flat"}),),
    {"entropy": np.asarray([-0.1, 1.5, np.nan, np.inf, 7.25, 0.0], np.float32)},
    (("=b.png", "not an image"),),
    48,
)


def test_no_cell_is_a_formula(tmp_path):
    pipeline.write_scores(tmp_path / "scores.csv", _SCORES)
    with open(tmp_path / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert not any(
        value.startswith(("=", "+", "-", "@")) for row in rows for value in (row["image_id"], row["undefined"])
    )
    assert [row["image_id"].removeprefix("./") for row in rows] == [_files.readable(name) for name in _NAMES]
    assert [row["entropy"] for row in rows] == ["-0.1", "1.5", "", "", "7.25", "0.0"]
    assert [row["undefined"] for row in rows] == ["", "", *["entropy: it is flat"] * 2, "", ""]
    assert _files.csv_text([["=cmd", "\tx", 1.0, None]]) == "'=cmd,'\tx,1.0,\r\n"


def test_parquet_carries_passports_and_a_seal(tmp_path):
    path = tmp_path / "scores.parquet"
    pipeline.write_scores(path, _SCORES)
    assert _files.is_whole(path.read_bytes())
    table = pq.read_table(path)
    assert table["image_id"].to_pylist() == [_files.readable(name) for name in _NAMES]
    assert table["entropy"].to_pylist()[2:4] == [None, None]
    metadata = json.loads(table.schema.metadata[b"causal_iqa"])
    assert metadata["columns"]["entropy"]["undefined"] == "it is flat"
    assert "version of JAX" in metadata["library"]
    assert metadata["skipped"] == [["=b.png", "not an image"]]


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_full_disk_keeps_the_scores_of_before(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"before")

    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(
        InputError, match=r"cannot be written \(No space left on device\); what was there before is kept"
    ):
        pipeline.write_scores(tmp_path / name, _SCORES)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_bytes() == b"before"
