"""What a user gets wrong ends with one line that names the thing and the mend; what can be skipped is skipped."""

import csv
import importlib.resources
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
from absl import flags

from causal_iqa.data import scenes
from tests.experiments.binaries import error_of, run

_NETWORK = "--network=scene_cnn_b"
_WEIGHTS = importlib.resources.files("causal_iqa.backbones") / "parameters"


def _write_image(path: pathlib.Path, seed: int, shape: tuple[int, int] = (48, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    PIL.Image.fromarray(coarse).resize(shape[::-1], PIL.Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Ten class folders with one image each and two in the first, one unreadable; classes.txt beside them."""
    root = tmp_path_factory.mktemp("folder")
    for i, name in enumerate(scenes.CLASS_NAMES):
        _write_image(root / "images" / name / "0.png", i)
    (root / "images" / "disk" / "broken.png").write_bytes((root / "images" / "disk" / "0.png").read_bytes()[:60])
    (root / "classes.txt").write_text("\n".join(scenes.CLASS_NAMES))
    return root


@pytest.fixture(scope="module")
def align_flags(folder) -> list[str]:
    """A study on the folder, as small as one can be."""
    return [
        f"--dataset=folder:{folder / 'images'}",
        f"--classes={folder / 'classes.txt'}",
        _NETWORK,
        "--degradations=brightness",
        "--severities=5",
        "--metrics=rms_contrast",
        "--num_images=all",
        "--num_resamples=10",
        "--num_devices=1",
    ]


@pytest.fixture(scope="module")
def finished(align_flags, tmp_path_factory) -> pathlib.Path:
    """The output folder of that study."""
    output = tmp_path_factory.mktemp("finished") / "run"
    run("align", *align_flags, f"--output_dir={output}")
    return output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metrics=psnrr"], ["unknown metric 'psnrr'", "did you mean psnr"]),
        (["--degradations=fogg,jpeg_compression"], ["unknown degradation 'fogg'", "did you mean fog"]),
        (["--network=scene_cnn_d"], ["unknown architecture 'scene_cnn_d'", "scene_cnn_a"]),
        (["--network=cifar_resnet23=x.th"], ["unknown architecture 'cifar_resnet23'", "did you mean cifar_resnet"]),
        (["--network=cifar_resnet20"], ["no weights of cifar_resnet20 come with the library", "scene_cnn_a"]),
        (["--backbone=scene_feature"], ["unknown architecture 'scene_feature'", "did you mean scene_features"]),
        ([_NETWORK, "--dataset=foldr:x"], ["unknown kind 'foldr'", "did you mean folder", "tfds:NAME"]),
        ([_NETWORK, "--dataset=tfds:"], ["dataset", "names nothing", "tfds:NAME"]),
        (["--dataset=folder:/data"], ["dataset", "'/data' does not exist"]),
        (["--dataset=/data/photos"], ["dataset", "'/data/photos' does not exist", "folder:PATH"]),
        (["--dataset=tests"], ["dataset", "'tests' is a folder", "--dataset=folder:tests"]),
        (["--dataset=README.md"], ["dataset", "'README.md' is a file", "folder:PATH"]),
        (["--dataset=folder:tests"], ["networks", "--network=ARCHITECTURE=PATH"]),
        (["--anchor_dataset=tests"], ["anchor_dataset", "--anchor_dataset=folder:tests"]),
        (["--split=tset"], ["split", "'tset'", "did you mean test"]),
        (["--network=scene_cnn_a=missing.safetensors"], ["missing.safetensors", "No such file"]),
        (["--network=scene_cnn_a=weights.h5"], ["weights.h5", ".safetensors", ".pth"]),
        (["--network==x.th"], ["'=x.th'", "NAME=ARCHITECTURE=PATH"]),
        (["--network=scene_cnn_a="], ["'scene_cnn_a='", "ARCHITECTURE=PATH"]),
        (["--network=a/b=scene_cnn_a=x.th"], ["networks", "'a/b'", "without /, @ and +"]),
        ([_NETWORK, _NETWORK], ["networks", "scene_cnn_b given twice", "NAME=ARCHITECTURE=PATH"]),
        (["--num_images=0"], ["--num_images", "positive whole number", "'0'"]),
        (["--num_images=-3"], ["--num_images", "positive whole number", "'-3'"]),
        (["--num_images=many"], ["--num_images", "positive whole number or all", "'many'"]),
        (
            ["--num_images=\N{SUPERSCRIPT TWO}"],
            ["--num_images", "positive whole number or all", "'\N{SUPERSCRIPT TWO}'"],
        ),
        (["--num_images=" + "9" * 5000], ["--num_images", "positive whole number or all"]),
        (["--num_images=" + "9" * 18], ["9" * 18, "only 10000"]),
        (["--num_resamples=1000000000000"], ["num_resamples", "at most 100000"]),
        (["--num_images=1"], ["num_images", "at least 2", "1"]),
        (["--num_images=20000"], ["20000", "only 10000"]),
        (["--severities=0"], ["severities", "0 is the clean image"]),
        (["--severities=1,6"], ["severit", "5", "6"]),
        (["--severities=-1"], ["severit", "-1"]),
        (["--severities=nan"], ["severit", "nan"]),
        (["--severities=high"], ["--severities", "'high'"]),
        (["--severities="], ["severities", "at least one"]),
        (["--severities=1,1.0"], ["severities", "1.0 given twice"]),
        (["--degradations=fog,fog"], ["degradations", "fog given twice"]),
        (["--metrics=psnr,ssim,psnr"], ["metrics", "psnr given twice"]),
        (["--seed=-1"], ["seed", "-1"]),
        (["--level=1.5"], ["level", "between 0 and 1", "1.5"]),
        (["--num_resamples=0"], ["num_resamples", "at least 1"]),
        (["--image_size=4"], ["image_size", "at least 16"]),
        (["--num_anchors=1"], ["num_anchors", "at least 2"]),
        (["--crop_fraction=0"], ["crop_fraction", "between 0 and 1"]),
        (["--anchors=text", "--num_images=4"], ["anchors", "text tower"]),
        (["--anchors=head", "--num_images=4"], ["anchors", "scene_features", "--anchors=images"]),
        (["--anchor_dataset=tfds"], ["anchor_dataset", "tfds:NAME"]),
        (["--batch_size=-1"], ["batch_size", "positive", "-1"]),
        (["--workers=0"], ["workers", "positive", "0"]),
        (["--num_devices=99"], ["num_devices", "99 asked for", "8 here"]),
        (["--memory_gb=0.000001"], ["memory_gb", "--image_size"]),
        (["cifar10"], ["'cifar10'", "--name=value", "--help"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0].startswith("--") else "",
)
def test_align_names_the_thing_and_the_mend(arguments, expected, capsys, tmp_path):
    message = error_of(capsys, "align", *arguments, f"--output_dir={tmp_path / 'run'}")
    assert all(part in message for part in expected), message
    assert not list(tmp_path.glob("run/scores/*")), "a refused study leaves no scores"


@pytest.mark.parametrize("arguments", [["--seed=one"], ["--anchors=imagse"], ["--sevrities=1"]])
def test_align_leaves_mistyped_flags_to_absl(arguments):
    with pytest.raises(flags.Error, match=arguments[0].strip("-").split("=")[0]):
        run("align", *arguments)


def test_align_weights_of_another_architecture(capsys):
    message = error_of(capsys, "align", f"--network=scene_cnn_a={_WEIGHTS / 'scene_cnn_b.safetensors'}")
    assert "does not fit scene_cnn_a" in message
    assert "it fits scene_cnn_b" in message


@pytest.mark.parametrize("kept", [0, 7, 100, 5000])
def test_align_truncated_weights(kept, capsys, tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes((_WEIGHTS / "scene_cnn_b.safetensors").read_bytes()[:kept])
    message = error_of(capsys, "align", f"--network=scene_cnn_b={damaged}")
    assert str(damaged) in message
    assert "truncated or damaged" in message


def test_align_refuses_a_network_with_other_classes(folder, capsys):
    # Without the class list the folder has only the classes it shows.
    _write_image(folder / "two" / "disk" / "0.png", 1)
    _write_image(folder / "two" / "ring" / "0.png", 2)
    message = error_of(capsys, "align", _NETWORK, f"--dataset=folder:{folder / 'two'}", "--num_images=all")
    assert "scene_cnn_b" in message
    assert "10 classes" in message
    assert "has 2" in message
    assert "--classes" in message


def test_align_refuses_a_class_that_is_not_in_the_list(folder, capsys):
    _write_image(folder / "typo" / "dsik" / "0.png", 1)
    classes = f"--classes={folder / 'classes.txt'}"
    message = error_of(capsys, "align", _NETWORK, f"--dataset=folder:{folder / 'typo'}", classes)
    assert "'dsik'" in message
    assert "did you mean disk" in message


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "class folders"),
        (lambda path: path.write_text("no folder"), "is not a folder"),
        (lambda path: _write_image(path / "0.png", 0), "no class folder"),
        (lambda path: (path / "disk").mkdir(parents=True), "no labelled image"),
    ],
)
def test_align_refuses_a_folder_without_images(make, expected, folder, capsys, tmp_path):
    make(tmp_path / "data")
    classes = f"--classes={folder / 'classes.txt'}"
    message = error_of(capsys, "align", _NETWORK, f"--dataset=folder:{tmp_path / 'data'}", classes)
    assert expected in message
    assert str(tmp_path / "data") in message


def test_align_refuses_a_missing_class_list(folder, capsys):
    arguments = [_NETWORK, f"--dataset=folder:{folder / 'images'}", "--classes=missing.txt"]
    message = error_of(capsys, "align", *arguments)
    assert "missing.txt" in message
    assert "No such file" in message


def test_align_refuses_a_data_dir_without_the_dataset_and_stays_offline(capsys, monkeypatch, tmp_path):
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: tried.append(address) or 1 / 0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: tried.append(address) or 1 / 0)
    message = error_of(capsys, "align", _NETWORK, "--dataset=tfds:cifar10", f"--data_dir={tmp_path}")
    assert "cifar10" in message
    assert str(tmp_path) in message
    assert "--download" in message
    message = error_of(capsys, "align", _NETWORK, "--dataset=tfds:cifar11", f"--data_dir={tmp_path}")
    assert "did you mean" in message
    assert "cifar10" in message
    assert not tried


def test_align_refuses_an_output_folder_that_is_a_file(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    message = error_of(capsys, "align", "--num_images=4", "--num_anchors=8", f"--output_dir={tmp_path / 'file'}")
    assert "output_dir" in message
    assert "cannot be made" in message


def test_align_skips_and_lists_an_unreadable_image(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["num_images"] == 10
    assert [one["id"] for one in summary["skipped"]] == ["disk/broken.png"]
    assert summary["skipped"][0]["reason"]
    estimated = {name for name, entry in summary["metrics"].items() if entry["family"] == "network_output"}
    assert set(summary["metrics"]) - estimated == {"rms_contrast"}
    assert summary["conditions"] == ["clean/0", "brightness/5"]
    assert (finished / "report.html").stat().st_size > 0


def test_align_refuses_the_output_folder_of_another_config(align_flags, finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    message = error_of(capsys, "align", *align_flags, "--seed=7", f"--output_dir={finished}")
    assert str(finished) in message
    assert "seed (0 there, 7 now)" in message
    assert "start a new --output_dir or restore it" in message
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_full_disk_ends_in_one_line_and_keeps_what_is_there(align_flags, finished, capsys, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    monkeypatch.setattr("os.write", full)
    with pytest.raises(SystemExit):
        run("align", *align_flags, f"--output_dir={finished}")
    monkeypatch.undo()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and "cannot be written (No space left on device)" in last
    assert last.endswith(f"parts of the scores kept in {finished}: 1; the same command continues from there")
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}


def test_audit_judges_a_finished_run_without_scoring(finished, capsys):
    scores = {path: path.read_bytes() for path in (finished / "scores").glob("*")}
    run("audit", f"--run={finished}")
    printed = capsys.readouterr().out
    assert "rms_contrast (no_reference)" in printed
    assert "sensitive" in printed
    audited = json.loads((finished / "audit.json").read_text())
    assert audited["families"]["no_reference"]["metrics"] == ["rms_contrast"]
    assert set(audited["desiderata"]) >= {"rms_contrast", "confidence"}
    assert audited["desiderata"]["rms_contrast"]["free_standing"]["answer"] == "yes"
    assert "X_in -> Q" in audited["families"]["no_reference"]["graph"]
    assert {"x": "C", "y": "S", "given": []} in audited["families"]["no_reference"]["independences"]
    assert set(audited["effects"]) == set(audited["trends"]) >= {"accuracy", "rms_contrast"}
    # A second oracle for the effect: the plain mean of paired differences in the stored table.
    rows = pq.ParquetFile(next((finished / "scores").glob("*.parquet"))).read().to_pydict()
    by_severity = {
        severity: [v for v, s in zip(rows["rms_contrast"], rows["severity"], strict=True) if s == severity]
        for severity in (0.0, 5.0)
    }
    effect = audited["effects"]["rms_contrast"]["brightness/5"]
    assert effect["effect"] == pytest.approx(np.mean(by_severity[5.0]) - np.mean(by_severity[0.0]), abs=1e-6)
    assert effect["low"] <= effect["effect"] <= effect["high"]
    text = (finished / "audit.md").read_text()
    assert "| `brightness/5` |" in text
    assert "C and Q given X" in text
    assert scores == {path: path.read_bytes() for path in (finished / "scores").glob("*")}


def test_audit_refuses_what_is_no_finished_run(finished, capsys, tmp_path):
    message = error_of(capsys, "audit", f"--run={tmp_path}")
    assert "config.json" in message
    assert "causal-iqa align" in message
    unfinished = tmp_path / "unfinished"
    (unfinished / "scores").mkdir(parents=True)
    for name in ("config.json", "images.parquet"):
        (unfinished / name).write_bytes((finished / name).read_bytes())
    message = error_of(capsys, "audit", f"--run={unfinished}")
    assert "1 of 1 parts missing" in message
    assert "finish it" in message
    part = next((finished / "scores").glob("*.parquet"))
    (unfinished / "scores" / part.name).write_bytes(part.read_bytes()[:-40])
    assert "part-00000.parquet" in error_of(capsys, "audit", f"--run={unfinished}")
    (unfinished / "images.parquet").unlink()
    assert "images.parquet is missing" in error_of(capsys, "audit", f"--run={unfinished}")
    (unfinished / "config.json").write_text("{}")
    assert "cannot be read" in error_of(capsys, "audit", f"--run={unfinished}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metrics=entrpy"], ["unknown metric 'entrpy'", "did you mean entropy"]),
        (["--metrics=ssim"], ["ssim", "pristine", "entropy"]),
        (["--metrics=entropy,entropy"], ["entropy given twice"]),
        (["--metrics="], ["metrics", "at least one metric or backbone"]),
        (["--backbone=scene_features"], ["--anchor_dataset", "--anchors=head"]),
        (["--backbone=scene_feature", "--anchors=head"], ["unknown architecture", "scene_features"]),
        (["--backbone=scene_features", "--anchor_dataset=imagenet"], ["unknown kind 'imagenet'", "tfds:NAME"]),
        (["--image_size=8"], ["image_size", "at least 16"]),
        (["--crop_fraction=2"], ["crop_fraction", "between 0 and 1"]),
        (["--seed=-1"], ["seed", "-1"]),
        (["--num_anchors=0"], ["num_anchors", "at least 2"]),
        (["--output=scores.xls"], ["scores.xls", ".csv or .parquet"]),
        (["--num_devices=99"], ["num_devices", "99 asked for"]),
        (["--images=missing"], ["'missing'", "does not exist"]),
        (["--quality=entrpy", "--metrics=entropy", "--num_devices=1"], ["quality", "did you mean entropy"]),
        (["--accuracy=90"], ["accuracy", "between 0 and 1"]),
        (["--threshold=nan"], ["threshold", "finite"]),
        (["--backbone=none", "--backbone=scene_features"], ["none stands alone"]),
        (["--map=missing"], ["run: no missing/config.json", "causal-iqa align"]),
        (["--reference=x", "--metrics=entropy"], ["reference", "no set is called 'x'"]),
    ],
)
def test_score_names_the_thing_and_the_mend(arguments, expected, folder, capsys, tmp_path):
    images = [] if arguments[0].startswith("--images") else [f"--images={folder / 'images'}"]
    output = f"--output_dir={tmp_path / 'out'}"
    backbone = [] if any(one.startswith("--backbone") for one in arguments) else ["--backbone=none"]
    message = error_of(capsys, "score", *images, *backbone, output, *arguments)
    assert all(part in message for part in expected), message
    assert not list(tmp_path.iterdir())


def test_score_refuses_a_folder_without_readable_images(capsys, tmp_path):
    (tmp_path / "images").mkdir()
    arguments = [f"--images={tmp_path / 'images'}", f"--output_dir={tmp_path / 's'}", "--metrics=entropy"]
    arguments += ["--backbone=none"]
    assert "none below" in error_of(capsys, "score", *arguments)
    (tmp_path / "images" / "empty.jpg").write_bytes(b"")
    arguments += ["--num_devices=1", "--image_size=32"]
    with pytest.raises(SystemExit):
        run("score", *arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "none of the 1" in last
    assert "empty.jpg: the file is empty" in last


def test_score_gives_a_row_per_readable_image(folder, capsys, tmp_path):
    common = [f"--images={folder / 'images'}", "--metrics=rms_contrast,noise_sigma", "--num_devices=1"]
    common += [f"--output={tmp_path / 'scores.csv'}"]
    run("score", *common, "--backbone=none", f"--output_dir={tmp_path / 'plain'}")
    printed = capsys.readouterr().out
    assert "skipped disk/broken.png: " in printed
    assert "1 unreadable images were left out, 10 scored" in printed
    assert "10 images at 48 pixels" in printed
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["image_id"] for row in rows] == sorted(f"{name}/0.png" for name in scenes.CLASS_NAMES)
    for row in rows:
        pixels = np.asarray(PIL.Image.open(folder / "images" / row["image_id"]).convert("RGB"), np.float64) / 255
        assert float(row["rms_contrast"]) == pytest.approx((pixels @ [0.299, 0.587, 0.114]).std(), rel=1e-4)
    backbone = ["--backbone=scene_features", f"--anchor_dataset=folder:{folder / 'anchors'}"]
    for i, name in enumerate(scenes.CLASS_NAMES[:3]):
        _write_image(folder / "anchors" / name / "0.png", 50 + i)
    run("score", *common, *backbone, f"--output_dir={tmp_path / 'read'}")
    assert "stages_free@scene_features" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "read" / "scores.parquet")
    assert table.column_names == [
        "image_id", "set", "group", "label", "width", "height", "format", "odd", "rms_contrast", "noise_sigma",
        "witness_free@scene_features", "ridge_free@scene_features", "stages_free@scene_features", "quality",
        "percentile", "percentile_in_reference", "expected_correct", "cause", "cause_severity", "cause_probability",
        "undefined",
    ]  # fmt: skip
    assert table["quality"].to_pylist() == table["stages_free@scene_features"].to_pylist()
    assert set(table["format"].to_pylist()) == {"PNG"} and table["group"].to_pylist() == sorted(scenes.CLASS_NAMES)
    assert table["image_id"].to_pylist() == [row["image_id"] for row in rows]
    expected = [float(row["noise_sigma"]) for row in rows]
    np.testing.assert_allclose(table["noise_sigma"].to_numpy(), expected, rtol=1e-5)
    assert np.isfinite(table["ridge_free@scene_features"].to_numpy()).all()
    records = json.loads(table.schema.metadata[b"causal_iqa"])["columns"]
    assert records["ridge_free@scene_features"]["num_anchors"] == 3
    assert records["noise_sigma"]["higher_is_better"] is False


def test_score_never_takes_an_image_as_its_own_anchor(folder, capsys, tmp_path):
    anchors = ["--backbone=scene_features", f"--anchor_dataset=folder:{folder / 'images'}"]
    message = error_of(capsys, "score", f"--images={folder}", *anchors, f"--output_dir={tmp_path / 's'}")
    assert "left as an anchor" in message


def test_score_resizes_photos_of_varying_size(capsys, tmp_path):
    _write_image(tmp_path / "photos" / "wide.png", 0, (40, 60))
    _write_image(tmp_path / "photos" / "tall.png", 1, (70, 30))
    arguments = [f"--images={tmp_path / 'photos'}", f"--output_dir={tmp_path / 's'}", "--metrics=rms_contrast"]
    run("score", *arguments, "--num_devices=1", "--backbone=none")
    printed = capsys.readouterr().out
    assert "2 images at 224 pixels" in printed and "were enlarged" in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--network=scene_cnn_z"], ["unknown trainable network 'scene_cnn_z'", "scene_cnn_a"]),
        (["--dataset=scene"], ["unknown kind 'scene'", "did you mean scenes"]),
        (["--num_images=0"], ["num_images", "positive whole number", "'0'"]),
        (["--num_images=10", "--batch_size=20"], ["batch_size", "20", "10"]),
        (["--split=trian"], ["split", "'trian'", "did you mean train"]),
        (["--output=weights.pth"], ["weights.pth", ".safetensors"]),
        (["--learning_rate=-1"], ["learning_rate", "-1"]),
        (["--seed=-1"], ["seed", "-1"]),
        (["--padding=-1"], ["padding", "-1"]),
    ],
)
def test_train_names_the_thing_and_the_mend(arguments, expected, capsys, tmp_path):
    output = [] if arguments[0].startswith("--output") else [f"--output={tmp_path / 'weights.safetensors'}"]
    message = error_of(capsys, "train", *arguments, *output)
    assert all(part in message for part in expected), message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "experiments.align", "--metrics=psnrr"], "error: unknown metric 'psnrr': did you mean psnr"),
        (["-m", "experiments.audit"], "error: --run must be given"),
    ],
)
def test_a_shell_sees_one_line_and_no_traceback(arguments, expected):
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith(expected)
    assert len(ended.stderr.splitlines()) == 1
