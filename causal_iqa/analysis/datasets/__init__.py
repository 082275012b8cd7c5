"""Findings about sets of images: how good they are, what accuracy to expect, what to leave out, which to look at."""

from causal_iqa.analysis.datasets.comparison import Comparison, TwoSamples
from causal_iqa.analysis.datasets.distributions import QUANTILES, Distribution, Modes
from causal_iqa.analysis.datasets.findings import analyse, learn_maps
from causal_iqa.analysis.datasets.galleries import Gallery
from causal_iqa.analysis.datasets.maps import Applied, ScoreMap, learn
from causal_iqa.analysis.datasets.oddities import Copies, Odd
from causal_iqa.analysis.datasets.qualities import Quality, choose, quality_of
from causal_iqa.analysis.datasets.records import (
    CauseShare,
    Cut,
    DatasetFindings,
    Found,
    Group,
    MapFacts,
    Maps,
    Request,
    SetFindings,
    Tenth,
)
from causal_iqa.analysis.datasets.rejection import Step, Threshold, threshold_for
from causal_iqa.analysis.datasets.values import ReasonedEstimate, share

__all__ = [
    "QUANTILES",
    "Applied",
    "CauseShare",
    "Comparison",
    "Copies",
    "Cut",
    "DatasetFindings",
    "Distribution",
    "Found",
    "Gallery",
    "Group",
    "MapFacts",
    "Maps",
    "Modes",
    "Odd",
    "Quality",
    "ReasonedEstimate",
    "Request",
    "ScoreMap",
    "SetFindings",
    "Step",
    "Tenth",
    "Threshold",
    "TwoSamples",
    "analyse",
    "choose",
    "learn",
    "learn_maps",
    "quality_of",
    "share",
    "threshold_for",
]
