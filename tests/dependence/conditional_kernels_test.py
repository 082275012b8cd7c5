"""What the conditional tests see: scales, normal scores, widths."""

# pyright: reportArgumentType=false, reportIndexIssue=false

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causal_iqa.dependence import conditional_kernels as kernels

_X = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)


def test_columns_are_standardised_and_constant_ones_vanish():
    given = jnp.asarray(np.column_stack([_X, np.full(9, 7.3)]).astype(np.float32))
    found = np.asarray(kernels.standardise(given))
    np.testing.assert_allclose(found[:, :2].std(axis=0, ddof=1), 1, atol=1e-5)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert not found[:, 2].any()


def test_normal_scores_follow_the_ranks():
    given = np.float32([[3.0], [1.0], [1.0], [100.0]])
    ranks = stats.rankdata(given[:, 0])
    expected = stats.norm.ppf((ranks - 0.5) / 4)[:, None]
    np.testing.assert_allclose(kernels.normal_scores(jnp.asarray(given)), expected, atol=1e-5)
    assert not np.asarray(kernels.normal_scores(jnp.zeros((5, 1)))).any()


def test_widths_by_size():
    assert [kernels.kci_bandwidth(n, 4) for n in (199, 200, 1200)] == [2.4, 1.4, 0.8]
    assert [kernels.kci_unconditional_bandwidth(n, 4) for n in (199, 200, 1200)] == [0.4, 0.25, 0.15]
    x = jnp.asarray(np.float32([[0], [0], [3]]))
    assert float(kernels.kci_median_bandwidth(x)) == pytest.approx(3 * 2**0.5)
    assert np.isnan(kernels.kci_median_bandwidth(x[:2]))


def test_the_joint_kernel_weighs_z_by_half():
    x, y, z = (jnp.asarray(_X[:, :1] + shift) for shift in (0, 1, 2))
    joint, _, of_z = kernels.kci_grams(x, y, z, bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=1.0)
    squares = (_X[:, :1] - _X[:, :1].T) ** 2
    np.testing.assert_allclose(joint, np.exp(-1.25 * squares / 2), rtol=1e-4)
    np.testing.assert_allclose(of_z, np.exp(-squares / 2), rtol=1e-4)
    with pytest.raises(ValueError, match="expected the same samples, got 9, 8 and 9"):
        kernels.kci_grams(x, y[:8], z, bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=1.0)
