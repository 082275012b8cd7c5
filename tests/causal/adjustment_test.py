"""Estimators from confounded draws against the known truth, and their pieces against other libraries and formulas."""

import jax
import numpy as np
import pytest
from scipy import optimize

from causal_iqa import causal
from causal_iqa.causal import adjustment
from tests.causal.worlds import world


def test_propensities_and_draws(key):
    outcomes, severity, hardness, _ = world(0)
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
    _, _, _, x = world(1, 80)
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


def _null_in_clusters(rng):
    """Forty cameras of ten images: each camera has one arm and its own brightness, and the arm does nothing."""
    clusters = np.repeat(np.arange(40), 10)
    treatment = rng.permutation(np.arange(40) % 2)[clusters]
    z = rng.normal(size=400)
    outcome = z + rng.normal(size=40)[clusters] + rng.normal(size=400)
    return clusters, treatment, causal.covariates(None, [z]), outcome


def test_an_arm_that_does_nothing_is_seldom_found_where_images_come_in_clusters():
    rng = np.random.default_rng(0)
    missed = {"images": [], "clusters": []}
    for draw in range(60):
        clusters, treatment, x, outcome = _null_in_clusters(rng)
        for name, own in (("images", None), ("clusters", clusters)):
            assigned = causal.assign(jax.random.key(draw), treatment, x, 2, num_resamples=100, clusters=own)
            for method in ("regression", "weighting", "doubly_robust"):
                _, low, high = causal.estimate_arms(assigned, outcome)[method].effect
                missed[name].append(not low[1] <= 0 <= high[1])
    # .05 is expected of 60 draws, of which a share has a standard error of .03.
    assert np.mean(missed["images"]) > 0.3
    assert np.mean(missed["clusters"]) < 0.15


def test_clusters_are_counted_whole_and_few_of_them_give_no_interval(key):
    clusters, treatment, x, outcome = _null_in_clusters(np.random.default_rng(1))
    counts = causal.assign(key, treatment, x, 2, num_resamples=5, clusters=clusters).counts
    assert (counts.reshape(6, 40, 10) == counts.reshape(6, 40, 10)[..., :1]).all() and counts[1:].max() > 1
    few = causal.assign(key, treatment, x, 2, num_resamples=5, clusters=clusters // 6)
    assert np.isnan(causal.estimate_arms(few, outcome)["regression"].effect.low[1])
    with pytest.raises(ValueError, match=r"clusters: expected \[400\], one for each image, got \(40,\)"):
        causal.assign(key, treatment, x, 2, clusters=np.arange(40))
