"""The diagnosis: its statistics, a small fit that must find its causes, files, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, data, diagnosis

CAUSES = ("gaussian_noise", "contrast")
SIDE = 64


@pytest.fixture(scope="module")
def anchors() -> np.ndarray:
    source = data.open_source("scenes", split="train")
    pixels = np.stack([example.image for example in source.batch(np.arange(20))])
    return pixels.repeat(2, axis=1).repeat(2, axis=2)[:, :SIDE, :SIDE]


@pytest.fixture(scope="module")
def samples(anchors):
    return diagnosis.make_samples(jax.random.key(0), anchors, ("none", *CAUSES), others=("occlusion",))


@pytest.fixture(scope="module")
def model(samples):
    return diagnosis.fit_samples(jax.random.key(1), samples, ("none", *CAUSES), side=SIDE, steps=100)


def test_samples(samples, anchors):
    counts = np.bincount(samples.causes, minlength=4)
    # Others are together as frequent as one cause; every anchor is under every cause, each time at another severity.
    assert counts.tolist() == [20, 20, 20, 20]
    assert (samples.severities[samples.causes == 0] == 0).all()
    heavy = samples.severities[samples.causes == 1]
    assert len(np.unique(heavy)) == 20 and 0.5 <= heavy.min() < 1.5 and 4 < heavy.max() <= 5
    assert np.isfinite(samples.values).all() and (np.bincount(samples.anchors) == 4).all()


@pytest.mark.slow
def test_finds_the_causes_of_unseen_images(model, anchors):
    source = data.open_source("scenes", split="test")
    clean = np.stack([example.image for example in source.batch(np.arange(16))])
    clean = clean.repeat(2, axis=1).repeat(2, axis=2)[:, :SIDE, :SIDE]
    said = []
    for name in model.causes:
        pixels = diagnosis.degrade(jax.random.key(5), clean, name, np.full(8, 4.0), family=None)
        said.append(jax.jit(diagnosis.diagnose)(model, pixels))
    for i, one in enumerate(said):
        assert (np.asarray(one.probabilities).argmax(axis=1) == i).mean() > 0.7, model.causes[i]
        sums = np.asarray(one.probabilities).sum(axis=1) + np.asarray(one.unexplained)
        np.testing.assert_allclose(sums, 1.0, atol=1e-5)
    severities = np.asarray(said[1].severities)
    assert abs(np.median(severities) - 4.0) < 1.0
    assert (np.asarray(said[0].severities)[np.asarray(said[0].probabilities).argmax(axis=1) == 0] == 0).all()
    # An image is diagnosed alone, as an array or as the file it was stored in.
    pixels = np.concatenate([clean[:2], anchors[:1]])
    whole = diagnosis.diagnose(model, pixels)
    alone = diagnosis.diagnose(model, jnp.asarray(pixels[1:2], jnp.float32) / 255.0)
    np.testing.assert_allclose(whole.probabilities[1], alone.probabilities[0], atol=1e-4)


def test_files(model, samples, tmp_path):
    path = tmp_path / "model.safetensors"
    diagnosis.save(model, path)
    again = diagnosis.load(path)
    assert (again.causes, again.side, again.notes) == (model.causes, model.side, model.notes)
    ours, theirs = (diagnosis.read_statistics(m, jnp.asarray(samples.values)) for m in (model, again))
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=0.02)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="safetensors"):
        diagnosis.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        diagnosis.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="ending in"):
        diagnosis.save(model, tmp_path / "model.npz")


def test_bad_input(model, anchors):
    with pytest.raises(ValueError, match=r"images: expected shape \[n, 64, 64, 3\], got \(1, 32, 32, 3\)"):
        diagnosis.diagnose(model, np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="divide by 255"):
        diagnosis.diagnose(model, np.full((1, SIDE, SIDE, 3), 200.0, np.float32))
    with pytest.raises(TypeError, match="int32"):
        diagnosis.diagnose(model, np.zeros((1, SIDE, SIDE, 3), np.int32))
    assert diagnosis.diagnose(model, np.zeros((0, SIDE, SIDE, 3), np.uint8)).probabilities.shape == (0, 3)
    key = jax.random.key(0)
    with pytest.raises(InputError, match="at least 10 images"):
        diagnosis.fit(key, anchors[:3])
    with pytest.raises(InputError, match="unknown degradation 'fogg'"):
        diagnosis.fit(key, anchors, causes=["fogg"])
    with pytest.raises(InputError, match="every name once"):
        diagnosis.fit(key, anchors, causes=["fog"], others=["fog"])
    with pytest.raises(TypeError, match="uint8"):
        diagnosis.fit(key, anchors.astype(np.float32))


def test_default_model():
    model = diagnosis.default_model()
    assert model.causes[0] == "none" and len(model.causes) == 20 and model.side == 224
    said = diagnosis.read_statistics(model, model.centre[None])
    assert np.isfinite(said.probabilities).all()
