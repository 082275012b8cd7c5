"""What resamples say of the metrics: intervals, gains and comparisons, for one kind of repetition of a study."""

import types
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import alignment, pipeline

CONVENTIONAL = ("no_reference", "full_reference")
OURS = ("label_free", "task_guided", "feature_reference")
_ALL = pipeline.ALL_NETWORKS
_EMPTY: Mapping[str, Any] = types.MappingProxyType({})

Aligned = Mapping[str, Mapping[str, alignment.Alignment]]
Resampled = Mapping[str, Mapping[str, alignment.Resamples]]


class Inference(NamedTuple):
    """Numbers with the intervals and p-values of one kind of repetition, such as other images or other degradations.

    Attributes:
      alignments: metric -> network -> Alignment.
      gains: new metric -> yardstick -> Gains, of network "all".
      comparisons: comparisons of every metric with the best conventional one, of network "all".
    """

    alignments: Aligned = _EMPTY
    gains: Mapping[str, Mapping[str, alignment.Gains]] = _EMPTY
    comparisons: tuple[alignment.Comparison, ...] = ()


def summarise(resamples: Resampled, *, one_number: Collection[str] = (), level: float) -> Aligned:
    """Turns resamples into intervals.

    Args:
      resamples: metric -> network -> Resamples.
      one_number: metrics that stand for one number per condition; within and pooled would not be theirs.
      level: confidence level of the intervals.
    """
    found = {}
    for metric, by in resamples.items():
        found[metric] = {name: alignment.summarise(values, level=level) for name, values in by.items()}
        if metric in one_number:
            nothing = {"within": alignment.UNDEFINED, "pooled": alignment.UNDEFINED}
            found[metric] = {name: aligned._replace(**nothing) for name, aligned in found[metric].items()}
    return found


def gains(
    resamples: Resampled, families: Mapping[str, str], *, level: float
) -> dict[str, Mapping[str, alignment.Gains]]:
    """Compares every new metric with the yardsticks of the conventional families.

    Args:
      resamples: metric -> network -> Resamples.
      families: metric -> family.
      level: confidence level of the intervals.
    """
    of_all = {metric: by[_ALL] for metric, by in resamples.items()}
    ours = [metric for metric in of_all if families[metric] in OURS]
    return {metric: alignment.gains(of_all, families, metric, level=level) for metric in ours}


def comparisons(
    resamples: Resampled, families: Mapping[str, str], *, one_number: Collection[str] = (), level: float
) -> tuple[alignment.Comparison, ...]:
    """Compares every metric that orders images with the conventional one of the best between.

    Args:
      resamples: metric -> network -> Resamples.
      families: metric -> family.
      one_number: metrics that stand for one number per condition, which are left out.
      level: confidence level of the intervals.
    """
    of_all = {metric: by[_ALL] for metric, by in resamples.items() if metric not in one_number}
    of_all = {metric: own for metric, own in of_all.items() if np.isfinite(own.pooled[0])}
    conventional = [
        metric for metric, own in of_all.items() if families[metric] in CONVENTIONAL and np.isfinite(own.between[0])
    ]
    if not conventional:
        return ()
    best = max(conventional, key=lambda metric: of_all[metric].between[0])
    return tuple(alignment.compare(of_all, baseline=best, level=level))
