"""Several processes of one `align`: what they are told, how they meet, and that they write what one would."""

import atexit
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from causal_iqa import InputError
from causal_iqa.cli import hosts
from causal_iqa.pipeline import store
from tests.experiments.binaries import error_of, run
from tests.pipeline import folders

_ROOT = pathlib.Path(__file__).parents[2]
_PROGRAM = """
import sys
from causal_iqa.pipeline import store
from tests.experiments.binaries import run
store.PART_IMAGES = 4
run("align", *sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((None, 2, None), "num_processes: only with --coordinator=HOST:PORT, the address of the first process"),
        ((None, None, 0), "process_id: only with --coordinator=HOST:PORT, the address of the first process"),
        (("auto", 2, None), "coordinator: auto finds out --num_processes and --process_id; give neither"),
        (("here", 2, 0), "coordinator: expected HOST:PORT or auto, got 'here'"),
        (("here:0", 2, 0), "coordinator: expected HOST:PORT or auto, got 'here:0'"),
        (("here:1234", None, 0), "num_processes: needed with --coordinator=here:1234"),
        (("here:1234", 2, None), "process_id: needed with --coordinator=here:1234"),
        (("here:1234", 2, 2), "process_id: expected 0 to 1 of 2 processes, got 2"),
    ],
)
def test_what_does_not_fit_is_refused(given, said):
    with pytest.raises(InputError) as error:
        hosts.join(*given)
    assert str(error.value) == said


def test_the_command_takes_the_flags(capsys):
    assert "--coordinator=HOST:PORT" in error_of(capsys, "align", "--process_id=1")


def test_a_process_alone_waits_for_nobody():
    team = hosts.join(None, None, None)
    assert team == (0, 1)
    team.wait("begun")


def test_the_end_of_another_process_is_one_line_and_a_quick_end(monkeypatch):
    def barrier(*, key, timeout_ms):
        raise RuntimeError("UNAVAILABLE: task 1 is unhealthy\nmuch more")

    monkeypatch.setattr("orbax.checkpoint.multihost.get_barrier_sync_fn", lambda: barrier)
    ends = []
    monkeypatch.setattr(atexit, "register", ends.append)
    with pytest.raises(InputError, match="another of the 2 processes ended early; the written parts are kept"):
        hosts.Team(0, 2).wait("scored")
    assert ends == [hosts._leave]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def _flags(folder: pathlib.Path) -> list[str]:
    return [
        f"--dataset=folder:{folder.parent / 'images'}",
        f"--network=mine={folder.parent / 'mine.py'}:make",
        "--backbone=none",
        "--num_images=all",
        "--degradations=brightness",
        "--severities=3",
        "--metrics=entropy",
        "--num_resamples=5",
        "--num_devices=1",
        "--output_dir=run",
    ]


def _start(folder: pathlib.Path, *flags: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *_flags(folder), *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _content(folder: pathlib.Path) -> dict[str, bytes]:
    files = (path for path in (folder / "run").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_two_processes_write_what_one_writes(tmp_path, monkeypatch, capsys):
    folders.write_images(tmp_path / "images", "ab", range(7))
    (tmp_path / "mine.py").write_text(folders.NETWORK.format(imported=""))
    where = f"--coordinator=localhost:{_free_port()}"
    team = [_start(tmp_path / "two", where, "--num_processes=2", f"--process_id={i}") for i in range(2)]
    said = [process.communicate(timeout=500) for process in team]
    assert [process.returncode for process in team] == [0, 0], said
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(tmp_path / "one")
    monkeypatch.setattr(store, "PART_IMAGES", 4)
    capsys.readouterr()
    run("align", *_flags(tmp_path / "one"))
    alone = capsys.readouterr().out
    one, two = _content(tmp_path / "one"), _content(tmp_path / "two")
    assert sum("scores/part-" in name for name in two) == 4
    assert [name for name in {**one, **two} if one.get(name) != two.get(name)] == []
    assert said[0][0] == alone and said[1][0] == "", "only the first process prints results"
