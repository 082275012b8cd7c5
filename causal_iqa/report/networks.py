"""The judged networks of a study as text."""

import math
from collections.abc import Sequence

from causal_iqa.analysis.networks import Judged
from causal_iqa.report.tables import cut

_NAME = 40


def networks_table(found: Sequence[Judged]) -> str:
    """Renders the networks as text.

    Args:
      found: what `judged_networks` gave.
    """
    width = min(_NAME, max([7, *(len(one.clean.network) for one in found)]))
    head = f"{'network':<{width}}  {'clean accuracy':>14}  {'images':>7}  {'mean under the conditions':>25}"
    lines = [head, "-" * len(head)]
    for one in found:
        shown = f"{_percent(one.clean.accuracy):>14}  {one.clean.num_images:>7}  {_percent(one.degraded):>25}"
        lines.append(f"{cut(one.clean.network, width):<{width}}  {shown}")
    return "\n".join(lines) + "\n"


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"
