"""Feature maps against their kernels."""

import jax
import numpy as np

from causal_iqa.dependence import feature_maps, sketches
from tests.dependence import streaming_test
from tests.dependence.compiled import compiled, dependence

init = compiled(sketches.init)
finalize = compiled(sketches.finalize)
update_all = compiled(sketches.update_all)
NAMES = ("hsic_biased", "hsic_unbiased", "cka", "cka_debiased")


def _samples(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    y = 0.6 * x[:, :2] + rng.standard_normal((n, 2))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _exact(phi, psi):
    phi, psi = (np.asarray(f, np.float64) for f in (phi, psi))
    return streaming_test.naive(phi @ phi.T, psi @ psi.T)


def _values(sketch):
    estimate = finalize(sketch)
    return [float(getattr(estimate, name)) for name in NAMES]


def test_fourier_features_have_the_kernel_as_expectation():
    x, y = _samples(6, 24)
    exact = float(dependence.hsic_unbiased(dependence.rbf(x, x, bandwidth=1.3), dependence.rbf(y, y, bandwidth=1.3)))

    def draw(key):
        keys = jax.random.split(key)
        sizes = {"num_frequencies": 16, "bandwidth": 1.3}
        maps = feature_maps.fourier_map(keys[0], 3, **sizes), feature_maps.fourier_map(keys[1], 2, **sizes)
        sketch = sketches.update(sketches.init(*maps, x, y, within=False), x, y)
        gram = maps[0](x) @ maps[0](x).T
        return sketches.finalize(sketch), sketches.frequency_error(sketch), gram

    estimates, errors, grams = compiled(lambda keys: jax.lax.map(draw, keys))(jax.random.split(jax.random.key(1), 600))
    spread = float(np.std(estimates.hsic_unbiased))
    assert abs(float(np.mean(estimates.hsic_unbiased)) - exact) < 4 * spread / np.sqrt(600)
    # The stated error is on the side of caution, and the residual of |phi| = 1 is rounding.
    assert 0.95 * float(np.std(estimates.hsic_biased)) < float(np.sqrt(np.mean(errors**2))) < 1.6 * spread
    assert float(np.max(np.abs(estimates.residual_x))) < 1e-5
    np.testing.assert_allclose(
        np.mean(grams, axis=0), dependence.rbf(x, x, bandwidth=1.3), atol=4 / np.sqrt(2 * 16 * 600)
    )


def test_labels_by_indicators_are_the_delta_kernel():
    x, _ = _samples(8, 30)
    labels = np.random.default_rng(1).integers(0, 4, 30)
    sketch = init(feature_maps.linear_map(), feature_maps.delta_map(4), x, labels, within=True)
    np.testing.assert_allclose(_values(update_all(sketch, x, labels, chunk=8)), _exact(x, np.eye(4)[labels]), rtol=2e-4)
