"""Estimates from draws against their formulas."""

import jax
import numpy as np
import pytest

from causal_iqa import InputError, causal
from causal_iqa.causal import adjustment
from tests.causal.worlds import draw, world


def test_estimates_by_their_formulas(key):
    assigned, y, _ = draw(key, world(2, 150), 0)
    t, x = assigned.treatment, assigned.x
    found = {name: rows[0] for name, rows in causal.arm_means(assigned, y).items()}
    shape = x.shape[1]
    # Slopes that all arms share beside a constant for each.
    member = (t[:, None] == np.arange(3)).astype(float)
    z = np.column_stack([member, x[:, 1:]])
    penalty = np.diag([0.0] * 3 + [adjustment._RIDGE] * (shape - 1))
    shared = np.r_[0.0, np.linalg.solve(z.T @ z + penalty, z.T @ y)[3:]]
    for arm in range(3):
        at = t == arm
        e = assigned.propensity[0, arm]
        assert found["naive"][arm] == pytest.approx(y[at].mean())
        assert found["weighting"][arm] == pytest.approx(np.average(y[at], weights=1 / e[at]))
        own = np.diag([0.0, *[adjustment._OWN_SLOPES_RIDGE] * (shape - 1)])
        b = shared + np.linalg.solve(x[at].T @ x[at] + own, x[at].T @ (y[at] - x[at] @ shared))
        assert found["regression"][arm] == pytest.approx((x @ b).mean(), abs=1e-6)
        cells = np.searchsorted(np.quantile(e, [0.2, 0.4, 0.6, 0.8]), e)
        parts = [(y[at & (cells == c)].mean(), (cells == c).sum()) for c in range(5) if (at & (cells == c)).any()]
        means, sizes = np.array(parts).T
        assert found["stratification"][arm] == pytest.approx(np.average(means, weights=sizes))
        predicted = (x @ b).clip(y.min(), y.max())
        doubly = predicted.mean() + np.average((y - predicted)[at], weights=1 / e[at])
        assert found["doubly_robust"][arm] == pytest.approx(doubly, abs=1e-6)


def test_no_estimate_moves_with_the_key(key):
    """Without folds the same data give the same estimates; cross-fitted ones moved by .078 at 400 images."""
    assigned, y, _ = draw(key, world(2, 150), 0)
    again = causal.assign(jax.random.fold_in(key, 1), assigned.treatment, assigned.x, 3, num_resamples=0)
    for name, rows in causal.arm_means(assigned, y).items():
        np.testing.assert_array_equal(rows, causal.arm_means(again, y)[name])


def test_the_default_errs_least_at_the_size_of_an_audit(key):
    """128 images in six arms: the cross-fitted doubly robust estimate had half again the error of the naive one."""
    errors = {name: [] for name in causal.METHODS}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hard = rng.normal(size=(2, 128))
        ease = 1.4 - hard[0] + 0.5 * hard[1] - np.arange(6)[:, None] / 2 + rng.normal(size=(6, 128))
        outcomes, x = (ease > 0).astype(float), causal.covariates(None, hard)
        chance = causal.severity_propensities(hard[0] - 0.5 * hard[1], np.arange(6), strength=1.0)
        seen = causal.observe(jax.random.fold_in(key, seed), chance)
        assigned = causal.assign(key, seen, x, 6, num_resamples=0)
        truth = causal.true_means(outcomes, np.arange(6))
        for name, rows in causal.arm_means(assigned, outcomes[seen, np.arange(128)]).items():
            errors[name].append((rows[0] - rows[0, 0] - truth + truth[0])[1:])
    error = {name: np.sqrt(np.mean(np.square(values))) for name, values in errors.items()}
    assert min(error, key=error.get) == causal.DEFAULT_METHOD
    assert error["doubly_robust"] < 0.9 * error["naive"]


def test_naive_is_biased_adjusted_ones_are_not_and_intervals_cover(key):
    """Over 40 worlds: bias in units of the Monte Carlo error, and how often the interval holds the truth."""
    errors = {name: [] for name in causal.METHODS}
    covered = dict.fromkeys(causal.METHODS, 0)
    for seed in range(40):
        assigned, y, _ = draw(jax.random.fold_in(key, seed), world(seed), 60)
        for name, estimates in causal.estimate_arms(assigned, y).items():
            value, low, high = (one[2] for one in estimates.effect)
            errors[name].append(value + 0.6)
            covered[name] += low <= -0.6 <= high
    bias = {name: np.mean(values) for name, values in errors.items()}
    noise = {name: np.std(values) / np.sqrt(40) for name, values in errors.items()}
    assert bias["naive"] < -0.3
    assert covered["naive"] == 0
    for name in ("regression", "weighting", "doubly_robust"):
        assert abs(bias[name]) < 3 * noise[name] + 0.01, name
        # 38 expected; 33 has probability below 1 %.
        assert covered[name] >= 33, name
    # Five strata leave a tenth of the bias or so (Cochran 1968).
    assert abs(bias["stratification"]) < 0.25 * abs(bias["naive"])


def test_overlap_tells_confounding(key):
    confounded = world(3)
    assigned, _, _ = draw(key, confounded, 0)
    found = causal.overlap(assigned.treatment, assigned.propensity[0], assigned.x)
    assert found.imbalance > 0.4
    assert found.imbalance_weighted < 0.5 * found.imbalance
    weights = 1 / assigned.propensity[0, 0][assigned.treatment == 0]
    assert found.effective_share[0] == pytest.approx(weights.sum() ** 2 / (weights**2).sum() / len(weights))
    flat = causal.overlap(assigned.treatment, np.full((3, 300), 1 / 3), assigned.x)
    np.testing.assert_allclose(flat.effective_share, 1)


def test_nearest_conditions_stand_for_drawn_ones():
    table = (["clean", "fog", "fog", "snow"], [0, 2, 3, 1])
    rows = causal.nearest_conditions(["fog", "fog", "snow", "clean"], [2.4, 0.2, 4.0, 0.0], *table)
    assert rows.tolist() == [1, 0, 3, 0]
    with pytest.raises(InputError, match="no 'fogg'; did you mean fog"):
        causal.nearest_conditions(["fogg"], [1.0], ["clean", "fog"], [0, 1])


def test_refuses_what_does_not_fit(key):
    x = np.ones((4, 1))
    with pytest.raises(ValueError, match="every arm"):
        causal.assign(key, np.array([0, 0, 2, 2]), x, 3)
    with pytest.raises(ValueError, match="first column of ones"):
        causal.assign(key, np.array([0, 0, 1, 1]), 2 * x, 2)
    with pytest.raises(ValueError, match="sum to 1"):
        causal.observe(key, np.full((2, 3), 0.4))
    with pytest.raises(ValueError, match="finite"):
        causal.covariates(None, [np.array([1.0, np.nan])])
    assigned = causal.assign(key, np.array([0, 0, 1, 1]), x, 2, num_resamples=0)
    with pytest.raises(ValueError, match="outcome"):
        causal.estimate_arms(assigned, np.full(4, np.nan))
