"""What every test of the table of conditional tests promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import dependence

SETTINGS = {"num_strata": 2, "num_permutations": 39, "num_simulations": 99}
NAMES = tuple(dependence.CONDITIONAL_TESTS)

# Some twenty seconds of compilation: run by `pytest -m slow`.
pytestmark = pytest.mark.slow


def _samples(seed, n=40):
    """Confounded by z alone, then also dependent given z, with heavy tails and ties."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 2, (n, 1)).astype(np.float32)
    e, f = rng.standard_t(2, (n, 1)), rng.standard_normal((n, 1))
    x = (2 * z + e).astype(np.float32)
    return x, [(np.round(2 * z + f, 1) + strength * e).astype(np.float32) for strength in (0.0, 3.0)], z


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    spec = dependence.CONDITIONAL_TESTS[name]
    assert spec.name == name
    settings = {key: SETTINGS[key] for key in spec.settings}
    x, (null, dependent), z = _samples(0)
    condition = z[:, 0].astype(int) if spec.categorical else z + 0.3 * np.random.default_rng(1).standard_normal(z.shape)
    condition = jnp.asarray(condition, jnp.int32 if spec.categorical else jnp.float32)

    def run(key, y):
        return spec.fn(key, jnp.asarray(x), y, condition, **settings)

    keys = jax.random.split(jax.random.key(0), 4)
    results = jax.jit(jax.vmap(run))(keys, jnp.asarray([null, dependent, dependent, null]))
    for field in ("statistic", "p_value", "null_mean", "null_std"):
        values = getattr(results, field)
        assert values.dtype == jnp.float32 and np.all(np.isfinite(values)) and np.all(values > 0), field
    assert np.all(results.p_value <= 1)
    assert np.all(results.p_value[1:3] <= 0.05) and np.all(results.p_value[jnp.array([0, 3])] > 0.05)
    assert np.all(results.statistic[1:3] > results.statistic[0])
    same = [float(value) for value in (results.p_value[0], results.null_mean[0])]
    other = [float(value) for value in (results.p_value[3], results.null_mean[3])]
    assert (np.allclose(same, other, rtol=1e-5)) != spec.random
