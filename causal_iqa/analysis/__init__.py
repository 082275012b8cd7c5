"""A finished score table becomes findings: numbers with their intervals, no text and no figure.

The parts `audit` and `datasets` export what belongs to them.
"""

from causal_iqa.analysis.by_degradation import ByDegradation
from causal_iqa.analysis.findings import Findings
from causal_iqa.analysis.measured_bounds import MeasuredBounds
from causal_iqa.analysis.networks import Judged
from causal_iqa.analysis.parts import Failure, Parts
from causal_iqa.analysis.predictions import Predicted
from causal_iqa.analysis.set_performance import SetPerformance

__all__ = [
    "ByDegradation",
    "Failure",
    "Findings",
    "Judged",
    "MeasuredBounds",
    "Parts",
    "Predicted",
    "SetPerformance",
]
