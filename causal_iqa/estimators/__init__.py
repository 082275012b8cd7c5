"""Accuracy estimators of the literature: label-free, they read the judged network's own outputs."""

from causal_iqa.estimators import confidences, distributions, fusion, logits, norms, scatter, stability, transferability
from causal_iqa.estimators.confidences import *
from causal_iqa.estimators.distributions import *
from causal_iqa.estimators.fusion import *
from causal_iqa.estimators.logits import *
from causal_iqa.estimators.norms import *
from causal_iqa.estimators.scatter import *
from causal_iqa.estimators.spec import FAMILY, LEVELS, EstimatorSpec
from causal_iqa.estimators.stability import *
from causal_iqa.estimators.table import TABLE
from causal_iqa.estimators.temperature import (
    TEMPERATURES,
    KeptOutputs,
    fit_temperature,
    log_power_sums,
    tempered,
    tempered_negative_entropy,
)
from causal_iqa.estimators.transferability import *

__all__ = [
    "FAMILY",
    "LEVELS",
    "TABLE",
    "TEMPERATURES",
    "EstimatorSpec",
    "KeptOutputs",
    "fit_temperature",
    "log_power_sums",
    "tempered",
    "tempered_negative_entropy",
]
__all__ += confidences.__all__
__all__ += distributions.__all__
__all__ += fusion.__all__
__all__ += logits.__all__
__all__ += norms.__all__
__all__ += scatter.__all__
__all__ += stability.__all__
__all__ += transferability.__all__
