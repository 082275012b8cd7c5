"""How well a quality score predicts a network's performance: correlations, tests, gains, predicted accuracy."""

from causal_iqa import _former
from causal_iqa.alignment.attenuation import (
    LEAST_NEAR_ONE,
    Corrected,
    Reliability,
    correct,
    correct_halves,
    pairs_of_halves,
)
from causal_iqa.alignment.bounds import (
    ContradictedPairs,
    Decomposition,
    attenuated,
    contradicted_pairs,
    correlation_ratio,
    decompose,
    ordered_by_error,
    within_ceiling,
)
from causal_iqa.alignment.comparisons import ADJUSTMENTS, Comparison, adjust, compare
from causal_iqa.alignment.conditions import between_deviations, move_between, resample_conditions
from causal_iqa.alignment.correlation import Within, between, condition_means, masked_spearman, pooled, within
from causal_iqa.alignment.errors import Errors, accuracy_errors
from causal_iqa.alignment.further_measures import Measures, measure_intervals, measures
from causal_iqa.alignment.halves import half_sample_interval, half_samples
from causal_iqa.alignment.intervals import (
    Alignment,
    Difference,
    Differences,
    align,
    paired_difference,
    summarise,
)
from causal_iqa.alignment.opposite_signs import SignConflict, sign_conflicts
from causal_iqa.alignment.permutation import Null, permutation_null
from causal_iqa.alignment.predicted_accuracy import (
    AccuracyMap,
    HeldOut,
    fit_accuracy_map,
    held_out_accuracy,
    image_folds,
    predict_accuracy,
)
from causal_iqa.alignment.resampling import (
    NUMBERS,
    Resamples,
    bootstrap,
    normal_draws,
    resample_counts,
    too_few_for_one_number,
)
from causal_iqa.alignment.transfer import relative_to_clean, transferred_accuracy
from causal_iqa.alignment.yardsticks import YARDSTICKS, Gains, gains
from causal_iqa.estimates import UNDEFINED, Estimate

__getattr__ = _former.getter(__name__, {"Interval": "causal_iqa.estimates.Estimate"})


__all__ = [
    "ADJUSTMENTS",
    "LEAST_NEAR_ONE",
    "NUMBERS",
    "UNDEFINED",
    "YARDSTICKS",
    "AccuracyMap",
    "Alignment",
    "Comparison",
    "ContradictedPairs",
    "Corrected",
    "Decomposition",
    "Difference",
    "Differences",
    "Errors",
    "Estimate",
    "Gains",
    "HeldOut",
    "Measures",
    "Null",
    "Reliability",
    "Resamples",
    "SignConflict",
    "Within",
    "accuracy_errors",
    "adjust",
    "align",
    "attenuated",
    "between",
    "between_deviations",
    "bootstrap",
    "compare",
    "condition_means",
    "contradicted_pairs",
    "correct",
    "correct_halves",
    "correlation_ratio",
    "decompose",
    "fit_accuracy_map",
    "gains",
    "half_sample_interval",
    "half_samples",
    "held_out_accuracy",
    "image_folds",
    "masked_spearman",
    "measure_intervals",
    "measures",
    "move_between",
    "normal_draws",
    "ordered_by_error",
    "paired_difference",
    "pairs_of_halves",
    "permutation_null",
    "pooled",
    "predict_accuracy",
    "relative_to_clean",
    "resample_conditions",
    "resample_counts",
    "sign_conflicts",
    "summarise",
    "too_few_for_one_number",
    "transferred_accuracy",
    "within",
    "within_ceiling",
]
