"""`score` and `degrade` by Beam's runner of this machine, in several processes, one of which is killed."""

import functools
import os
import pathlib
import signal

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("apache_beam", reason="Apache Beam is not installed (extra beam, in an environment of its own)")

from causal_iqa import InputError, copies
from causal_iqa.beam import copying, running, scoring
from causal_iqa.pipeline import scored
from tests.experiments.binaries import error_of, run

_PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
_SCORE = ("--metrics=entropy", "--backbone=none", "--num_devices=1")
_DEGRADE = (
    "--degradations=contrast",
    "--severities=2,3",
    "--parameters=cifar_c",
    "--condition=contrast/4+brightness/2",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(40):
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(folder / "ab"[i % 2] / f"{i:02d}.png")
    (folder / "a" / "broken.png").write_bytes(b"nothing")
    return folder


def _kill_once(folder: str) -> None:
    """Kills this worker, as want of memory does, the first time that it comes here."""
    mark = pathlib.Path(f"{folder}-killed")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


# The workers import these by their names; what they call there is not replaced.
def score_part_or_die(element, job):
    if element[0].number == 2:
        _kill_once(job.folder)
    return scoring.score_part(element, job)


def do_task_or_die(element, job):
    if element[0].number == 1:
        _kill_once(job.folder)
    return copying.do_task(element, job)


def refuse(element, job):
    raise InputError("images: not these")


def die(element, job):
    os.kill(os.getpid(), signal.SIGKILL)


def _content(folder: pathlib.Path) -> dict[str, bytes]:
    # The names of parts are those of the scoring; leftovers of a killed write begin with a point.
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _differing(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    return [name for name in {**one, **two} if one.get(name) != two.get(name)]


@pytest.mark.parametrize("report", ["--report", "--noreport"])
def test_score_by_two_processes_of_which_one_is_killed(images, tmp_path, monkeypatch, report):
    monkeypatch.setattr(scored, "PART_IMAGES", 4)
    flags = (f"--images={images}", *_SCORE, report)
    run("score", *flags, f"--output_dir={tmp_path / 'alone'}")
    alone = _content(tmp_path / "alone")
    assert sum(name.startswith("scores/") for name in alone) == 11 and ("totals.json" in alone) == (
        report != "--report"
    )
    monkeypatch.setattr(scoring, "score_part", score_part_or_die)
    out = tmp_path / "out"
    run("score", *flags, f"--output_dir={out}", "--runner=DirectRunner", "--", *_PROCESSES)
    assert pathlib.Path(f"{out}-killed").exists()
    assert _differing(alone, _content(out)) == []


def test_degrade_by_two_processes_of_which_one_is_killed(images, tmp_path, monkeypatch):
    prepare = functools.partial(copies.prepare, images_per_task=8)
    monkeypatch.setattr(copies, "prepare", prepare)
    flags = (f"--images={images}", *_DEGRADE)
    run("degrade", *flags, f"--output_dir={tmp_path / 'alone'}", "--num_processes=1")
    monkeypatch.setattr(copying, "do_task", do_task_or_die)
    out = tmp_path / "out"
    run("degrade", *flags, f"--output_dir={out}", "--runner=DirectRunner", "--", *_PROCESSES)
    assert pathlib.Path(f"{out}-killed").exists()
    alone = _content(tmp_path / "alone")
    assert len(alone) == 3 * 40 + 3 + 12, "copies, manifests and parts of the record"
    assert _differing(alone, _content(out)) == []


def test_a_mistake_that_a_worker_finds_is_one_line(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(copying, "do_task", refuse)
    flags = (f"--images={images}", f"--output_dir={tmp_path / 'out'}", *_DEGRADE, "--runner=DirectRunner")
    with pytest.raises(SystemExit):
        run("degrade", *flags)
    assert capsys.readouterr().err.splitlines()[-1] == "error: images: not these"


def test_workers_that_die_each_time_end_the_command(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(running, "_ATTEMPTS", 1)
    monkeypatch.setattr(copying, "do_task", die)
    flags = (f"--images={images}", f"--output_dir={tmp_path / 'out'}", *_DEGRADE, "--runner=DirectRunner")
    with pytest.raises(SystemExit):
        run("degrade", *flags, "--", *_PROCESSES)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: runner: 1 worker processes ended without a word") and "fewer workers" in said


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--direct_num_workers=many", "runner: Beam refuses its flags: argument --direct_num_workers: invalid int"),
        (
            "--direct_num_worker=2",
            "runner: DirectRunner has no flag --direct_num_worker: did you mean direct_num_workers",
        ),
    ],
)
def test_wrong_flags_of_beam_are_refused_at_once(images, tmp_path, capsys, flag, said):
    flags = (f"--images={images}", f"--output_dir={tmp_path / 'out'}", "--runner=DirectRunner", "--", flag)
    for command, own in (("score", _SCORE), ("degrade", _DEGRADE)):
        assert error_of(capsys, command, *own, *flags).startswith(f"error: {said}")
    assert not (tmp_path / "out").exists()
