"""Verdicts on the four desiderata."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment, causal


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
