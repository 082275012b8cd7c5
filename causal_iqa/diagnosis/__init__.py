"""Likely causes of poor quality: the most likely imaging condition of an image, its severity, the causes of a set."""

from causal_iqa.diagnosis.features import statistics
from causal_iqa.diagnosis.fitting import (
    FEWEST_ANCHORS,
    OTHERS,
    SEVERITIES,
    Samples,
    degrade,
    fit,
    fit_samples,
    make_samples,
)
from causal_iqa.diagnosis.model import (
    NONE,
    Diagnoses,
    DiagnosisModel,
    default_model,
    diagnose,
    load,
    read_statistics,
    save,
)
from causal_iqa.diagnosis.shares import OTHER, Composition, adapted, composition

__all__ = [
    "FEWEST_ANCHORS",
    "NONE",
    "OTHER",
    "OTHERS",
    "SEVERITIES",
    "Composition",
    "Diagnoses",
    "DiagnosisModel",
    "Samples",
    "adapted",
    "composition",
    "default_model",
    "degrade",
    "diagnose",
    "fit",
    "fit_samples",
    "load",
    "make_samples",
    "read_statistics",
    "save",
    "statistics",
]
