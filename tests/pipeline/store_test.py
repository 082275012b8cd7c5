"""Output folders: what is damaged is scored again or refused by name, and no failure at any write loses or mixes."""

import json
import os
import re
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, _files, pipeline
from causal_iqa.pipeline import parts, provenance, store
from tests.pipeline import folders

_PART = "scores/part-00001.parquet"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(store, "PART_IMAGES", folders.PART_IMAGES)


@pytest.fixture
def finished(tmp_path):
    """A finished run, and what its files hold."""
    folder = tmp_path / "run"
    folders.score(folders.make_store(folder))
    return folder, folders.content(folder)


def _flips(content, count):
    rng = np.random.default_rng(len(content))
    for place, bit in zip(rng.integers(0, len(content), count), rng.integers(0, 8, count), strict=True):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        yield bytes(damaged)


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


@pytest.mark.parametrize("name", ["config.json", "images.parquet", _PART])
def test_a_flipped_bit_is_refused_by_name_and_mended_by_the_same_command(finished, name):
    folder, content = finished
    for damaged in _flips(content[name], 120):
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match=re.escape(name.removeprefix("scores/"))):
            pipeline.read_run(folder)
    assert folders.score(folders.make_store(folder)) == (name == _PART)
    assert folders.content(folder) == content


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


def test_a_missing_part_is_named(finished):
    (finished[0] / _PART).unlink()
    with pytest.raises(InputError, match=r"1 of 3 parts missing, first part-00001\.parquet"):
        pipeline.read_run(finished[0])


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("step", ["before", "torn", "after"])
@pytest.mark.parametrize("number", range(5))
def test_a_kill_at_any_write_loses_and_doubles_nothing(finished, tmp_path, monkeypatch, step, number):
    """Five files are written: images, config and three parts."""
    folder, calls, replace, unlink = tmp_path / "cut", [], os.replace, os.unlink

    def killed(temporary, name, *, src_dir_fd, dst_dir_fd):
        calls.append(name)
        if len(calls) == number + 1 and step == "before":
            raise _Killed
        replace(temporary, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if len(calls) == number + 1 and step == "torn":  # As after a crash of the machine.
            file = os.open(name, os.O_RDWR, dir_fd=dst_dir_fd)
            os.truncate(file, os.fstat(file).st_size // 2)
            os.close(file)
        if len(calls) == number + 1:
            raise _Killed

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(os, "unlink", lambda *a, **b: None)  # Who is killed tidies nothing up.
    with pytest.raises(_Killed):
        folders.score(folders.make_store(folder))
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "unlink", unlink)
    kept = max(0, number - (1 if step == "after" else 2))
    assert folders.score(folders.make_store(folder)) == 3 - kept
    assert folders.content(folder) == finished[1]


@pytest.mark.parametrize("number", range(5))
def test_a_full_disk_ends_in_a_line_that_says_what_is_kept(finished, tmp_path, monkeypatch, number):
    folder, calls, write = tmp_path / "full", [], os.write

    def full(file, content):
        calls.append(file)
        if len(calls) > number:
            raise OSError(28, "No space left on device")
        return write(file, content)

    monkeypatch.setattr(os, "write", full)
    name = ["images.parquet", "config.json", *(f"part-0000{i}.parquet" for i in range(3))][number]
    expected = rf"{re.escape(name)}: cannot be written \(No space left on device\)"
    if number >= 2:
        expected += rf".*parts of the scores kept in .*full: {number - 2}; the same command goes on from there"
    with pytest.raises(InputError, match=expected):
        folders.score(folders.make_store(folder))
    monkeypatch.setattr(os, "write", write)
    assert not list(folder.rglob("*.tmp")) and not list(folder.rglob(".*.tmp"))
    assert folders.score(folders.make_store(folder)) == 3 - max(0, number - 2)
    assert folders.content(folder) == finished[1]


def test_a_signal_leaves_with_a_note_of_what_is_kept(tmp_path):
    output = folders.make_store(tmp_path)
    folders.score(output, most=2)
    with pytest.raises(KeyboardInterrupt) as end, output.locked():
        raise KeyboardInterrupt
    assert end.value.__notes__ == [f"parts of the scores kept in {tmp_path}: 2; the same command goes on from there"]


def test_of_many_that_start_at_once_one_works_and_the_others_are_told(tmp_path):
    barrier, errors, worked = threading.Barrier(8), [], []

    def start():
        output = folders.make_store(tmp_path / "run")
        barrier.wait()
        try:
            with output.locked():
                worked.append(output)
                folders.score(output)
                done.wait(10)
        except InputError as error:
            errors.append(str(error))
            if len(errors) == 7:
                done.set()

    done = threading.Event()
    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worked) == 1 and len(errors) == 7
    assert all("another run is working in" in error for error in errors)
    assert len(pipeline.read_run(tmp_path / "run").table.image_ids) == folders.NUM_IMAGES


@pytest.mark.parametrize("name", [".lock", "scores", "figures"])
def test_nothing_is_written_through_a_link_out_of_the_folder(tmp_path, name):
    target = tmp_path / "elsewhere"
    if name == ".lock":
        target.write_text("precious")
    else:
        target.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(target)
    with pytest.raises(InputError, match=rf"{re.escape(name)} is a link or no"):
        folders.score(folders.make_store(tmp_path / "run"))
    assert target.read_text() == "precious" if name == ".lock" else not list(target.iterdir())


def test_a_pipe_named_lock_is_refused_and_hangs_nothing(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(InputError, match=r"\.lock is a link or no plain file"):
        folders.score(folders.make_store(tmp_path))


def test_leftovers_of_a_killed_write_go_and_a_users_file_stays(tmp_path):
    (tmp_path / "scores").mkdir()
    for name in (".0123456789abcdef.tmp", "scores/.part-00000.parquet.4711.tmp", ".mine.tmp"):
        (tmp_path / name).write_text("")
    folders.score(folders.make_store(tmp_path))
    assert [path.name for path in tmp_path.rglob(".*.tmp")] == [".mine.tmp"]


def test_a_config_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 10}\n')
    with pytest.raises(InputError, match=r"config\.json is not of a run; choose another folder"):
        folders.score(folders.make_store(tmp_path))
    assert (tmp_path / "config.json").read_text() == '{"steps": 10}\n'
    (tmp_path / "config.json").unlink()
    (tmp_path / "scores" / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"holds scores without a config\.json"):
        folders.score(folders.make_store(tmp_path))


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
    for damaged in _flips((folder / "scores" / "part-00000.parquet").read_bytes(), 60):
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


def test_names_that_are_not_utf_8_are_written_readably(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    listing = provenance.Listing((_files.readable(name), "b.png"), (0, 1), ("", ""))
    output = folders.make_store(tmp_path, listing)
    conditions = folders.CONFIG.conditions
    values = folders.rows(("b.png",), conditions)
    output.write_part(0, ["b.png"], np.zeros(1), conditions, values, [(name, "not an image")], folders.PASSPORTS)
    table = pipeline.read_run(tmp_path).table
    assert table.image_ids == ("b.png",) and table.skipped == (("caf\\xe9.png", "not an image"),)
