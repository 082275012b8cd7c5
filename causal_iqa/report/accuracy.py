"""Predicted performance as text."""

from collections.abc import Mapping

import numpy as np

from causal_iqa import _reads, pipeline
from causal_iqa.analysis.predictions import Predicted
from causal_iqa.report.tables import cut


def accuracy_table(
    found: Mapping[str, Mapping[str, Predicted]],
    families: Mapping[str, str],
    *,
    network: str = pipeline.ALL_NETWORKS,
    measure: pipeline.Measure = pipeline.ACCURACY,
    level: float = 0.95,
) -> str:
    """Renders the errors of predicted performance as text, smallest first; what is read by a letter each.

    Args:
      found: what `predict` gave.
      families: of the metrics and rivals.
      network: whose performance.
      measure: what performance is.
      level: of the intervals, for the heading.
    """
    rows = [(name, by[network]) for name, by in found.items() if network in by and by[network].errors.num_conditions]
    rows.sort(key=lambda row: row[1].errors.mean_absolute)
    width = min(34, max([6, *(len(name) for name, _ in rows)]))
    interval = f"error [{100 * level:g} %]"
    head = f"{'metric':<{width}}  {'family':<14}  {'reads':<6}  {interval:<19}{'bias':>6}{'worst':>7}{'covered':>9}"
    lines = [head, "-" * len(head)]
    for name, one in rows:
        e = one.errors
        bounds = "" if np.isnan(e.low) else f"[{measure.error(e.low)}, {measure.error(e.high)}]"
        covered = "-" if np.isnan(e.coverage) else f"{100 * e.coverage:.0f} %"
        family = cut(families.get(name, "").replace("_", " "), 14)
        error = f"{measure.error(e.mean_absolute):>4} {bounds:<14}{measure.error(e.bias, '+'):>6}"
        error += f"{measure.error(e.worst):>7}"
        lines.append(
            f"{cut(name, width):<{width}}  {family:<14}  {_reads.in_letters(one.reads):<6}  {error}{covered:>9}"
        )
    return "\n".join(lines) + "\n\n" + _reads.legend(name for _, one in rows for name in one.reads)
