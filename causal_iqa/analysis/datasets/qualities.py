"""Which score stands for quality: the label-free one where there is one, higher always better."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from causal_iqa import _checks, pipeline
from causal_iqa._arrays import total

# Formulas in the order in which they are taken, each "NAME@BACKBONE" or a no-reference metric.
_LABEL_FREE = ("stages_free", "head_free", "ridge_free", "witness_free")
_NO_REFERENCE = ("piqe", "noise_sigma")


class Quality(NamedTuple):
    """The score that the headline uses.

    Attributes:
      metric: its name.
      family: "label_free" or "no_reference".
      columns: columns of the table that it is the mean of, with their weights, negative where lower is better.
      values: float64 [n], higher is better, NaN where undefined.
    """

    metric: str
    family: str
    columns: tuple[tuple[str, float], ...]
    values: np.ndarray


def floats(table: pa.Table, name: str) -> np.ndarray:
    """Returns a column as float64, null as NaN."""
    return table[name].to_numpy().astype(np.float64)


def choose(columns: Sequence[pipeline.Column], wanted: str | None = None) -> str:
    """Chooses the metric that stands for quality.

    Args:
      columns: columns of the scores.
      wanted: score that the user asked for; None takes a label-free one, else PIQE, else the first.

    Returns:
      The metric.

    Raises:
      InputError: when the wanted one is not scored.
    """
    scored = list(dict.fromkeys(column.metric for column in columns))
    if wanted is not None:
        if wanted not in scored:
            raise _checks.InputError(f"quality: {wanted!r} is not scored; {_checks.closest(wanted, scored)}")
        return wanted
    by_formula = {}
    for column in columns:
        by_formula.setdefault(column.formula, column.metric)
    label_free = [column.metric for column in columns if column.family == "label_free"]
    known = [by_formula[formula] for formula in _LABEL_FREE if formula in by_formula]
    hints = [by_formula[formula] for formula in _NO_REFERENCE if formula in by_formula]
    return [*known, *label_free, *hints, *scored][0]


def quality_of(scored: pipeline.Scored, metric: str) -> Quality:
    """Gathers the metric's values; where it was scored at several resolutions, their mean over the networks.

    Args:
      scored: the sets.
      metric: result of `choose`.

    Returns:
      The quality of every row.
    """
    own = [column for column in scored.columns if column.metric == metric]
    counts = [max(1, len(column.networks)) for column in own]
    weights = [
        (column.name, (1.0 if column.higher_is_better else -1.0) * count / sum(counts))
        for column, count in zip(own, counts, strict=True)
    ]
    values = total(weight * floats(scored.table, name) for name, weight in weights)
    return Quality(metric, own[0].family, tuple(weights), values)
