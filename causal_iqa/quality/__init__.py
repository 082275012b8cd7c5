"""The new metrics: how much of the task a frozen backbone still finds in an image, measured against clean anchors."""

from causal_iqa.quality.table import TABLE, WITNESSES, QualitySpec, evaluate
from causal_iqa.quality.witness import (
    Anchors,
    Choice,
    ClassVectors,
    ClassVectorWitness,
    Witness,
    evidence,
    fit_class_vectors,
    fit_regularised_witness,
    fit_witness,
    leave_one_out_errors,
    margin,
    negative_entropy,
    peak,
    share_of_label,
    shares,
    spread,
)

__all__ = [
    "TABLE",
    "WITNESSES",
    "Anchors",
    "Choice",
    "ClassVectorWitness",
    "ClassVectors",
    "QualitySpec",
    "Witness",
    "evaluate",
    "evidence",
    "fit_class_vectors",
    "fit_regularised_witness",
    "fit_witness",
    "leave_one_out_errors",
    "margin",
    "negative_entropy",
    "peak",
    "share_of_label",
    "shares",
    "spread",
]
