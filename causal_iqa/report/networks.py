"""The judged networks of a study as text."""

import math
from collections.abc import Sequence

from causal_iqa import pipeline
from causal_iqa.analysis import Judged, SetPerformance
from causal_iqa.report import format

_NAME = 40
_CLEAN = pipeline.Condition(pipeline.CLEAN, 0.0).name


def networks_table(found: Sequence[Judged]) -> str:
    """Renders the networks as text.

    Args:
      found: result of `judged_networks`.
    """
    width = min(_NAME, max([7, *(len(one.clean.network) for one in found)]))
    measure = found[0].measure if found else pipeline.ACCURACY
    title = f"clean {measure.name}"
    column = max(14, len(title))
    columns = [
        format.Column("network", width),
        format.Column(title, column, ">"),
        format.Column("images", 7, ">"),
        format.Column("mean under the conditions", 25, ">"),
    ]
    rows = [
        [
            one.clean.network,
            measure.shown(one.clean.mean),
            str(one.clean.num_images),
            measure.shown(one.degraded),
        ]
        for one in found
    ]
    of_sets = [f"{_of_set(one, one.of_set)}\n" for one in found if one.of_set is not None]
    return "".join([format.Table(columns, rows).text(), *of_sets])


def _of_set(one: Judged, of_set: SetPerformance) -> str:
    """What the images are worth as one set, which is no mean over images."""
    values = [value for name, value in of_set.by_condition.items() if name != _CLEAN]
    clean = of_set.by_condition.get(_CLEAN, math.nan)
    mean = sum(values) / len(values) if values else math.nan
    shown = f"{one.measure.shown(clean)} clean, {one.measure.shown(mean)} in the mean of the conditions"
    return f"{one.clean.network}: {of_set.name} of all images as one set {shown}"
