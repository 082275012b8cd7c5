"""Losses against their formulas."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import jax
import numpy as np
import pytest

from causal_iqa.training import objectives


def test_vicreg_is_its_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 5))
    expected = 25.0 * ((a - b) ** 2).sum(axis=1).mean() / 5
    for z in (a, b):
        expected += 25.0 * np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)).mean() / 2
        covariance = np.cov(z.T)
        expected += sum(covariance[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    found = objectives.vicreg(a.astype(np.float32), b.astype(np.float32))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_simclr_is_its_formula():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 4, 6))
    z = np.concatenate([a, b])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    expected = 0.0
    for i in range(8):
        scores = np.exp(z[i] @ z.T / 0.5)
        expected -= np.log(scores[(i + 4) % 8] / (scores.sum() - scores[i])) / 8
    nt_xent = jax.jit(objectives.nt_xent)
    assert float(nt_xent(np.float32(a), np.float32(b))) == pytest.approx(expected, rel=1e-5)
    same = np.ones((5, 3), np.float32)
    assert float(nt_xent(same, same)) == pytest.approx(np.log(9), rel=1e-5)


def test_smoothed_labels_are_their_formula():
    outputs, labels = np.random.default_rng(3).normal(size=(5, 1, 4)), np.array([0, 3, 1, 1, 2])
    shares = outputs[:, 0] - np.log(np.exp(outputs[:, 0]).sum(axis=1, keepdims=True))
    expected = -(0.8 * shares[np.arange(5), labels] + 0.2 * shares.mean(axis=1)).mean()
    found = objectives.cross_entropy(outputs.astype(np.float32), labels, smoothing=0.2)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_mirrored_crops():
    image = np.zeros((8, 8, 3), np.float32)
    image[:, :4] = 0.5
    keys = jax.random.split(jax.random.key(0), 64)

    def crops(flip):
        crop = jax.vmap(lambda key: objectives.random_crop(key, image, 2, flip=flip))
        return np.asarray(jax.jit(crop)(keys))

    plain, mirrored = crops(False), crops(True)
    turned = mirrored[:, 0, 0, 0] < mirrored[:, 0, -1, 0]
    assert 20 <= turned.sum() <= 44
    # All else about a crop is as it is without.
    np.testing.assert_array_equal(np.where(turned[:, None, None, None], mirrored[:, :, ::-1], mirrored), plain)


def test_turned_images_and_their_labels():
    image = np.random.default_rng(2).random((6, 6, 3), np.float32)
    for quarters in range(4):
        np.testing.assert_array_equal(objectives.turn(image, quarters), np.rot90(image, quarters))


def test_strong_augmentation():
    image = np.full((16, 16, 3), 0.5, np.float32)
    image[:, 8:] = [0.2, 0.4, 0.6]
    keys = jax.random.split(jax.random.key(0), 64)
    views = np.asarray(jax.jit(jax.vmap(objectives.random_view, (0, None)))(keys, image))
    assert views.shape == (64, 16, 16, 3) and views.min() >= 0 and views.max() <= 1
    grey = np.ptp(views, axis=3).max(axis=(1, 2)) < 1e-6
    assert 3 <= grey.sum() <= 26  # A fifth, and views that see only the grey half.
    brightness = views.mean(axis=(1, 2, 3))
    assert brightness.std() > 0.05
    coloured = views[~grey]
    left_is_blue = coloured[:, :, 0, 2] - coloured[:, :, 0, 0]
    assert (left_is_blue.max(axis=1) > 0.05).any() and (left_is_blue.max(axis=1) < 0.05).any()  # Flipped, or not.
