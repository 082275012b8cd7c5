"""Four things a quality metric should do, judged for one metric from what was measured and from its graph."""

import math
import types
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from causal_iqa.alignment import Alignment
from causal_iqa.causal.claims import (
    Answer,
    Claim,
    CorrectedTest,
    correlation_claim,
    dependence_claim,
    fall_claim,
)
from causal_iqa.causal.graphs import Graph, ancestors
from causal_iqa.causal.ordered_means import StepFalls
from causal_iqa.estimates import Estimate

UNDEFINED = "no score that is defined"
_NUMBERS = ("between", "within", "pooled")
# Below this no law of a test is known to be right.
SMALLEST_P = 1e-16
# More than this no study has.
_MOST_IMAGES = 10_000_000


_NO_TEST = CorrectedTest()


class Evidence(NamedTuple):
    """Tests that accompany the intervals.

    Attributes:
      depends: depends of the independence of score and condition.
      falling: that the mean falls at every step, degradation -> result.
      page: Page's trend test, degradation -> result.
      informs: informs of the independence of score and performance given the condition.
      common_sign: that score and performance rise together given the condition.
    """

    depends: CorrectedTest = _NO_TEST
    falling: Mapping[str, CorrectedTest] = types.MappingProxyType({})
    page: Mapping[str, CorrectedTest] = types.MappingProxyType({})
    informs: CorrectedTest = _NO_TEST
    common_sign: CorrectedTest = _NO_TEST


class Verdict(NamedTuple):
    """Whether a desideratum holds, and the numbers or the path in the graph that say so.

    Attributes:
      answer: "yes"; "no" where a relevant effect is excluded; "not shown" where these images decide neither.
      evidence: the reasons for the verdict, in words.
      enough_images: about how many images would decide with probability .8, were the estimates the truth; None where
        the answer is known, or no number is known that would do.
    """

    answer: Answer
    evidence: str
    enough_images: int | None = None

    @property
    def holds(self) -> bool:
        """Whether the answer is yes."""
        return self.answer == "yes"

    def in_words(self, num_images: int) -> str:
        """Returns the answer, where it is not known with the number of images it was looked for on, and would need."""
        if self.answer != "not shown":
            return self.answer
        needed = "" if self.enough_images is None else f", about {self.enough_images} would do"
        return f"not shown with {num_images} images{needed}"


class Desiderata(NamedTuple):
    """The verdicts on one metric.

    Attributes:
      sensitive: D1, its mean falls at every step of severity.
      aligned: D2, it predicts performance between, within and pooled.
      free_standing: D3, it needs no pristine reference of the scene.
      prior: D4, the score needs nothing from the judged networks.
    """

    sensitive: Verdict
    aligned: Verdict
    free_standing: Verdict
    prior: Verdict


_NO_EVIDENCE = Evidence()


def judge(
    graph: Graph,
    effects: Estimate,
    falls: Mapping[str, StepFalls],
    alignment: Alignment,
    *,
    num_images: int,
    evidence: Evidence = _NO_EVIDENCE,
    alpha: float = 0.05,
    level: float = 0.95,
) -> Desiderata:
    """Judges one metric.

    D1, yes: in at least half of the degradations the mean falls at every step of severity (`step_falls` rejects). No:
    in more than half some step certainly falls by less than .05 standard deviations. The effects, Page's trend test
    and the independence of score and condition accompany it in words.

    D2, yes: the intervals of all three correlations lie above 0, and where tests are given they reject: the
    independence of score and performance given the condition, and the common sign, which must be positive. No: the
    interval of one of the three lies below .1, or the common sign is surely negative.

    D3 holds when the graph has no way from R to Q, D4 when it has none from W to Q.

    Args:
      graph: graph of the metric's family, with the node Q.
      effects: effects of every condition on the score, higher is better.
      falls: falls of the score, degradation -> result of `step_falls`.
      alignment: alignment of the score with the performance of one network.
      num_images: that the intervals of the alignment resample.
      evidence: tests; none by default. Where "falling" lacks a degradation, the p-value of its falls counts.
      alpha: level of the tests.
      level: confidence level of the intervals.

    Returns:
      Four verdicts with evidence in words.

    Raises:
      ValueError: when the graph has no node Q.

    References:
      [1] D. Schuirmann (1987), A comparison of the two one-sided tests procedure and the power approach for assessing
        the equivalence of average bioavailability, Journal of Pharmacokinetics and Biopharmaceutics 15.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> effects = causal.average_effects(jax.random.key(0), q[1:], q[0], num_resamples=20)
      >>> falls = causal.falls_by_degradation(q[1:], ["fog"] * 3, [1.0, 3.0, 5.0], clean=q[0])
      >>> aligned = alignment.align(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=20)["q"]["net"]
      >>> verdicts = causal.judge(causal.FAMILIES["no_reference"], effects, falls, aligned, num_images=60)
      >>> verdicts.sensitive.answer, verdicts.free_standing.answer
      ('yes', 'yes')
    """
    causes = ancestors(graph, "Q")
    return Desiderata(
        _sensitive(effects, falls, evidence, alpha, level),
        _aligned(alignment, num_images, evidence, alpha, level),
        _known("R" not in causes, "reads the reference R" if "R" in causes else "R is no cause of Q"),
        _prior(causes),
    )


def _sensitive(
    effects: Estimate, falls: Mapping[str, StepFalls], evidence: Evidence, alpha: float, level: float
) -> Verdict:
    if not np.isfinite(effects.value).any():
        return Verdict("not shown", UNDEFINED)
    parts = {
        name: fall_claim(
            one, evidence.falling.get(name, CorrectedTest(one.p_value, one.p_value)), alpha=alpha, level=level
        )
        for name, one in falls.items()
    }
    count = {answer: sum(part.answer == answer for part in parts.values()) for answer in ("yes", "no", "not shown")}
    text = f"mean falls at every step of severity in {count['yes']} of {len(parts)} degradations"
    text += f", not in {count['no']}" if count["no"] else ""
    text += f", not shown in {count['not shown']}" if count["not shown"] else ""
    moved = int(((effects.low > 0) | (effects.high < 0)).sum())
    text += f"; effect differs from 0 under {moved} of {effects.value.size} conditions"
    if paged := [one.corrected for one in evidence.page.values() if math.isfinite(one.corrected)]:
        text += f"; Page's trend test finds {sum(p < alpha for p in paged)} of {len(paged)} falling"
    text += _test_text("independent of C", evidence.depends)
    # At least half must fall, more than half not fall.
    needed, excluded = math.ceil(len(parts) / 2) - count["yes"], len(parts) // 2 + 1 - count["no"]
    if not parts:
        return Verdict("not shown", text)
    if needed <= 0:
        return Verdict("yes", text)
    if excluded <= 0:
        return Verdict("no", text)
    undecided = [part for part in parts.values() if part.answer == "not shown"]
    for_yes, for_no = sorted(part.for_yes for part in undecided), sorted(part.for_no for part in undecided)
    enough = [sizes[most - 1] for sizes, most in ((for_yes, needed), (for_no, excluded)) if most <= len(sizes)]
    return Verdict("not shown", text, _whole_number(min(enough, default=math.inf)))


def _aligned(alignment: Alignment, num_images: int, evidence: Evidence, alpha: float, level: float) -> Verdict:
    numbers = {name: getattr(alignment, name) for name in _NUMBERS}
    if all(math.isnan(x.value) for x in numbers.values()):
        return Verdict("not shown", UNDEFINED)
    shown = [f"{name} undefined" if math.isnan(x.value) else f"{name} {x.text()}" for name, x in numbers.items()]
    parts = [correlation_claim(x, num_images, level=level) for x in numbers.values()]
    for test in (evidence.informs, evidence.common_sign):
        if math.isfinite(test.corrected):
            parts.append(dependence_claim(test, num_images, alpha=alpha))
    text = ", ".join(shown) + _test_text("independent of M given C", evidence.informs)
    return _all_of(parts, text + _test_text("no common sign given C", evidence.common_sign))


def _all_of(parts: Sequence[Claim], text: str) -> Verdict:
    answers = [part.answer for part in parts]
    if "no" in answers:
        return Verdict("no", text)
    if set(answers) == {"yes"}:
        return Verdict("yes", text)
    undecided = [part for part in parts if part.answer == "not shown"]
    enough = min(max(part.for_yes for part in undecided), min(part.for_no for part in undecided))
    return Verdict("not shown", text, _whole_number(enough))


def _whole_number(size: float) -> int | None:
    return math.ceil(size) if size < _MOST_IMAGES else None


def _test_text(statement: str, test: CorrectedTest) -> str:
    if not math.isfinite(test.corrected):
        return ""
    shown = f"= {test.corrected:.2g}" if test.corrected >= SMALLEST_P else f"< {SMALLEST_P:g}"
    sign = "" if not math.isfinite(test.z) else f" (z {test.z:+.1f})"
    return f"; {statement}: p {shown}{sign}"


def _known(holds: bool, evidence: str) -> Verdict:
    return Verdict("yes" if holds else "no", evidence)


def _prior(causes: frozenset[str]) -> Verdict:
    if "W" in causes:
        return _known(False, "reads the weights W of the networks judged")
    needs = [text for node, text in (("T", "task knowledge T"), ("Y", "the label Y")) if node in causes]
    needed = f"; needs {' and '.join(needs)}" if needs else ""
    return _known(True, f"W is no cause of Q{needed}")
