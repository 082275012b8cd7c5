"""Only regular files of a bounded size are read."""

import os
import stat

import pytest

from causal_iqa import _reading


def test_regular_files_are_read_through_links(tmp_path):
    (tmp_path / "a").write_text("Grüße", "utf-8")
    (tmp_path / "b").symlink_to("a")
    assert _reading.read_text(tmp_path / "b") == "Grüße"
    with pytest.raises(OSError, match="larger than 6 bytes"):
        _reading.read_text(tmp_path / "a", largest=6)
    assert _reading.read_text(tmp_path / "a", largest=7) == "Grüße"


def test_what_would_block_or_never_end_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), ("/dev/zero", "a device")):
        with pytest.raises(OSError, match=f"{kind}, not a regular file"):
            _reading.open_regular(path)
    with pytest.raises(OSError, match="no path"):
        _reading.open_regular("a\0b")
    with pytest.raises(FileNotFoundError):
        _reading.open_regular(tmp_path / "none")


def test_kinds_and_reasons_are_said_in_one_line():
    kinds = {_reading.kind_of(mode) for mode in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK, stat.S_IFBLK, 0)}
    assert kinds == {"a file", "a folder", "a socket", "a device", "a special file"}
    assert _reading.reason_of(OSError(2, "No such file")) == "No such file"
    assert (
        _reading.reason_of(ValueError("two\n  lines")) == "two lines"
        and _reading.reason_of(ValueError()) == "ValueError"
    )
