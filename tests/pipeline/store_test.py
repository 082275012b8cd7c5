"""Output folders: no failure at any write loses or mixes anything, and the same command mends what is damaged."""

import os
import re

import pytest

from causal_iqa import InputError, pipeline
from tests.pipeline import folders

pytestmark = pytest.mark.usefixtures("small_parts")
_PART = "scores/part-00001.parquet"


@pytest.mark.parametrize("name", ["config.json", "images.parquet", _PART])
def test_a_flipped_bit_is_refused_by_name_and_mended_by_the_same_command(finished, name):
    folder, content = finished
    for damaged in folders.flips(content[name], 120):
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match=re.escape(name.removeprefix("scores/"))):
            pipeline.read_run(folder)
    assert folders.score(folders.make_store(folder)) == (name == _PART)
    assert folders.content(folder) == content


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
        expected += rf".*parts of the scores kept in .*full: {number - 2}; the same command continues from there"
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
    assert end.value.__notes__ == [f"parts of the scores kept in {tmp_path}: 2; the same command continues from there"]


def test_a_config_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "config.json").write_text('{"steps": 10}\n')
    with pytest.raises(InputError, match=r"config\.json is not of a run; choose another folder"):
        folders.score(folders.make_store(tmp_path))
    assert (tmp_path / "config.json").read_text() == '{"steps": 10}\n'
    (tmp_path / "config.json").unlink()
    (tmp_path / "scores" / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"holds scores without a config\.json"):
        folders.score(folders.make_store(tmp_path))
