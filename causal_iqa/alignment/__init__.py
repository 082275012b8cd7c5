"""How well a quality score predicts a network's performance: three correlations with their intervals."""

from causal_iqa.alignment.bootstrap import Resamples, bootstrap, resample_counts
from causal_iqa.alignment.correlation import Within, between, pooled, within
from causal_iqa.alignment.intervals import (
    Alignment,
    Difference,
    Differences,
    Interval,
    align,
    paired_difference,
    summarise,
)

__all__ = [
    "Alignment",
    "Difference",
    "Differences",
    "Interval",
    "Resamples",
    "Within",
    "align",
    "between",
    "bootstrap",
    "paired_difference",
    "pooled",
    "resample_counts",
    "summarise",
    "within",
]
