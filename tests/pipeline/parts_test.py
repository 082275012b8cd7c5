"""Parts: rows that are damaged, doubled, missing, in another order or of another run are not believed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, _files, pipeline
from causal_iqa.pipeline import parts, provenance
from tests.pipeline import folders

pytestmark = pytest.mark.usefixtures("small_parts")
_PART = "scores/part-00001.parquet"


def test_no_flipped_bit_of_a_part_is_whole(finished):
    damaged = bytearray(finished[1][_PART])
    for place in range(len(damaged)):
        for bit in (1, 128):
            damaged[place] ^= bit
            assert not _files.is_whole(bytes(damaged))
            damaged[place] ^= bit


def _written_again(rows, metadata, folder, seal):
    content = parts.sealed_parquet(rows, metadata)
    if not seal:
        content = content.replace(content[content.rindex(b"content_sha256") + 18 :][:64], b"0" * 64)
    (folder / _PART).write_bytes(content)


@pytest.mark.parametrize("seal", [False, True], ids=["by another program", "with a seal of its own"])
@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.take(list(range(rows.num_rows))[::-1]),
        lambda rows: pa.concat_tables([rows, rows]),
        lambda rows: rows.slice(1),
        lambda rows: rows.slice(len(folders.CONFIG.conditions)),
        lambda rows: rows.take([3, 4, 5, 0, 1, 2, *range(6, rows.num_rows)]),
    ],
    ids=["reversed", "doubled", "row missing", "image missing", "images swapped"],
)
def test_rows_that_are_not_those_of_the_part_are_refused_by_name(finished, change, seal):
    folder, content = finished
    rows = pq.ParquetFile(folder / _PART).read()
    _written_again(change(rows), parts.metadata_of(rows.schema), folder, seal)
    with pytest.raises(InputError, match=r"part-00001\.parquet: "):
        pipeline.read_run(folder)
    if not seal:
        assert folders.score(folders.make_store(folder)) == 1
        assert folders.content(folder) == content


def test_a_part_copied_over_another_or_of_another_run_is_scored_again(finished, tmp_path):
    folder, content = finished
    (folder / _PART).write_bytes(content["scores/part-00000.parquet"])
    with pytest.raises(InputError, match=r"part-00001\.parquet: a copy of part 0"):
        pipeline.read_run(folder)
    assert folders.score(folders.make_store(folder)) == 1
    folders.score(folders.make_store(tmp_path / "other", parts={"library": "0"}))
    (folder / _PART).write_bytes((tmp_path / "other" / _PART).read_bytes())
    with pytest.raises(InputError, match=r"part-00001\.parquet: a part of another study"):
        pipeline.read_run(folder)
    assert folders.score(folders.make_store(folder)) == 1
    assert folders.content(folder) == content


def test_names_that_are_not_utf_8_are_written_readably(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    listing = provenance.Listing((_files.readable(name), "b.png"), (0, 1), ("", ""))
    output = folders.make_store(tmp_path, listing)
    conditions = folders.CONFIG.conditions
    values = folders.rows(("b.png",), conditions)
    output.write_part(0, ["b.png"], np.zeros(1), conditions, values, [(name, "not an image")], folders.PASSPORTS)
    table = pipeline.read_run(tmp_path).table
    assert table.image_ids == ("b.png",) and table.skipped == (("caf\\xe9.png", "not an image"),)


def test_every_undefined_score_has_its_reason_in_its_row():
    passports = {"psnr": {"undefined": "equal images"}, "ms_ssim": {"undefined": "too small"}, "mse": {}}
    scores = {
        "psnr": np.asarray([np.inf, 20.0, 20.0, np.nan]),
        "ms_ssim": np.asarray([np.nan, np.nan, 0.5, 0.5]),
        "mse": np.asarray([1.0, 2.0, 3.0, np.nan]),
    }
    assert parts.undefined_reasons(scores, passports, 4).to_pylist() == [
        "psnr: equal images; ms_ssim: too small",
        "ms_ssim: too small",
        None,
        "psnr: equal images; mse: not a finite number",
    ]
    assert parts.undefined_reasons({}, passports, 2).to_pylist() == [None, None]
