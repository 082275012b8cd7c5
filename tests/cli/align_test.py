"""The main binary: a killed run goes on, and its summary equals that of an undisturbed run to the byte."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

_ROOT = pathlib.Path(__file__).parents[2]
_FLAGS = (
    "--network=scene_cnn_a",
    "--backbone=scene_features",
    "--degradations=contrast,brightness",
    "--severities=3",
    "--metrics=mse,entropy",
    "--num_images=200",
    "--num_anchors=60",
    "--num_resamples=20",
)


def _start(folder, **kwargs):
    # The command itself says how many devices there are.
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ["XLA_FLAGS"])
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "experiments.align", *_FLAGS, f"--output_dir={folder}"]
    return subprocess.Popen(command, cwd=folder.parent, env=environment, text=True, **kwargs)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("align") / "whole"
    process = _start(folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return folder, printed


def test_output_is_complete(whole):
    folder, printed = whole
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["schema"] == 1 and summary["num_images"] == 200 and summary["skipped"] == []
    assert summary["conditions"] == ["clean/0", "contrast/3", "brightness/3"]
    network = summary["networks"]["scene_cnn_a"]
    assert set(network["accuracy"]) == set(summary["conditions"])
    assert network["clean_accuracy"] == network["accuracy"]["clean/0"] > 0.9
    families = {name: entry["family"] for name, entry in summary["metrics"].items()}
    assert families["mse"] == "full_reference" and families["entropy"] == "no_reference"
    assert families["ridge_free@scene_features"] == "label_free"
    assert families["ridge_guided@scene_features"] == "task_guided"
    for entry in summary["metrics"].values():
        assert set(entry["alignment"]) == {"scene_cnn_a", "all"}
        for interval in entry["alignment"]["all"].values():
            assert set(interval) == {"rho", "low", "high"}
    pooled = summary["metrics"]["ridge_guided@scene_features"]["alignment"]["all"]["pooled"]
    assert pooled["low"] <= pooled["rho"] <= pooled["high"]
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "accuracy_against_quality.png",
        "alignment_bars.png",
        "blind_spots.png",
        "dose_response.png",
    }
    assert "<html" in (folder / "report.html").read_text()
    assert json.loads((folder / "config.json").read_text())["config"]["num_images"] == 200
    assert "ridge_guided@scene_features" in printed and f"results: {folder} (report.html shows them)" in printed


def _end(cut, part, number):
    """Starts the run and ends it by a signal once a part is there; returns its exit code and what it said last."""
    process = _start(cut, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 300
    while not (cut / "scores" / part).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    return process.returncode, (errors.splitlines() or [""])[-1]


def test_a_killed_run_goes_on_to_the_same_summary(whole):
    folder, _ = whole
    cut = folder.parent / "cut"
    code, _ = _end(cut, "part-00000.parquet", signal.SIGKILL)
    assert code == -signal.SIGKILL
    code, line = _end(cut, "part-00001.parquet", signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert re.fullmatch(
        rf"terminated: parts of the scores kept in {cut}: [2-4]; the same command continues from there", line
    )
    assert not (cut / "summary.json").exists()
    process = _start(cut, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    for name in ("summary.json", "findings.json"):
        assert (cut / name).read_bytes() == (folder / name).read_bytes()
