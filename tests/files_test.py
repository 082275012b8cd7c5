"""Files are there whole or not at all, no link leads a write elsewhere, and no flipped bit passes a seal."""

import json
import os
import resource

import pytest

from causal_iqa import InputError, _files


@pytest.mark.parametrize("name", ["open", "write", "fsync", "close", "replace"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, name):
    path = tmp_path / "page.html"
    _files.write_atomically(path, b"before")
    works = getattr(os, name)
    calls = []

    def fails(*arguments, **named):
        calls.append(arguments)
        # The first file that is opened is the folder, the first that is closed the new file.
        if len(calls) == {"open": 2}.get(name, 1):
            if name == "close":
                works(*arguments)
            raise OSError(28, "No space left on device")
        return works(*arguments, **named)

    monkeypatch.setattr(os, name, fails)
    with pytest.raises(InputError, match=r"page\.html: cannot be written \(No space left on device\); what was there"):
        _files.write_atomically(path, b"after")
    monkeypatch.undo()
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["page.html"]


def test_a_file_that_outgrows_its_limit_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InputError, match=r"table\.csv: cannot be written \(File too large\)"):
            _files.write_atomically(tmp_path / "table.csv", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not os.listdir(tmp_path)


def test_a_kill_between_two_steps_is_no_half_file(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*arguments, **named):
        raise Killed

    path = tmp_path / "page.html"
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        _files.write_atomically(path, b"after")
    assert not os.listdir(tmp_path)


def test_links_are_not_followed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "precious.txt"
    target.write_text("precious")
    (tmp_path / "run" / "report.html").symlink_to(target)
    _files.write_text(tmp_path / "run" / "report.html", "page", root=tmp_path / "run")
    assert target.read_text() == "precious" and (tmp_path / "run" / "report.html").read_text() == "page"
    assert not (tmp_path / "run" / "report.html").is_symlink()
    (tmp_path / "run" / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="figures is a link or no folder"):
        _files.write_atomically(tmp_path / "run" / "figures" / "precious.txt", b"", root=tmp_path / "run")
    assert target.read_text() == "precious" and os.listdir(tmp_path / "elsewhere") == ["precious.txt"]
    # The folder of the results itself may be a link.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    _files.write_atomically(tmp_path / "link" / "new.txt", b"", root=tmp_path / "link")
    assert (tmp_path / "elsewhere" / "new.txt").exists()


def test_every_flipped_bit_breaks_the_seal(tmp_path):
    path = tmp_path / "summary.json"
    _files.write_json(path, {"schema": 1, "numbers": [0.5, None], "weights_sha256": "0" * 64}, sealed=True)
    content = path.read_bytes()
    assert json.loads(content)["numbers"] == [0.5, None]
    assert _files.is_sealed(content) and _files.is_whole(content)
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            assert not _files.is_whole(bytes(damaged))
    assert _files.read_json(path) == {"schema": 1, "numbers": [0.5, None], "weights_sha256": "0" * 64}
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(ValueError):
            _files.read_json(path)
    for other in (content[:-1], content + b"\n", content + content, b"", content.replace(b"0.5", b"0.6")):
        assert not _files.is_whole(other)


def test_text_that_utf_8_cannot_say_is_written_readably(tmp_path):
    name = b"caf\xe9 \xc3\xa9 \\.png".decode("utf-8", "surrogateescape")
    assert _files.readable(name) == "caf\\xe9 é \\.png" and _files.readable("\ud800") == "\\ud800"
    _files.write_text(tmp_path / "page.html", name)
    assert (tmp_path / "page.html").read_text("utf-8") == "caf\\xe9 é \\.png"
