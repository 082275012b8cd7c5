"""Effects against their definition, and the verdicts drawn from them."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment, causal


def test_effect_is_the_paired_difference_of_means(key):
    rng = np.random.default_rng(0)
    scene = 10 * rng.normal(size=80)
    shift = np.array([0.0, -1.0, 2.0])[:, None]
    values = scene + shift + 0.1 * rng.normal(size=(3, 80))
    found = causal.average_effects(key, values, scene, num_resamples=500)
    change = values - scene
    np.testing.assert_allclose(found.value, change.mean(axis=1))
    # The interval of a mean is near +- 1.96 standard errors of the paired change, not of the scenes' spread.
    error = 1.96 * change.std(axis=1) / np.sqrt(80)
    np.testing.assert_allclose(found.high - found.value, error, rtol=0.25)
    np.testing.assert_allclose(found.value - found.low, error, rtol=0.25)


def test_intervals_are_those_of_resampled_images(key):
    rng = np.random.default_rng(1)
    values, clean = rng.normal(size=(2, 9)), rng.normal(size=9)
    values[0, 3] = np.nan
    counts = alignment.resample_counts(key, 9, 40).astype(int)
    found = causal.average_effects(key, values, clean, num_resamples=40, level=0.8)
    for c in range(2):
        means = [np.nanmean(np.repeat(values[c] - clean, row)) for row in counts]
        np.testing.assert_allclose((found.low[c], found.high[c]), np.quantile(means, [0.1, 0.9]))


def test_images_of_a_cluster_are_drawn_together(key):
    rng = np.random.default_rng(2)
    clusters, own = np.repeat(np.arange(30), 4), rng.normal(size=(2, 30))
    found = causal.average_effects(key, own[:1, clusters], own[1, clusters], clusters=clusters)
    of_clusters = causal.average_effects(key, own[:1], own[1])
    np.testing.assert_allclose(found, of_clusters)
    assert np.isnan(causal.average_effects(key, own[:1, clusters], own[1, clusters], clusters=clusters // 5).low).all()


def test_undefined_images_are_left_out_and_undefined_conditions_are_nan(key):
    values = np.array([[1.0, 2.0, np.inf], [np.nan] * 3])
    found = causal.average_effects(key, values, np.array([0.0, np.nan, 1.0]), num_resamples=5)
    assert found.value[0] == 1.0
    assert np.isnan([found.value[1], found.low[1], found.high[1]]).all()


def test_dose_response_sorts_and_correlates():
    values = np.array([[3.0, 5.0], [9.0, 9.0], [1.0, np.nan], [2.0, 4.0]])
    found = causal.dose_response(values, ["fog", "blur", "fog", "fog"], [2, 1, 3, 1], clean=np.array([6.0, 6.0]))
    assert list(found) == ["fog", "blur"]
    np.testing.assert_array_equal(found["fog"].severity, [0, 1, 2, 3])
    np.testing.assert_array_equal(found["fog"].mean, [6, 3, 4, 1])
    assert found["fog"].trend == pytest.approx(stats.spearmanr([0, 1, 2, 3], [6, 3, 4, 1]).statistic)
    assert found["blur"].trend == pytest.approx(1.0)
    alone = causal.dose_response(values, ["fog", "blur", "fog", "fog"], [2, 1, 3, 1])
    assert np.isnan(alone["blur"].trend)


def test_refuses_tables_that_do_not_fit(key):
    with pytest.raises(ValueError, match="values, clean"):
        causal.average_effects(key, np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="level"):
        causal.average_effects(key, np.zeros((2, 3)), np.zeros(3), level=2)
    with pytest.raises(ValueError, match="severities"):
        causal.dose_response(np.zeros((2, 3)), ["fog"], [1])


def _judged(family, sign, rho=0.5):
    rng = np.random.default_rng(2)
    names, severities = np.repeat(["fog", "blur"], 3), [1, 2, 3, 1, 2, 3]
    clean = rng.normal(size=60)
    values = clean - sign * np.array(severities)[:, None] + 0.3 * rng.normal(size=(6, 60))
    graph = causal.FAMILIES[family] if isinstance(family, str) else family
    rho = alignment.Alignment(*(alignment.Estimate(rho, rho - 0.1, rho + 0.1) for _ in range(3)))
    effects = causal.average_effects(jax.random.key(0), values, clean, num_resamples=50)
    return causal.judge(graph, effects, causal.falls_by_degradation(values, names, severities), rho, num_images=60)


def test_verdicts_follow_the_evidence():
    good, bad = _judged("no_reference", 1), _judged("full_reference", -1, rho=-0.5)
    assert [verdict.answer for verdict in good] == ["yes", "yes", "yes", "yes"]
    assert [verdict.answer for verdict in bad] == ["no", "no", "no", "yes"]
    assert [verdict.holds for verdict in bad] == [False, False, False, True]
    assert good.sensitive.evidence == (
        "mean falls at every step of severity in 2 of 2 degradations; effect differs from 0 under 6 of 6 conditions"
    )
    assert good.aligned.evidence == "between 0.50 [0.40, 0.60], within 0.50 [0.40, 0.60], pooled 0.50 [0.40, 0.60]"
    assert "in 0 of 2 degradations, not in 2" in bad.sensitive.evidence


def test_no_is_an_equivalence_bound_and_not_shown_says_how_many_images_would():
    """An interval from -.05 to .15 excludes neither 0 nor .1; one that ends at .05 excludes what would matter."""
    open_ = _judged("no_reference", 1, rho=0.05).aligned
    assert open_.answer == "not shown"
    # The standard error is .1 / 1.96, and 1.96 + .84 of them must fit into .05, to either side.
    assert open_.enough_images == pytest.approx(60 * ((1.96 + 0.8416) * (0.1 / 1.96) / 0.05) ** 2, rel=0.01)
    assert open_.in_words(60) == f"not shown with 60 images, about {open_.enough_images} would do"
    none = _judged("no_reference", 1, rho=-0.05).aligned
    assert (none.answer, none.enough_images, none.in_words(60)) == ("no", None, "no")


def test_prior_and_free_standing_come_from_the_graph():
    assert _judged("task_guided", 1).prior[:2] == ("yes", "W is no cause of Q; needs task knowledge T and the label Y")
    assert _judged("label_free", 1).free_standing.holds
    own_confidence = causal.parse(f"{causal.FAMILIES['no_reference']}, W -> Q")
    assert not _judged(own_confidence, 1).prior.holds


def test_undefined_numbers_show_nothing():
    nothing = alignment.Alignment(*[alignment.Estimate(np.nan, np.nan, np.nan)] * 3)
    effects = causal.Estimate(*np.full((3, 2), np.nan))
    verdicts = causal.judge(causal.FAMILIES["no_reference"], effects, {}, nothing, num_images=9)
    assert [verdicts.sensitive.answer, verdicts.aligned.answer] == ["not shown", "not shown"]
    assert verdicts.sensitive.in_words(9) == "not shown with 9 images"


def test_tests_of_dependence_must_reject_where_they_are_given():
    rng = np.random.default_rng(3)
    values = rng.normal(size=60) - np.arange(1, 4)[:, None] + 0.3 * rng.normal(size=(3, 60))
    effects = causal.average_effects(jax.random.key(0), values, values[0] + 1, num_resamples=50)
    falls = causal.falls_by_degradation(values, ["fog"] * 3, [1, 2, 3])
    rho = alignment.Alignment(*[alignment.Estimate(0.5, 0.4, 0.6)] * 3)

    def judged(**evidence):
        graph, given = causal.FAMILIES["no_reference"], causal.Evidence(**evidence)
        return causal.judge(graph, effects, falls, rho, num_images=60, evidence=given)

    test = causal.CorrectedTest
    sure = judged(
        depends=test(1e-4, 1e-4),
        falling={"fog": test(1e-3, 1e-3)},
        page={"fog": test(1e-3, 1e-3)},
        informs=test(0.01, 0.01),
        common_sign=test(0.01, 0.02, z=2.6),
    )
    assert sure.sensitive.answer == sure.aligned.answer == "yes"
    assert sure.sensitive.evidence.endswith("Page's trend test finds 1 of 1 falling; independent of C: p = 0.0001")
    assert sure.aligned.evidence.endswith(
        "independent of M given C: p = 0.01; no common sign given C: p = 0.02 (z +2.6)"
    )
    assert judged(falling={"fog": test(1e-3, 0.4)}).sensitive.answer == "not shown"
    # A test alone excludes nothing; the images it would take follow from its own and its corrected p-value.
    weak = judged(informs=test(0.04, 0.4)).aligned
    assert weak.answer == "not shown"
    z = stats.norm.isf([0.04 / 2, 0.005 / 2])
    assert weak.enough_images == pytest.approx(60 * ((z[1] + 0.8416) / z[0]) ** 2, rel=0.01)
    assert judged(common_sign=test(1e-3, 1e-3, z=-3.3)).aligned.answer == "no"
    assert judged(depends=test(), informs=test()) == judged()
