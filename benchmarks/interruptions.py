"""Kills `align`, `score`, `audit` and `degrade` at random moments, lets the same command finish, compares the files.

  python -m benchmarks.interruptions --kills=50 --json=interruptions.json

Every command runs once undisturbed. Then it is started again and again and ended by SIGKILL, SIGTERM or SIGINT, at a
moment drawn from the time that the undisturbed run took; after a few kills it may finish. Its files must then equal
those of the undisturbed run, byte for byte, and after every kill each file that exists must be whole.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
from absl import app, flags

from causal_iqa import _files, data

_KILLS = flags.DEFINE_integer("kills", 50, "Kills in all, over the commands.")
_COMMANDS = flags.DEFINE_list(
    "commands", ["align", "score", "audit", "degrade"], "Of which runs are killed; audit needs align."
)
_IN_A_ROW = flags.DEFINE_integer("in_a_row", 5, "Kills before a run may finish.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments and the signals.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

_ROOT = pathlib.Path(__file__).parents[1]
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_ALIGN = (
    "--network=scene_cnn_a",
    "--backbone=scene_features",
    "--degradations=contrast,jpeg_compression",
    "--severities=2,4",
    "--metrics=mse,entropy",
    "--num_images=640",
    "--num_anchors=40",
    "--num_resamples=20",
)
_DEGRADE = (
    "--degradations=contrast,jpeg_compression,gaussian_noise",
    "--severities=2,4",
    "--parameters=cifar_c",
    "--num_processes=2",
)


class Command(NamedTuple):
    """A command of which runs are killed: its flags, and the folder that it writes into."""

    name: str
    flags: tuple[str, ...]
    folder: pathlib.Path


class Outcome(NamedTuple):
    """What one command's kills came to."""

    name: str
    seconds: float  # of the undisturbed run
    kills: dict[str, int]  # signal -> how many
    finished: int  # runs that were let finish afterwards
    differing: list[str]  # files that differ from the undisturbed run's
    broken: list[str]  # files that were not whole after a kill
    lost: int  # images without a row
    doubled: int  # images with rows twice


def _start(command: Command) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{command.name}", *command.flags],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(command: Command) -> None:
    process = _start(command)
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command.name} ended with {process.returncode}: {errors.decode()[-2000:]}")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder by its path, but for locks and what a killed write left behind."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def is_whole(name: str, content: bytes) -> bool:
    """Whether a file is what some run wrote to its end."""
    if name.endswith((".json", ".parquet")):
        return _files.is_whole(content)
    endings = {".png": b"IEND\xaeB`\x82", ".html": b"</html>", ".md": b"\n", ".csv": b"\r\n", ".txt": b"\n"}
    return content.rstrip(b"\n").endswith(endings[pathlib.Path(name).suffix].rstrip(b"\n"))


def _images_of(folder: pathlib.Path) -> list[str]:
    """The images of all rows of a finished run or table, once per condition."""
    if (folder / "manifest.parquet").exists():
        return pq.ParquetFile(folder / "manifest.parquet").read(["path"])["path"].to_pylist()
    if (folder / "scores.parquet").exists():
        return pq.ParquetFile(folder / "scores.parquet").read(["image_id"])["image_id"].to_pylist()
    parts = sorted(folder.glob("scores/*.parquet"))
    rows = [pq.ParquetFile(path).read(["image_id", "condition"]).to_pylist() for path in parts]
    return [f"{row['image_id']} {row['condition']}" for part in rows for row in part]


def disturb(command: Command, kills: int, in_a_row: int, draw: random.Random) -> Outcome:
    """Kills runs of a command and compares what it writes in the end.

    Args:
      command: command to start; its folder is as it was before the command.
      kills: how many.
      in_a_row: before a run may finish.
      draw: generator of the moments and the signals.
    """
    before = contents(command.folder)
    start = time.monotonic()
    _finish(command)
    seconds = time.monotonic() - start
    expected, expected_rows = contents(command.folder), _images_of(command.folder)
    counts, differing, broken, finished, lost, doubled = {}, [], [], 0, 0, 0
    left = kills
    while left:
        _restore(command.folder, before)
        for _ in range(min(in_a_row, left)):
            process = _start(command)
            try:
                process.wait(timeout=draw.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                left -= 1  # Whoever was done before is not counted.
                number = draw.choice(_SIGNALS)
                counts[number.name] = counts.get(number.name, 0) + 1
                process.send_signal(number)
            _, errors = process.communicate()
            print(
                f"{command.name}: {left} kills left, {len(broken)} broken, {time.monotonic() - start:.0f} s", flush=True
            )
            if b"Traceback" in errors:
                broken.append(f"traceback: {errors.decode()[-500:]}")
            found = contents(command.folder)
            broken += [name for name, content in found.items() if not is_whole(name, content)]
        _finish(command)
        finished += 1
        found, rows = contents(command.folder), _images_of(command.folder)
        differing += [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
        lost += len(set(expected_rows) - set(rows))
        doubled += len(rows) - len(set(rows))
    return Outcome(command.name, seconds, counts, finished, differing, broken, lost, doubled)


def _restore(folder: pathlib.Path, before: dict[str, bytes]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    for name, content in before.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _commands(folder: pathlib.Path) -> list[Command]:
    source = data.open_source("scenes")
    (folder / "images").mkdir()
    for i in range(600):
        PIL.Image.fromarray(np.asarray(source[i].image)).save(folder / "images" / f"{i:03d}.png")
    copied = folder / "copied"
    scores = ("--backbone=none", f"--output_dir={folder / 'scored'}")
    return [
        Command("align", (*_ALIGN, f"--output_dir={folder / 'run'}"), folder / "run"),
        Command("score", (f"--images={folder / 'images'}", *scores), folder / "scored"),
        Command("audit", (f"--run={folder / 'run'}",), folder / "run"),
        Command("degrade", (*_DEGRADE, f"--images={folder / 'images'}", f"--output_dir={copied}"), copied),
    ]


def main(_: list[str]) -> None:
    """Runs the suite, prints a line per command and writes JSON."""
    draw = random.Random(_SEED.value)
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
        commands = [command for command in _commands(folder) if command.name in _COMMANDS.value]
        for place, command in enumerate(commands):
            kills = _KILLS.value * (place + 1) // len(commands) - _KILLS.value * place // len(commands)
            command.folder.mkdir(exist_ok=True)
            outcomes.append(disturb(command, kills, _IN_A_ROW.value, draw))
            print(outcomes[-1], flush=True)
            if _JSON.value:
                _files.write_json(_JSON.value, {"seed": _SEED.value, "commands": [one._asdict() for one in outcomes]})
    failed = [one for one in outcomes if one.differing or one.broken or one.lost or one.doubled]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    app.run(main)
