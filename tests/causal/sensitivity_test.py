"""How strong an omitted confounder would have to be."""

import numpy as np
import pytest

from causal_iqa import causal


def test_robustness_against_the_regression_with_the_confounder():
    """The effect vanishes when a confounder with the two shares of the robustness value is put in."""
    rng = np.random.default_rng(6)
    n = 4000
    z, treated = rng.normal(size=n), rng.random(n) < 0.5
    x = np.column_stack([np.ones(n), z])
    y = 0.3 * treated + z + rng.normal(size=n)
    found = causal.robustness(treated, x, y)
    whole = np.column_stack([treated, x])
    b = np.linalg.lstsq(whole, y, rcond=None)[0]
    error = np.sqrt(np.square(y - whole @ b).sum() / (n - 3) * np.linalg.inv(whole.T @ whole)[0, 0])
    assert found.effect == pytest.approx(b[0])
    assert found.standard_error == pytest.approx(error)
    # Defining equation of the value: its share of both brings the t statistic to 0.
    f = abs(b[0] / error) / np.sqrt(n - 3)
    assert found.value**2 / (1 - found.value) == pytest.approx(f**2)
    assert 0 < found.value_significance < found.value
    share = np.corrcoef(treated, z)[0, 1] ** 2
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


def test_significance_of_an_arm_that_does_nothing_where_images_come_in_clusters():
    """Forty cameras of ten images: each camera has one arm and its own brightness, and the arm does nothing."""
    rng = np.random.default_rng(10)
    clusters = np.repeat(np.arange(40), 10)
    found = {"images": [], "clusters": []}
    for _ in range(200):
        treated = rng.permutation(np.arange(40) % 2)[clusters] == 1
        z = rng.normal(size=400)
        outcome = z + rng.normal(size=40)[clusters] + rng.normal(size=400)
        x = np.column_stack([np.ones(400), z])
        for name, own in (("images", None), ("clusters", clusters)):
            found[name].append(causal.robustness(treated, x, outcome, clusters=own))
    significant = {name: np.mean([one.value_significance > 0 for one in every]) for name, every in found.items()}
    # .05 is expected of 200 draws, of which a share has a standard error of .015.
    assert significant["images"] > 0.3 and significant["clusters"] < 0.1
    alone, together = found["images"][0], found["clusters"][0]
    assert together[:1] + together[2:3] + together[4:] == alone[:1] + alone[2:3] + alone[4:], "shares of variance stay"
    assert together.standard_error > 1.5 * alone.standard_error


def test_the_error_of_clusters_is_that_of_the_sandwich_formula():
    rng = np.random.default_rng(11)
    clusters, z, treated = rng.integers(0, 12, 90), rng.normal(size=90), rng.random(90) < 0.5
    outcome = z + rng.normal(size=12)[clusters]
    x = np.column_stack([np.ones(90), z])
    found = causal.robustness(treated, x, outcome, clusters=clusters)
    whole = np.column_stack([treated, x])
    left = outcome - whole @ np.linalg.lstsq(whole, outcome, rcond=None)[0]
    bread = np.linalg.inv(whole.T @ whole)
    sums = np.array([whole[clusters == one].T @ left[clusters == one] for one in range(12)])
    sandwich = bread @ sums.T @ sums @ bread * 12 / 11 * 89 / 87
    assert found.standard_error == pytest.approx(np.sqrt(sandwich[0, 0]))
    few = causal.robustness(treated, x, outcome, clusters=clusters // 2)
    assert np.isnan(few.standard_error) and np.isnan(few.value_significance) and few.value == found.value
    with pytest.raises(ValueError, match="clusters: expected"):
        causal.robustness(treated, x, outcome, clusters=clusters[:5])
