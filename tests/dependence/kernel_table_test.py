"""What every row of the table of kernels promises."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import dependence

_PARAMETERS = {"bandwidth": 1.3, "shape": 0.7, "exponent": 1.0, "degree": 2, "offset": 1.0}


@pytest.mark.parametrize("name", dependence.KERNELS)
def test_rows_keep_their_word(name):
    row = dependence.KERNELS[name]
    assert set(row.parameters) <= {one for one in inspect.signature(row.fn).parameters if one not in ("x", "y")}
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 3, 6) if row.inputs == "labels" else rng.normal(size=(6, 2)).astype(np.float32))
    gram = np.asarray(row.fn(x, x, **{one: _PARAMETERS[one] for one in row.parameters}), np.float64)
    assert gram.shape == (6, 6)
    np.testing.assert_allclose(gram, gram.T, atol=1e-5)
    assert np.linalg.eigvalsh(gram).min() > -1e-4 * np.abs(gram).max(), "positive definite"
    if row.unit_diagonal:
        np.testing.assert_allclose(np.diag(gram), 1, atol=1e-5)
    low, high = row.range
    assert low is None or gram.min() >= low - 1e-6
    assert high is None or gram.max() <= high + 1e-6
