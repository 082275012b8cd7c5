"""Noise by its distribution, against SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causal_iqa.degradations import _noise as noise

SHAPE = (120, 100, 3)
GREY = 0.5
# A test at this level fails by chance once in a thousand seeds; the seeds are fixed.
LEVEL = 1e-3


_run = functools.cache(lambda fn: jax.jit(fn, static_argnames="family"))
_quantile = jax.jit(noise.poisson_quantile)


def _flat(fn, severity, family, value=GREY, seed=0):
    image = np.full(SHAPE, value, np.float32)
    return np.asarray(_run(fn)(jax.random.key(seed), image, jnp.float32(severity), family=family), np.float64)


def test_gaussian_noise_is_normal_at_every_sample():
    for severity, sigma in enumerate(noise.GAUSSIAN_NOISE_SIGMA["cifar32"], 1):
        z = (_flat(noise.gaussian_noise, severity, "cifar32") - GREY) / sigma
        assert stats.kstest(z.ravel(), "norm").pvalue > LEVEL
        # Neighbours and channels are independent.
        for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[..., 1], z[..., 0])):
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_gaussian_noise_between_rows_has_the_sigma_between():
    z = _flat(noise.gaussian_noise, 2.5, "cifar32") - GREY
    assert z.std() == pytest.approx(0.07, rel=0.02)


def test_gaussian_noise_is_clipped_not_wrapped():
    out = _flat(noise.gaussian_noise, 5, "imagenet224", value=1.0)
    assert np.mean(out == 1.0) == pytest.approx(0.5, abs=0.02)


def test_speckle_noise_scales_with_the_signal():
    for value in (0.1, 0.4):
        z = (_flat(noise.speckle_noise, 3, "cifar32", value=value) / value - 1.0) / 0.12
        assert stats.kstest(z.ravel(), "norm").pvalue > LEVEL
    assert (_flat(noise.speckle_noise, 3, "cifar32", value=0.0) == 0).all()


@pytest.mark.parametrize("family", ["imagenet224", "cifar32"])
def test_impulse_noise_counts(family):
    for severity, amount in enumerate(noise.IMPULSE_NOISE_AMOUNT[family], 1):
        out = _flat(noise.impulse_noise, severity, family)
        salt, pepper = int((out == 1).sum()), int((out == 0).sum())
        assert (out == GREY).sum() == out.size - salt - pepper
        assert stats.binomtest(salt, out.size, amount / 2).pvalue > LEVEL
        assert stats.binomtest(pepper, out.size, amount / 2).pvalue > LEVEL
        # Channels are hit on their own.
        both = int(((out[..., 0] != GREY) & (out[..., 1] != GREY)).sum())
        assert stats.binomtest(both, out[..., 0].size, amount**2).pvalue > LEVEL


@pytest.mark.parametrize("value", [0.02, 0.3])
@pytest.mark.parametrize("family", ["imagenet224", "cifar32"])
def test_shot_noise_is_poisson(family, value):
    for severity, photons in enumerate(noise.SHOT_NOISE_PHOTONS[family], 1):
        counts = _flat(noise.shot_noise, severity, family, value=value, seed=severity) * photons
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)
        counts, mean = np.round(counts).ravel().astype(int), photons * value
        n = counts.size
        # What the clip at full scale piles up is counted as one class with all above.
        edges = np.unique(stats.poisson.ppf(np.linspace(0.001, 0.99, 12), mean))
        edges = edges[edges < photons]
        observed = np.histogram(counts, [-0.5, *(edges + 0.5), np.inf])[0]
        expected = n * np.diff([0.0, *stats.poisson.cdf(edges, mean), 1.0])
        assert stats.chisquare(observed, expected).pvalue > LEVEL


@pytest.mark.parametrize("mean", [0.01, 0.3, 1.0, 3.0, 4.9, 5.1, 8.0, 20.0, 60.0, 150.0, 500.0])
def test_poisson_quantile_against_scipy(mean):
    level = (np.arange(200_000) + 0.5) / 200_000
    level = level.astype(np.float32).astype(np.float64)
    ours = np.asarray(_quantile(level.astype(np.float32), np.full(level.size, mean, np.float32)))
    exact = stats.poisson.ppf(level, np.float64(np.float32(mean)))
    wrong = ours != exact
    # Documented: exact below 5 up to rounding, beyond it a count off by one with probability at most about 1e-3.
    assert wrong.mean() < (2e-5 if mean < 5 else 1.5e-3)
    assert np.abs(ours - exact).max() <= 1
    assert ours.mean() == pytest.approx(exact.mean(), rel=2e-4)
    assert ours.var() == pytest.approx(exact.var(), rel=1e-3)
    assert stats.moment(ours, 3) == pytest.approx(stats.moment(exact, 3), rel=5e-3)


def test_poisson_quantile_of_zero_mean_is_zero():
    level = np.linspace(2**-24, 1 - 2**-24, 100, dtype=np.float32)
    assert (np.asarray(noise.poisson_quantile(level, np.zeros(100, np.float32))) == 0).all()
