"""Estimators from confounded draws against the known truth, and their pieces against other libraries and formulas."""

import jax
import numpy as np
import pytest
from scipy import optimize, stats

from causal_iqa import InputError, causal
from causal_iqa.causal import adjustment


def _world(seed, n=300):
    """Potential outcomes [4, n] under conditions of severity 0, 1, 2, 2; hard scenes are what drives both."""
    rng = np.random.default_rng(seed)
    hard, label = rng.normal(size=n), rng.integers(0, 3, n)
    severity = np.array([0.0, 1.0, 2.0, 2.0])
    hardness = hard + 0.5 * (label - 1)
    outcomes = 1.0 - 0.3 * severity[:, None] - 0.5 * hardness + 0.4 * rng.normal(size=(4, n))
    return outcomes, severity, hardness, causal.covariates(label, [hard])


def _draw(key, world, num_resamples):
    outcomes, severity, hardness, x = world
    arms = severity.astype(int)
    conditions = causal.observe(key, causal.severity_propensities(hardness, severity, strength=0.7))
    treatment = arms[conditions]
    assigned = causal.assign(key, treatment, x, 3, num_resamples=num_resamples)
    return assigned, outcomes[conditions, np.arange(len(x))], causal.true_means(outcomes, arms)


def test_propensities_and_draws(key):
    outcomes, severity, hardness, _ = _world(0)
    p = causal.severity_propensities(hardness, severity, strength=1.0)
    np.testing.assert_allclose(p.sum(axis=0), 1)
    np.testing.assert_allclose(p[2], p[3])
    # Softmax over the severities, -1, 0 and 1 times the standardised hardness.
    h = (hardness - hardness.mean()) / hardness.std()
    weights = np.exp(np.outer([-1, 0, 1], h))
    np.testing.assert_allclose(p[0], weights[0] / weights.sum(axis=0))
    drawn = np.stack([causal.observe(jax.random.fold_in(key, i), p) for i in range(400)])
    for condition in range(4):
        share = (drawn == condition).mean(axis=0)
        assert abs(share - p[condition]).mean() < 0.03
        assert abs(share - p[condition]).max() < 0.12
    np.testing.assert_allclose(causal.severity_propensities(hardness, severity, strength=0.0)[0], 1 / 3)
    np.testing.assert_allclose(causal.true_means(outcomes, np.array([0, 1, 2, 2]))[2], outcomes[2:].mean())


def test_propensities_are_the_penalised_maximum_likelihood():
    _, _, _, x = _world(1, 80)
    treatment = np.arange(80) % 3
    assigned = causal.assign(jax.random.key(0), treatment, x, 3, num_resamples=0)

    def loss(flat):
        b = np.concatenate([np.zeros((1, x.shape[1])), flat.reshape(2, -1)])
        logits = b @ x.T
        chosen = logits[treatment, np.arange(80)] - np.log(np.exp(logits).sum(axis=0))
        return -chosen.sum() + 0.5 * adjustment._RIDGE * (b[:, 1:] ** 2).sum()

    best = optimize.minimize(loss, np.zeros(2 * x.shape[1])).x.reshape(2, -1)
    logits = np.concatenate([np.zeros((1, x.shape[1])), best]) @ x.T
    expected = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_allclose(assigned.propensity[0], expected, atol=1e-4)


def test_estimates_by_their_formulas(key):
    assigned, y, _ = _draw(key, _world(2, 150), 0)
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
    assigned, y, _ = _draw(key, _world(2, 150), 0)
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
        assigned, y, _ = _draw(jax.random.fold_in(key, seed), _world(seed), 60)
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


def test_doubly_robust_when_one_model_is_wrong(key):
    """Outcome quadratic in a factor that the covariates hold only linearly: the propensity alone must do."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=4000)
    treated = rng.random(4000) < 1 / (1 + np.exp(-z))
    y = z + z**2 + treated + 0.5 * rng.normal(size=4000)
    x = np.column_stack([np.ones(4000), z])
    found = causal.arm_means(causal.assign(key, treated.astype(int), x, 2, num_resamples=0), y)
    effect = {name: rows[0, 1] - rows[0, 0] for name, rows in found.items()}
    assert abs(effect["doubly_robust"] - 1) < 0.12
    assert abs(effect["naive"] - 1) > 0.5


def test_overlap_tells_confounding(key):
    world = _world(3)
    assigned, _, _ = _draw(key, world, 0)
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


def test_refutations_pass_for_an_honest_estimate(key):
    assigned, y, _ = _draw(key, _world(4, 400), 60)
    found = causal.refute(key, assigned, y, arm=2, num_repeats=12)
    assert [one.name for one in found] == ["placebo_treatment", "random_common_cause", "random_subset"]
    assert all(one.passed for one in found)
    assert abs(found[0].found.value) < 0.1
    # The estimate that is refuted is the one of the table, with its interval.
    effect = causal.estimate_arms(assigned, y)[causal.DEFAULT_METHOD].effect
    assert found[1].expected == pytest.approx((effect.value[2], effect.low[2], effect.high[2]))
    for one in found:
        assert one.found.low <= one.found.value <= one.found.high
    with pytest.raises(ValueError, match="arm, share"):
        causal.refute(key, assigned, y, arm=0)
    with pytest.raises(ValueError, match="method"):
        causal.refute(key, assigned, y, arm=1, method="magic")


def test_robustness_against_the_regression_with_the_confounder():
    """The effect vanishes when a confounder with the two shares of the robustness value is put in."""
    rng = np.random.default_rng(6)
    n = 4000
    z, treated = rng.normal(size=n), rng.random(n) < 0.5
    x = np.column_stack([np.ones(n), z])
    y = 0.3 * treated + z + rng.normal(size=n)
    found = causal.robustness(treated, x, y)
    whole = np.column_stack([treated, x])
    b, left = np.linalg.lstsq(whole, y, rcond=None)[:2]
    error = np.sqrt(left[0] / (n - 3) * np.linalg.inv(whole.T @ whole)[0, 0])
    assert found.effect == pytest.approx(b[0])
    assert found.standard_error == pytest.approx(error)
    # Defining equation of the value: its share of both brings the t statistic to 0.
    f = abs(b[0] / error) / np.sqrt(n - 3)
    assert found.value**2 / (1 - found.value) == pytest.approx(f**2)
    assert 0 < found.value_significance < found.value
    share = stats.pearsonr(treated, z)[0] ** 2
    assert found.benchmark[0] == pytest.approx(share / (1 - share))


@pytest.mark.parametrize("strength", [0.3, 0.6, 0.9])
def test_an_omitted_twin_of_the_strongest_covariate_biases_by_the_bound(strength):
    """Columns at right angles: the twin's bias is exactly the bound of Cinelli and Hazlett in a fit without it."""
    rng = np.random.default_rng(7)
    basis = np.linalg.qr(np.column_stack([np.ones(300), rng.normal(size=(300, 5))]))[0] * np.sqrt(300)
    observed, weak, twin, noise, more = basis[:, 1:].T
    treatment = strength * (observed + twin) + 0.2 * weak + noise
    outcome = treatment + strength * (observed + twin) + 0.1 * weak + more
    x = np.column_stack([np.ones(300), weak, observed])
    short = causal.robustness(treatment, x, outcome)
    assert short.strongest == 1
    assert short.effect - 1 == pytest.approx(short.benchmark_bias, rel=1e-9)
    # Today's shares of the observed covariate itself are those of a weaker one.
    assert short.benchmark[0] == pytest.approx(strength**2 / (1 + strength**2))


def test_columns_of_one_label_are_one_covariate():
    rng = np.random.default_rng(8)
    label, factor = rng.integers(0, 6, 400), rng.normal(size=400)
    treated = rng.normal(size=6)[label] + 0.5 * factor + rng.normal(size=400)
    outcome = rng.normal(size=6)[label] + 0.2 * factor + rng.normal(size=400)
    made = causal.design(label, {"contrast": factor})
    assert made.names == ("Y", "contrast")
    assert made.groups.tolist() == [-1, *[0] * 5, 1, 1]
    np.testing.assert_array_equal(made.x, causal.covariates(label, [factor]))
    together = causal.robustness(treated, made.x, outcome, groups=made.groups)
    apart = causal.robustness(treated, made.x, outcome)
    assert together.strongest == 0
    # By formula, from two regressions each.
    means = np.array([treated[label == k].mean() for k in range(6)])[label]
    assert together.benchmark_bias > apart.benchmark_bias
    assert together.benchmark[0] > 0.5 * means.var() / (treated - means).var()


def test_a_covariate_that_says_nearly_all_of_the_treatment_has_no_bound():
    rng = np.random.default_rng(9)
    z = rng.normal(size=100)
    found = causal.robustness(z + 0.1 * rng.normal(size=100), np.column_stack([np.ones(100), z]), rng.normal(size=100))
    assert found.benchmark_bias == np.inf
    with pytest.raises(ValueError, match="groups"):
        causal.robustness(z > 0, np.column_stack([np.ones(100), z]), z, groups=np.zeros(1))


def test_e_values():
    assert causal.e_value(0.2, 0.1) == pytest.approx(2 + np.sqrt(2))
    assert causal.e_value(0.1, 0.2) == causal.e_value(0.2, 0.1)
    assert causal.e_value(0.3, 0.3) == 1
    assert np.isnan(causal.e_value(0.0, 0.3))


def test_e_value_has_the_interval_of_its_risk_ratio():
    ratios = np.r_[2.0, np.linspace(1.2, 3.2, 101)]
    found = causal.e_value_of_resamples(0.1 * ratios, np.full(102, 0.1))
    low, high = np.quantile(ratios[1:], [0.025, 0.975])
    assert found == pytest.approx([r + np.sqrt(r * (r - 1)) for r in (2.0, low, high)], rel=0.03)
    turned = causal.e_value_of_resamples(np.full(102, 0.1), 0.1 * ratios)
    assert turned == pytest.approx(found)
    # A ratio of 1 within the interval needs no confounder; a risk of 0 in a resample would need any.
    unsure = causal.e_value_of_resamples(
        0.1 * np.r_[1.1, np.linspace(0.5, 2, 99), 0.0, 0.0, 0.0, 0.0], np.full(104, 0.1)
    )
    assert unsure.low == 1 and unsure.high == np.inf
    assert np.isnan(causal.e_value_of_resamples(np.zeros(3), np.ones(3)).value)


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
