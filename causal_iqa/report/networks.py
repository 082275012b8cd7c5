"""The judged networks of a study as text."""

import math
from collections.abc import Sequence

from causal_iqa import pipeline
from causal_iqa.analysis.networks import Judged
from causal_iqa.report.tables import cut

_NAME = 40
_CLEAN = pipeline.Condition(pipeline.CLEAN, 0.0).name


def networks_table(found: Sequence[Judged]) -> str:
    """Renders the networks as text.

    Args:
      found: what `judged_networks` gave.
    """
    width = min(_NAME, max([7, *(len(one.clean.network) for one in found)]))
    measure = found[0].measure if found else pipeline.ACCURACY
    title = f"clean {measure.name}"
    column = max(14, len(title))
    head = f"{'network':<{width}}  {title:>{column}}  {'images':>7}  {'mean under the conditions':>25}"
    lines = [head, "-" * len(head)]
    for one in found:
        shown = (
            f"{measure.shown(one.clean.mean):>{column}}  {one.clean.num_images:>7}  {measure.shown(one.degraded):>25}"
        )
        lines.append(f"{cut(one.clean.network, width):<{width}}  {shown}")
    lines += [_of_set(one) for one in found if one.of_set is not None]
    return "\n".join(lines) + "\n"


def _of_set(one: Judged) -> str:
    """What the images are worth as one set, which is no mean over images."""
    values = [value for name, value in one.of_set.by_condition.items() if name != _CLEAN]
    clean = one.of_set.by_condition.get(_CLEAN, math.nan)
    mean = sum(values) / len(values) if values else math.nan
    shown = f"{one.measure.shown(clean)} clean, {one.measure.shown(mean)} in the mean of the conditions"
    return f"{one.clean.network}: {one.of_set.name} of all images as one set {shown}"
