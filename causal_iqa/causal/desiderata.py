"""Four things a quality metric should do, judged for one metric from what was measured and from its graph."""

import math
import types
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa.alignment import Alignment
from causal_iqa.causal.effects import DoseResponse, Effect
from causal_iqa.causal.graphs import Graph, ancestors


class Evidence(NamedTuple):
    """Tests that go beside the intervals; p-values corrected for the number of metrics, NaN where not tested.

    depends: of the independence of score and condition.
    falling: of Page's trend test, degradation -> p-value, small where the score falls with severity.
    informs: of the independence of score and performance given the condition.
    """

    depends: float = math.nan
    falling: Mapping[str, float] = types.MappingProxyType({})
    informs: float = math.nan


class Verdict(NamedTuple):
    """Whether a desideratum holds, and the numbers or the path in the graph that say so."""

    holds: bool
    evidence: str


class Desiderata(NamedTuple):
    """The verdicts on one metric.

    sensitive: D1, the score falls with the imaging condition.
    aligned: D2, it predicts performance between, within and pooled.
    free_standing: D3, it needs no pristine reference of the scene.
    prior: D4, it needs nothing of the networks judged.
    """

    sensitive: Verdict
    aligned: Verdict
    free_standing: Verdict
    prior: Verdict


UNDEFINED = "no score that is defined"
# Below this no law of a test is known to be right.
SMALLEST_P = 1e-16
_NO_EVIDENCE = Evidence()


def judge(
    graph: Graph,
    effects: Effect,
    doses: Mapping[str, DoseResponse],
    alignment: Alignment,
    *,
    evidence: Evidence = _NO_EVIDENCE,
    alpha: float = 0.05,
) -> Desiderata:
    """Judges one metric.

    D1 holds when the interval of the effect on the score excludes 0 under at least half of the conditions, and the
    score falls with severity (trend below 0) in at least half of the degradations. D2 holds when the intervals of all
    three correlations lie above 0. Where tests are given they must reject as well: D1 the independence of score and
    condition, D2 that of score and performance given the condition; D1 then counts the degradations where Page's test
    finds the score falling. D3 holds when the graph has no way from R to Q, D4 when it has none from W to Q.

    Args:
      graph: of the metric's family, with the node Q.
      effects: of every condition on the score, higher is better.
      doses: of the score.
      alignment: of the score with the performance of one network.
      evidence: tests of dependence; none by default.
      alpha: level of the tests.

    Returns:
      Four verdicts with evidence in words. Undefined numbers count against the metric.

    Raises:
      ValueError: when the graph has no node Q.
    """
    causes = ancestors(graph, "Q")
    return Desiderata(
        _sensitive(effects, doses, evidence, alpha),
        _aligned(alignment, evidence, alpha),
        Verdict("R" not in causes, "reads the reference R" if "R" in causes else "R is no cause of Q"),
        _prior(causes),
    )


def _sensitive(effects: Effect, doses: Mapping[str, DoseResponse], evidence: Evidence, alpha: float) -> Verdict:
    if not np.isfinite(effects.effect).any():
        return Verdict(False, UNDEFINED)
    moved = int(((effects.low > 0) | (effects.high < 0)).sum())
    falling = sum(dose.trend < 0 for dose in doses.values())
    holds = 2 * moved >= effects.effect.size > 0 and 2 * falling >= len(doses) > 0
    text = (
        f"effect differs from 0 under {moved} of {effects.effect.size} conditions; "
        f"falls with severity in {falling} of {len(doses)} degradations"
    )
    tested = [p for p in evidence.falling.values() if math.isfinite(p)]
    if tested:
        surely = sum(p < alpha for p in tested)
        holds &= 2 * surely >= len(tested)
        text += f", surely (Page) in {surely} of {len(tested)}"
    return _with_test(Verdict(bool(holds), text), evidence.depends, alpha, "independent of C")


def _aligned(alignment: Alignment, evidence: Evidence, alpha: float) -> Verdict:
    if all(math.isnan(x.rho) for x in alignment):
        return Verdict(False, UNDEFINED)
    parts = [
        f"{name} undefined" if math.isnan(x.rho) else f"{name} {x.rho:.2f} [{x.low:.2f}, {x.high:.2f}]"
        for name, x in alignment._asdict().items()
    ]
    verdict = Verdict(all(np.isfinite(x.low) and x.low > 0 for x in alignment), ", ".join(parts))
    return _with_test(verdict, evidence.informs, alpha, "independent of M given C")


def _with_test(verdict: Verdict, p_value: float, alpha: float, statement: str) -> Verdict:
    if not math.isfinite(p_value):
        return verdict
    shown = f"= {p_value:.2g}" if p_value >= SMALLEST_P else f"< {SMALLEST_P:g}"
    return Verdict(bool(verdict.holds and p_value < alpha), f"{verdict.evidence}; {statement}: p {shown}")


def _prior(causes: frozenset[str]) -> Verdict:
    if "W" in causes:
        return Verdict(False, "reads the weights W of the networks judged")
    needs = [text for node, text in (("T", "task knowledge T"), ("Y", "the label Y")) if node in causes]
    needed = f"; needs {' and '.join(needs)}" if needs else ""
    return Verdict(True, f"W is no cause of Q{needed}")
