"""Rivals of the new metrics: label-free estimates of accuracy that read the judged network's own outputs."""

from causal_iqa.rivals.accuracy import (
    atc_threshold,
    average_confidence,
    average_thresholded_confidence,
    cross_fitted,
    difference_of_confidences,
)
from causal_iqa.rivals.dataset import Transport, dense, nuclear_norm, optimal_transport
from causal_iqa.rivals.matrix_norm import MatrixNormTerms, matrix_norm, matrix_norm_terms
from causal_iqa.rivals.outputs import agreement, confidence, energy, margin, negative_entropy
from causal_iqa.rivals.stability import neighbourhood_invariance, prediction_agreement, prediction_information, ser_fiq
from causal_iqa.rivals.table import FAMILY, LEVELS, TABLE, RivalSpec
from causal_iqa.rivals.temperature import TEMPERATURES, log_power_sums
from causal_iqa.rivals.transferability import h_score, leep, log_me

__all__ = [
    "FAMILY",
    "LEVELS",
    "TABLE",
    "TEMPERATURES",
    "MatrixNormTerms",
    "RivalSpec",
    "Transport",
    "agreement",
    "atc_threshold",
    "average_confidence",
    "average_thresholded_confidence",
    "confidence",
    "cross_fitted",
    "dense",
    "difference_of_confidences",
    "energy",
    "h_score",
    "leep",
    "log_me",
    "log_power_sums",
    "margin",
    "matrix_norm",
    "matrix_norm_terms",
    "negative_entropy",
    "neighbourhood_invariance",
    "nuclear_norm",
    "optimal_transport",
    "prediction_agreement",
    "prediction_information",
    "ser_fiq",
]
