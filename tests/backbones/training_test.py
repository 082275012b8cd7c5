"""Training: it learns, it repeats, what it writes can be read, and VICReg is its formula."""

import numpy as np
import pytest

import causal_iqa
from causal_iqa import backbones, data
from causal_iqa.backbones import training

_TINY = training.TrainConfig(
    network="scene_cnn_c", num_images=96, num_evaluation=32, steps=25, batch_size=32, learning_rate=1e-2
)


def _sources():
    return data.open_source("scenes", split="train"), data.open_source("scenes", split="test")


def test_training_learns_repeats_and_can_be_read(tmp_path):
    first = training.train(_TINY, *_sources(), progress=False)
    assert first.losses.shape == (25,)
    assert first.losses[-5:].mean() < first.losses[:5].mean()
    second = training.train(_TINY, *_sources(), progress=False)
    np.testing.assert_array_equal(first.losses, second.losses)
    path = tmp_path / "net.safetensors"
    training.save(str(path), _TINY, first, {"dataset": "scenes"})
    network = backbones.load("scene_cnn_c", path)
    np.testing.assert_array_equal(network.head()[0], first.params["head"]["kernel"])
    metadata = backbones.read(path).metadata
    assert metadata["steps"] == "25" and metadata["dataset"] == "scenes" and 0 <= float(metadata["accuracy"]) <= 1


def test_vicreg_is_its_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 5))
    expected = 25.0 * ((a - b) ** 2).sum(axis=1).mean() / 5
    for z in (a, b):
        expected += 25.0 * np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)).mean() / 2
        covariance = np.cov(z.T)
        expected += sum(covariance[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    found = training.vicreg(a.astype(np.float32), b.astype(np.float32))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_views_need_no_labels():
    config = training.TrainConfig(
        network="scene_features", objective="views", num_images=64, num_evaluation=32, steps=3, batch_size=32
    )
    result = training.train(config, *_sources(), progress=False)
    assert set(result.evaluation) == {"view_retrieval"} and np.isfinite(result.losses).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "lable"}, "objective"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 30_000}, "batch_size"),
        ({"network": "scene_cnn_d"}, "scene_cnn_"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(causal_iqa.InputError, match=message):
        training.train(training.TrainConfig(**{"network": "scene_cnn_a", **change}), *_sources(), progress=False)


def test_views_of_photographs_are_refused(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (48, 48)).save(tmp_path / name / "0.png")
    source = data.open_source(f"folder:{tmp_path}")
    config = training.TrainConfig(network="scene_features", objective="views")
    with pytest.raises(causal_iqa.InputError, match="only scenes"):
        training.train(config, source, source, progress=False)
