"""A folder is one process's at a time, its lock no way out of it, and errors are one line that names the flag."""

import os
import re

import pytest

from causal_iqa import InputError, _locks


def test_a_held_folder_is_refused_and_free_again_afterwards(tmp_path):
    refusal = f"^{re.escape(f'run: another run is working in {tmp_path}')}$"
    with _locks.lock(tmp_path), pytest.raises(InputError, match=refusal), _locks.lock(tmp_path, flag="run"):
        pass
    with _locks.lock(tmp_path) as descriptor:
        assert os.listdir(descriptor) == [".lock"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_a_lock_that_is_no_plain_file_is_refused(tmp_path, make):
    make(tmp_path / ".lock")
    refusal = r"^output_dir: .*/\.lock is a link or no plain file; remove it$"
    with pytest.raises(InputError, match=refusal), _locks.lock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_made_only_when_asked(tmp_path):
    with pytest.raises(InputError, match="cannot be made or written: No such file"), _locks.lock(tmp_path / "a" / "b"):
        pass
    with _locks.lock(tmp_path / "a" / "b", make=True):
        assert (tmp_path / "a" / "b" / ".lock").exists()


@pytest.mark.parametrize("name", [".0123456789abcdef.tmp", ".part-00001.parquet.4321.tmp"])
def test_leftovers_are_what_killed_writes_leave(name):
    assert _locks.LEFTOVER.fullmatch(name)
    assert not _locks.LEFTOVER.fullmatch(name[1:]) and not _locks.LEFTOVER.fullmatch(".mine.tmp")
