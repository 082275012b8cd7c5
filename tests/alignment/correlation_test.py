"""The three numbers against scipy on plain loops."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def _tables(seed, conditions=7, images=23, digits=1):
    rng = np.random.default_rng(seed)
    q = np.round(rng.normal(size=(conditions, images)) + rng.normal(size=(conditions, 1)), digits)
    m = (q + rng.normal(size=q.shape) > 0).astype(float)
    return q, m


def _spearman(x, y):
    """scipy over the entries defined in both; NaN where constant."""
    use = np.isfinite(x) & np.isfinite(y)
    if use.sum() < 2 or np.ptp(x[use]) == 0 or np.ptp(y[use]) == 0:
        return np.nan
    return stats.spearmanr(x[use], y[use]).statistic


def naive(q, m):
    """Between, within and pooled by scipy, undefined entries as NaN."""
    q = np.where(np.isfinite(q), q, np.nan)

    def mean(row):
        row = row[np.isfinite(row)]
        return row.mean() if row.size else np.nan

    between = _spearman(np.array([mean(row) for row in q]), np.array([mean(row) for row in m]))
    rhos = np.array([_spearman(a, b) for a, b in zip(q, m, strict=True)])
    within = rhos[np.isfinite(rhos)].mean() if np.isfinite(rhos).any() else np.nan
    return between, within, _spearman(q.ravel(), m.ravel()), int(np.isfinite(rhos).sum())


@pytest.mark.parametrize("digits", [0, 1, 9])
@pytest.mark.parametrize("undefined", [0.0, 0.3])
def test_equals_scipy_with_ties_and_undefined_entries(digits, undefined):
    q, m = _tables(digits, digits=digits)
    rng = np.random.default_rng(5)
    q[rng.random(q.shape) < undefined] = np.nan
    q[rng.random(q.shape) < undefined / 3] = np.inf
    m[rng.random(q.shape) < undefined / 3] = np.nan
    between, within, pooled, counted = naive(q, m)
    np.testing.assert_allclose(alignment.between(q, m), between, atol=1e-12)
    np.testing.assert_allclose(alignment.within(q, m).rho, within, atol=1e-12)
    np.testing.assert_allclose(alignment.pooled(q, m), pooled, atol=1e-12)
    assert alignment.within(q, m).num_conditions == counted > 0


def test_within_and_pooled_differ_in_sign_when_conditions_reverse_the_relation():
    # Simpson: inside every condition better scores go with failures, across conditions with success.
    rng = np.random.default_rng(0)
    level = np.linspace(0.1, 0.9, 9)[:, None]
    noise = rng.uniform(size=(9, 200))
    m = (noise < level).astype(float)
    q = 5 * level + 0.1 * noise
    assert alignment.within(q, m).rho < -0.2
    assert alignment.pooled(q, m) > 0.2
    assert alignment.between(q, m) > 0.9


def test_constant_conditions_are_left_out_and_counted():
    q, m = _tables(1)
    q[0] = 2.0
    m[3] = 1.0
    found = alignment.within(q, m)
    assert found.num_conditions == 5
    assert found.rho == pytest.approx(np.mean([_spearman(q[c], m[c]) for c in (1, 2, 4, 5, 6)]))


def test_constant_tables_are_undefined_not_zero():
    q, m = _tables(2)
    for a, b in ((np.full_like(q, 3.0), m), (q, np.ones_like(m)), (np.full_like(q, np.nan), m)):
        assert np.isnan(alignment.between(a, b))
        assert np.isnan(alignment.pooled(a, b))
        assert np.isnan(alignment.within(a, b).rho)
        assert alignment.within(a, b).num_conditions == 0


def test_two_images():
    q, m = np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert alignment.within(q, m) == (0.0, 2)
    assert np.isnan(alignment.between(q, m))
    assert alignment.pooled(q, m) == pytest.approx(stats.spearmanr(q.ravel(), m.ravel()).statistic)


def test_means_that_differ_by_rounding_only_are_ties():
    third = np.array([[1 / 3, 1.0, 2 / 3, 0.0], [0.0, 2 / 3, 1.0, 1 / 3], [1.0, 1.0, 1.0, 1.0]])
    q = np.array([[1.0] * 4, [5.0] * 4, [3.0] * 4])
    assert alignment.between(q, third) == pytest.approx(stats.spearmanr([1, 5, 3], [0, 0, 1]).statistic)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3, 2)), ((0, 3), (0, 3))])
def test_refuses_other_shapes(shapes):
    with pytest.raises(ValueError, match=r"q, m: expected two tables of one shape \[C, N\]"):
        alignment.pooled(np.zeros(shapes[0]), np.zeros(shapes[1]))
