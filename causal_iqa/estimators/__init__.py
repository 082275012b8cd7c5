"""Accuracy estimators of the literature: label-free, they read the judged network's own outputs."""

from causal_iqa.estimators.confidences import (
    atc_threshold,
    average_confidence,
    average_thresholded_confidence,
    cross_fitted,
    difference_of_confidences,
    left_out_lines,
    regressed_difference_of_confidences,
)
from causal_iqa.estimators.distributions import (
    Transport,
    dense,
    dispersion,
    frechet_distance,
    negative_gradient_norm,
    nuclear_norm,
    optimal_transport,
    pseudo_labels,
    uniformity,
)
from causal_iqa.estimators.fusion import alignment_temperature, fused_reference
from causal_iqa.estimators.logits import agreement, confidence, energy, margin, negative_entropy
from causal_iqa.estimators.norms import MatrixNormTerms, matrix_norm, matrix_norm_terms
from causal_iqa.estimators.stability import (
    neighbourhood_invariance,
    prediction_agreement,
    prediction_information,
    ser_fiq,
)
from causal_iqa.estimators.table import FAMILY, LEVELS, TABLE, EstimatorSpec
from causal_iqa.estimators.temperature import (
    TEMPERATURES,
    KeptOutputs,
    fit_temperature,
    log_power_sums,
    tempered,
    tempered_negative_entropy,
)
from causal_iqa.estimators.transferability import h_score, leep, log_me

__all__ = [
    "FAMILY",
    "LEVELS",
    "TABLE",
    "TEMPERATURES",
    "EstimatorSpec",
    "KeptOutputs",
    "MatrixNormTerms",
    "Transport",
    "agreement",
    "alignment_temperature",
    "atc_threshold",
    "average_confidence",
    "average_thresholded_confidence",
    "confidence",
    "cross_fitted",
    "dense",
    "difference_of_confidences",
    "dispersion",
    "energy",
    "fit_temperature",
    "frechet_distance",
    "fused_reference",
    "h_score",
    "leep",
    "left_out_lines",
    "log_me",
    "log_power_sums",
    "margin",
    "matrix_norm",
    "matrix_norm_terms",
    "negative_entropy",
    "negative_gradient_norm",
    "neighbourhood_invariance",
    "nuclear_norm",
    "optimal_transport",
    "prediction_agreement",
    "prediction_information",
    "pseudo_labels",
    "regressed_difference_of_confidences",
    "ser_fiq",
    "tempered",
    "tempered_negative_entropy",
    "uniformity",
]
