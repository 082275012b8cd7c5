"""Residual Gram matrices of low rank against an inverse in float64; their derivatives against the Cholesky form's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.dependence import residuals
from tests.dependence.compiled import compiled, dependence

RIDGE = 1e-3


def _grams(n, width_z):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 1))
    samples = np.sin(z) + 0.5 * rng.standard_normal((n, 1)), z**2 + rng.standard_normal((n, 1)), z
    squares = (np.square(v - v.T) for v in samples)
    return [np.exp(-s / (2 * w**2)) for s, w in zip(squares, (0.7, 0.7, width_z), strict=True)]


def _exact(K, L, M):
    n = len(K)
    H = np.eye(n) - 1 / n
    R = RIDGE * np.linalg.inv(H @ M @ H + RIDGE * np.eye(n))
    return R @ H @ K @ H @ R, R @ H @ L @ H @ R, H @ R @ R @ H


def _single(grams):
    return [np.asarray(g, np.float32) for g in grams]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(residuals, "_RANKS", ((16, 6), (16, 20)))


# Widths of Z whose matrices have a handful of eigenvalues, a dozen, and as many as samples.
@pytest.mark.parametrize(("width", "ranks"), [(3.0, (True, True)), (0.8, (False, True)), (0.01, (False, False))])
def test_every_form_is_that_of_the_inverse(small, width, ranks):
    grams = _grams(48, width)
    taken = []
    for rank in (6, 20):
        found = compiled(residuals._range)(dependence.centre(_single(grams)[2]), rank)
        tolerance = 0.01 * RIDGE + 16 * np.finfo(np.float32).eps * float(found.norm)
        taken.append(float(found.missed) <= tolerance)
    assert tuple(taken) == ranks
    run = jax.jit(lambda *grams: residuals.residuals(*grams, ridge=RIDGE))
    for value, exact in zip(run(*_single(grams)), _exact(*grams), strict=True):
        assert np.linalg.norm(value - exact) < 5e-3 * np.linalg.norm(exact)


def test_derivatives_are_those_of_the_cholesky_form(small, monkeypatch):
    grams = _single(_grams(24, 3.0))

    def gradients():
        def statistic(K, M):
            left = residuals.residuals(K, grams[1], M, ridge=0.1)
            return jnp.sum(left.x * left.y)

        return compiled(jax.grad(statistic, argnums=(0, 1)))(grams[0], grams[2])

    by_rank = gradients()
    monkeypatch.setattr(residuals, "_RANKS", ())
    for value, expected in zip(by_rank, gradients(), strict=True):
        assert np.linalg.norm(expected) > 0.1
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
    # Along a direction, of the definition.
    K, L, M = (np.asarray(g, np.float64) for g in grams)
    direction = np.cos(np.add.outer(np.arange(24), np.arange(24)))

    def exact(step):
        n = len(K)
        H = np.eye(n) - 1 / n
        R = 0.1 * np.linalg.inv(H @ (M + step * direction) @ H + 0.1 * np.eye(n))
        return np.sum((R @ H @ K @ H @ R) * (R @ H @ L @ H @ R))

    difference = (exact(1e-5) - exact(-1e-5)) / 2e-5
    np.testing.assert_allclose(np.sum(np.asarray(by_rank[1], np.float64) * direction), difference, rtol=1e-3)


@pytest.mark.parametrize("ranks", [(), ((16, 6),)])
@pytest.mark.parametrize("kind", ["linear", "quadratic", "cubic", "many dimensions"])
def test_large_eigenvalues_leave_the_ridge_above_rounding(monkeypatch, kind, ranks):
    # The matrices of linear and polynomial kernels: few eigenvalues, the largest 10^5 to 10^7 times the ridge.
    monkeypatch.setattr(residuals, "_RANKS", ranks)
    rng = np.random.default_rng(1)
    z = 2 * rng.standard_normal((120, 40 if kind == "many dimensions" else 1))
    x, y = z[:, :1] + rng.standard_normal((120, 1)), z[:, :1] ** 2 + rng.standard_normal((120, 1))

    def gram(v):
        return {"linear": v @ v.T, "quadratic": (v @ v.T + 1) ** 2, "cubic": (v @ v.T + 1) ** 3}.get(kind, v @ v.T)

    grams = [gram(v) for v in (np.concatenate([x, z / 2], axis=1), y, z)]
    left, right, squared = _exact(*grams)
    found = compiled(lambda *grams: residuals.residuals(*grams, ridge=RIDGE))(*_single(grams))
    np.testing.assert_allclose(np.sum(found.x.astype(np.float64) * found.y), np.sum(left * right), rtol=5e-3)
    np.testing.assert_allclose(found.squared, squared, atol=2e-3)


def test_a_condition_that_is_constant_takes_nothing(small):
    K, L, _ = _single(_grams(20, 1.0))
    left = compiled(lambda *grams: residuals.residuals(*grams, ridge=RIDGE))(K, L, np.ones((20, 20)))
    np.testing.assert_allclose(left.x, dependence.centre(K), atol=1e-6)
    np.testing.assert_allclose(left.squared, np.eye(20) - 1 / 20, atol=1e-6)


def test_maker_and_gram_are_their_definitions():
    K, _, M = _grams(30, 0.7)
    R = dependence.residual_maker(np.asarray(M, np.float32), ridge=0.01)
    H = np.eye(30) - 1 / 30
    exact = 0.01 * np.linalg.inv(H @ M @ H + 0.01 * np.eye(30))
    np.testing.assert_allclose(R, exact, atol=1e-4)
    gram = dependence.residual_gram(np.asarray(K, np.float32), R)
    np.testing.assert_allclose(gram, exact @ H @ K @ H @ exact, atol=1e-4)


def test_mapped_over_sample_sets_of_full_and_low_rank(key):
    # Mapped, the forms once ran side by side, which never ended on two threads.
    z = jax.random.normal(key, (4, 150, 1))
    grams = jax.vmap(lambda v: dependence.rbf(v, v, bandwidth=1.0))
    wide, narrow = grams(z), jax.vmap(lambda v: dependence.rbf(v, v, bandwidth=0.01))(z)
    K_z = jnp.stack([wide[0], narrow[1], wide[2], narrow[3]])
    mapped = jax.jit(jax.vmap(lambda K, M: residuals.residuals(K, K, M, ridge=1e-3)))(wide, K_z)
    for i in range(4):
        alone = residuals.residuals(wide[i], wide[i], K_z[i], ridge=1e-3)
        for one, many in zip(alone, mapped, strict=True):
            np.testing.assert_allclose(many[i], one, atol=1e-3)
