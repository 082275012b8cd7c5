"""`score` by the map of a run: scored as the run scored, expected accuracies, refusals."""

import pathlib

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

import causal_iqa
from causal_iqa import _files, pipeline
from causal_iqa.data import scenes
from causal_iqa.pipeline import degraded_anchors
from tests.experiments.binaries import error_of, run

_OPTIONS = ("--metrics=rms_contrast,noise_sigma", "--num_devices=1")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> pathlib.Path:
    """A small run of align, whose map is taken."""
    folder = tmp_path_factory.mktemp("study") / "run"
    arguments = ("--network=scene_cnn_b", "--backbone=scene_features", "--severities=2,5", "--num_images=64")
    degradations = "--degradations=gaussian_noise,brightness,defocus_blur,contrast"
    more = ("--num_anchors=120", "--num_resamples=10", "--num_devices=1", "--metrics=rms_contrast")
    with pytest.MonkeyPatch.context() as patch:
        # One of the degradations that the rule chooses: the others are as many programs.
        some = tuple(map(pipeline.Condition.parse, ("vignetting/2", "vignetting/4")))
        patch.setattr(degraded_anchors, "choose", lambda num, *_, **__: degraded_anchors.DegradedAnchors(num, some))
        run("align", *arguments, degradations, *more, "--degraded_anchors=40", f"--output_dir={folder}")
    return folder


@pytest.fixture(scope="module")
def mapped(photo_folders, study, tmp_path_factory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("mapped") / "out"
    sets = [f"--images={name}={photo_folders / name}" for name in ("clean", "noisy")]
    sets += [f"--labels={photo_folders / 'classes.txt'}"]
    run("score", *sets, f"--map={study}", "--network=scene_cnn_b", *_OPTIONS, f"--output_dir={output}")
    return output


def test_two_sets_by_a_map(mapped, capsys):
    summary = _files.read_json(mapped / "summary.json")
    clean, noisy = summary["sets"]
    assert (clean["name"], noisy["name"], noisy["unreadable"]) == ("clean", "noisy", 1)
    assert summary["metric"] == "stages_free@scene_features" and summary["map"]["networks"] == ["scene_cnn_b"]
    for one in (clean, noisy):
        expected, actual = one["networks"][0]["expected"], one["networks"][0]["actual"]["value"]
        assert expected["low"] <= actual <= expected["high"]
    assert clean["expected"]["value"] > noisy["expected"]["value"] + 0.1
    (comparison,) = summary["comparisons"]
    difference = comparison["expected_accuracy"]
    actual = noisy["networks"][0]["actual"]["value"] - clean["networks"][0]["actual"]["value"]
    assert comparison["features"]["p_value"] < 0.01 and difference["value"] < -0.1
    # Four degradations teach little about a fifth: the interval is wide, and holds the truth.
    assert difference["low"] <= actual <= difference["high"]
    table = pq.read_table(mapped / "scores.parquet")
    probability = np.asarray(table["expected_correct"].to_pylist(), float)
    of_clean = np.asarray(table["set"].to_pylist()) == "clean"
    assert probability[of_clean].mean() == pytest.approx(clean["expected"]["value"], abs=1e-3)
    assert table["cause"].null_count in (0, table.num_rows)


def test_scores_are_those_of_the_run(study, tmp_path):
    """The run's own clean images, scored as files, have the run's own scores: the map applies."""
    table = pipeline.read_run(study).table
    source = scenes.SceneSource(split="test", seed=0)
    by_id = {source.id(i): i for i in range(len(source))}
    chosen = table.image_ids[:20]
    for name in chosen:
        PIL.Image.fromarray(source[by_id[name]].image).save(tmp_path / f"{name.replace('/', '_')}.png")
    found = causal_iqa.score(tmp_path, map=study, metrics=[], execution=pipeline.Execution(num_devices=1))
    clean = [condition.severity for condition in table.conditions].index(0)
    place = {name.replace("/", "_") + ".png": i for i, name in enumerate(table.image_ids)}
    ids = [place[name] for name in found.table["image_id"].to_pylist()]
    own = table.columns["stages_free@scene_features"][clean, ids]
    np.testing.assert_allclose(found.quality, own, rtol=2e-4, atol=2e-4)
    learned = "success_free@scene_features"
    there = np.abs(found.table[learned].to_numpy() - table.columns[learned][clean, ids]) < 2e-4
    assert there.mean() > 0.9  # Rounding may cross the threshold of a tree.


def test_a_map_of_something_else_is_refused(photo_folders, study, capsys, tmp_path):
    base = (f"--images={photo_folders / 'clean'}", f"--map={study}", f"--output_dir={tmp_path / 'x'}")
    for flag, words in (
        ("--image_size=64", "learned at 48 pixels, 64 were asked for"),
        ("--backbone=cifar_resnet20=x.th", "learned with scene_features, cifar_resnet20 was asked for"),
        ("--anchors=head", "learned with its own anchors (images)"),
        ("--quality=ridge", "'ridge' is not scored"),
    ):
        assert words in error_of(capsys, "score", *base, *_OPTIONS, flag)
