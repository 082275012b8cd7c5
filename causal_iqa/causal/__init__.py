"""The independences that the graph of a metric implies, and the effects of interventions on the imaging condition."""

from causal_iqa import _former
from causal_iqa.causal.adjustment import DEFAULT_METHOD, METHODS, ArmMeans, Assignment, arm_means, assign, estimate_arms
from causal_iqa.causal.claims import (
    RELEVANT_CORRELATION,
    RELEVANT_FALL,
    Answer,
    Claim,
    CorrectedTest,
    fall_claim,
)
from causal_iqa.causal.desiderata import SMALLEST_P, UNDEFINED, Desiderata, Evidence, Verdict, judge
from causal_iqa.causal.dose_alignment import DoseAlignment, Trend, align_doses, falling_trend
from causal_iqa.causal.effects import (
    DoseResponse,
    average_effects,
    dose_response,
)
from causal_iqa.causal.graphs import (
    FAMILIES,
    TASK,
    Graph,
    Independence,
    adjustment_set,
    at_task_input,
    d_separated,
    do,
    implied_independences,
    parse,
)
from causal_iqa.causal.independence import (
    Column,
    IndependenceTest,
    independence_test,
    numeric_column,
    one_row_per_image,
    statement_tests,
)
from causal_iqa.causal.mechanism_changes import ChangeAttribution, ObservedSet, attribute_change
from causal_iqa.causal.mediation import MOST_OFF_SUPPORT, Mediation, Split, mediate
from causal_iqa.causal.observational import (
    Design,
    Overlap,
    covariates,
    design,
    nearest_conditions,
    observe,
    overlap,
    severity_propensities,
    true_means,
)
from causal_iqa.causal.ordered_means import StepFalls, falls_by_degradation, step_falls
from causal_iqa.causal.refutations import Refutation, refute
from causal_iqa.causal.resamples import LEAST_IMAGES
from causal_iqa.causal.sensitivity import Robustness, e_value, e_value_of_resamples, robustness
from causal_iqa.causal.testable_implications import ALTERNATIVES, Distinction, Implication, distinctions, implications
from causal_iqa.causal.within_conditions import (
    CommonSignTest,
    common_sign_test,
    within_condition_independence_test,
)
from causal_iqa.estimates import Estimate

__getattr__ = _former.getter(
    __name__,
    {
        "Effect": "causal_iqa.estimates.Estimate",
        "RIVALS": f"{__name__}.ALTERNATIVES",
        "clustered_test": f"{__name__}.within_condition_independence_test",
    },
)


__all__ = [
    "ALTERNATIVES",
    "DEFAULT_METHOD",
    "FAMILIES",
    "LEAST_IMAGES",
    "METHODS",
    "MOST_OFF_SUPPORT",
    "RELEVANT_CORRELATION",
    "RELEVANT_FALL",
    "SMALLEST_P",
    "TASK",
    "UNDEFINED",
    "Answer",
    "ArmMeans",
    "Assignment",
    "ChangeAttribution",
    "Claim",
    "Column",
    "CommonSignTest",
    "CorrectedTest",
    "Desiderata",
    "Design",
    "Distinction",
    "DoseAlignment",
    "DoseResponse",
    "Estimate",
    "Evidence",
    "Graph",
    "Implication",
    "Independence",
    "IndependenceTest",
    "Mediation",
    "ObservedSet",
    "Overlap",
    "Refutation",
    "Robustness",
    "Split",
    "StepFalls",
    "Trend",
    "Verdict",
    "adjustment_set",
    "align_doses",
    "arm_means",
    "assign",
    "at_task_input",
    "attribute_change",
    "average_effects",
    "common_sign_test",
    "covariates",
    "d_separated",
    "design",
    "distinctions",
    "do",
    "dose_response",
    "e_value",
    "e_value_of_resamples",
    "estimate_arms",
    "fall_claim",
    "falling_trend",
    "falls_by_degradation",
    "implications",
    "implied_independences",
    "independence_test",
    "judge",
    "mediate",
    "nearest_conditions",
    "numeric_column",
    "observe",
    "one_row_per_image",
    "overlap",
    "parse",
    "refute",
    "robustness",
    "severity_propensities",
    "statement_tests",
    "step_falls",
    "true_means",
    "within_condition_independence_test",
]
