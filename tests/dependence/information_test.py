"""Mutual information against counts, scikit-learn and closed forms."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.special

from tests.dependence.compiled import compiled, dependence

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "dependence.json").read_text())
X, Y = (np.asarray(GOLDEN[name]) for name in "xy")
X32, Y32 = np.asarray(X, np.float32), np.asarray(Y, np.float32)
LABELS = np.asarray(GOLDEN["labels"])


def _naive_ksg(x, y, k):
    n = len(x)
    dx, dy = (scipy.spatial.distance.cdist(z, z, "chebyshev") for z in (x, y))
    joint = np.maximum(dx, dy) + np.diag(np.full(n, np.inf))
    radius = np.sort(joint, axis=1)[:, k - 1]
    nx, ny = (np.sum(d < radius[:, None], axis=1) - 1 for d in (dx, dy))
    psi = scipy.special.digamma
    return psi(k) + psi(n) - np.mean(psi(nx + 1) + psi(ny + 1))


@pytest.mark.parametrize(("k", "d"), [(1, 3), (4, 3), (18, 20)])
def test_ksg_is_the_naive_count(k, d):
    # Few neighbours and dimensions have ways of their own.
    x = np.random.default_rng(k).standard_normal((300, d))
    y = np.tanh(x[:, :2]) + np.random.default_rng(k + 1).standard_normal((300, 2))
    value = compiled(lambda x, y: dependence.mutual_information_ksg(x, y, num_neighbours=k))(*map(np.float32, (x, y)))
    np.testing.assert_allclose(value, _naive_ksg(x, y, k), rtol=1e-5, atol=5e-6)


def test_ksg_is_scikit_learns_where_it_does_not_cut_at_zero():
    for i, expected in enumerate(GOLDEN["scikit-learn"]["mutual_information_ksg"]):
        z = np.asarray(X / X.std(0), np.float32)[:, i : i + 1], np.asarray(Y / Y.std(0), np.float32)[:, :1]
        value = float(dependence.mutual_information_ksg(*z, num_neighbours=3))
        np.testing.assert_allclose(max(value, 0), expected, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_ross_is_the_naive_count(k):
    # Not held against scikit-learn, whose rounded radius counts the k-th neighbour of some samples twice.
    labels, psi, terms = np.asarray(LABELS), scipy.special.digamma, []
    for i, x in enumerate(X):
        distance = np.abs(X - x).max(axis=1)
        others = np.arange(24) != i
        same = others & (labels == labels[i])
        neighbours = min(k, same.sum())
        radius = np.sort(distance[same])[neighbours - 1]
        terms.append(psi(neighbours) - psi(same.sum() + 1) - psi(np.sum(distance[others] <= radius)))
    value = compiled(lambda x: dependence.mutual_information_mixed(x, LABELS, num_neighbours=k))(X32)
    np.testing.assert_allclose(value, psi(24) + np.mean(terms), rtol=1e-5, atol=2e-6)


def test_ksg_of_normal_variables_is_the_closed_form():
    x = jax.random.normal(jax.random.key(0), (1500, 1))
    for correlation in (0.0, 0.8):
        y = correlation * x + np.sqrt(1 - correlation**2) * jax.random.normal(jax.random.key(1), (1500, 1))
        value = dependence.mutual_information_ksg(x, y, num_neighbours=4)
        np.testing.assert_allclose(value, -0.5 * np.log(1 - correlation**2), atol=0.06)


def test_ross_of_a_two_class_mixture_is_its_integral():
    labels = jax.random.bernoulli(jax.random.key(2), 0.3, (1500,)).astype(jnp.int32)
    x = 2.0 * labels[:, None] + jax.random.normal(jax.random.key(3), (1500, 1))
    grid = np.linspace(-8, 10, 20001)
    density = [np.exp(-((grid - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0.0, 2.0)]
    mixture = 0.7 * density[0] + 0.3 * density[1]
    expected = sum(w * np.trapezoid(d * np.log(d / mixture), grid) for w, d in zip((0.7, 0.3), density, strict=True))
    value = dependence.mutual_information_mixed(x, labels, num_neighbours=4)
    np.testing.assert_allclose(value, expected, atol=0.05)


def test_ross_leaves_out_labels_that_occur_once():
    lone = np.concatenate([LABELS, np.array([17])])
    x = np.concatenate([X32, 0.1 * np.ones((1, 3))])
    value = dependence.mutual_information_mixed(x, lone, num_neighbours=3)
    np.testing.assert_allclose(value, dependence.mutual_information_mixed(X32, LABELS, num_neighbours=3), rtol=1e-5)
    assert np.isnan(dependence.mutual_information_mixed(X32, np.arange(24), num_neighbours=3))


def test_information_of_labels_is_the_sum_over_cells():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 60)
    b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 4, 60))
    table = np.zeros((3, 5))
    np.add.at(table, (a, b), 1)
    p = table / 60
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nansum(p * np.log(p / p.sum(1, keepdims=True) / p.sum(0, keepdims=True)))
    a, b = np.asarray(a), np.asarray(b)
    np.testing.assert_allclose(dependence.mutual_information_plug_in(a, b, num_x=3, num_y=5), expected, rtol=1e-5)
    excess = (np.sum(table > 0) - 3 - np.sum(table.sum(0) > 0) + 1) / 120
    corrected = dependence.mutual_information_miller_madow(a, b, num_x=3, num_y=5)
    np.testing.assert_allclose(corrected, expected - excess, rtol=1e-5)
    np.testing.assert_allclose(
        dependence.mutual_information_plug_in(a, a, num_x=3, num_y=3), scipy.stats.entropy(p.sum(1)), rtol=1e-5
    )


def test_bad_information_arguments_are_named():
    with pytest.raises(ValueError, match="num_neighbours: expected 1 to n - 1 = 23, got 24"):
        dependence.mutual_information_ksg(X32, Y32, num_neighbours=24)
    with pytest.raises(TypeError, match="labels: expected integer labels"):
        dependence.mutual_information_mixed(X32, Y32[:, 0], num_neighbours=3)
    with pytest.raises(ValueError, match="num_y: expected at least 1, got 0"):
        dependence.mutual_information_plug_in(LABELS, LABELS, num_x=3, num_y=0)
