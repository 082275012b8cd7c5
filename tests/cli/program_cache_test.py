"""Compiled programs are kept between commands: where, how many, and nothing damaged."""

import fcntl
import os
import pathlib
import subprocess
import sys
import zlib

import jax
import pytest

from causal_iqa import InputError, _kept_programs
from causal_iqa.cli import program_cache

_PROGRAM = """
import sys
from causal_iqa.cli import program_cache
program_cache.keep(sys.argv[1])
import jax
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
print(jax.jit(lambda x: x * x + 1)(2.0), sum(event.endswith("cache_hits") for event in hits))
"""


@pytest.fixture
def settings():
    """The settings of JAX as they were, afterwards."""
    names = [
        "jax_enable_compilation_cache",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_enable_xla_caches",
    ]
    before, folder = {name: getattr(jax.config, name) for name in names}, _kept_programs.folder()
    yield
    _kept_programs.keep_in(folder)
    for name, value in before.items():
        jax.config.update(name, value)


def _entry(folder: pathlib.Path, name: str, size: int = 1000, used: float = 0.0) -> pathlib.Path:
    path = folder / f"{name}-cache"
    path.write_bytes(zlib.compress(os.urandom(size)))
    if used:
        os.utime(path, (used, used))
    return path


def test_the_folder_follows_the_rules_of_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert program_cache.user_cache_dir({"XDG_CACHE_HOME": "/elsewhere"}, "linux") == pathlib.Path(
        "/elsewhere/causal_iqa"
    )
    assert program_cache.user_cache_dir({}, "linux") == tmp_path / ".cache" / "causal_iqa"
    # The specification has relative paths ignored.
    assert program_cache.user_cache_dir({"XDG_CACHE_HOME": "here"}, "linux") == tmp_path / ".cache" / "causal_iqa"
    assert program_cache.user_cache_dir({}, "darwin") == tmp_path / "Library" / "Caches" / "causal_iqa"


def test_by_default_a_folder_of_the_users_cache_unless_the_environment_names_one(monkeypatch, tmp_path, settings):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "said"))
    before = jax.config.jax_compilation_cache_dir
    assert program_cache.keep(None) == tmp_path / "said"
    assert jax.config.jax_compilation_cache_dir == before
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = program_cache.keep(None)
    assert _kept_programs.folder() == folder
    assert folder.parent == tmp_path / "causal_iqa" / "compilations"
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert folder.stat().st_mode & 0o077 == 0


def test_off_keeps_nothing(settings):
    assert program_cache.keep("off") is None and _kept_programs.folder() is None
    assert not jax.config.jax_enable_compilation_cache


def test_a_folder_that_cannot_be_is_named(tmp_path, settings, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"compilation_cache: .*file"):
        program_cache.keep(str(tmp_path / "file" / "folder"))
    # Nobody asked for the default folder, and the command works without it.
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert program_cache.keep(None) is None


def test_damaged_entries_go_and_whole_ones_stay(tmp_path):
    whole, cut = _entry(tmp_path, "whole"), _entry(tmp_path, "cut")
    cut.write_bytes(cut.read_bytes()[:-7])
    (tmp_path / "empty-cache").write_bytes(b"")
    program_cache.tidy(tmp_path, 10**6)
    assert [path.name for path in tmp_path.glob("*-cache")] == [whole.name]


def test_what_was_used_longest_ago_goes_first(tmp_path):
    paths = [_entry(tmp_path, name, used=1e9 + used) for name, used in (("b", 2.0), ("a", 1.0), ("c", 3.0))]
    beside = tmp_path / "notes"
    beside.write_bytes(b"0" * 5000)
    program_cache.tidy(tmp_path, sum(path.stat().st_size for path in paths) - 1)
    assert sorted(path.name for path in tmp_path.glob("*-cache")) == ["b-cache", "c-cache"]
    assert beside.exists()


def test_while_another_process_tidies_nothing_is_touched(tmp_path):
    _entry(tmp_path, "a")
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program_cache.tidy(tmp_path, 0)
        assert len(list(tmp_path.glob("*-cache"))) == 1
    program_cache.tidy(tmp_path, 0)
    assert not list(tmp_path.glob("*-cache"))


def test_processes_share_the_folder(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment["JAX_PLATFORMS"] = "cpu"

    folder = tmp_path / "programs"

    def start() -> subprocess.Popen:
        command = [sys.executable, "-c", _PROGRAM, str(folder)]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    together = [start(), start()]
    assert [process.communicate()[0].split()[0] for process in together] == ["5.0", "5.0"]
    assert [process.returncode for process in together] == [0, 0]
    out, err = start().communicate()
    assert out.split() == ["5.0", "1"], err
    folder = folder.rename(tmp_path / "moved")
    out, err = start().communicate()
    assert out.split() == ["5.0", "1"], err


def test_what_a_killed_process_left_unfinished_goes_and_what_is_being_written_stays(tmp_path):
    old, new = tmp_path / ".0123.tmp", tmp_path / ".4567.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    program_cache.tidy(tmp_path, 10**6)
    assert not old.exists() and new.exists()
