"""Predicted performance as text."""

from collections.abc import Mapping

from causal_iqa import _reads, pipeline
from causal_iqa.analysis import Predicted
from causal_iqa.report import format

# What 100 columns leave to the names.
_NAME = 42


def accuracy_table(
    found: Mapping[str, Mapping[str, Predicted]],
    families: Mapping[str, str],
    *,
    network: str = pipeline.ALL_NETWORKS,
    measure: pipeline.Measure = pipeline.ACCURACY,
    level: float = 0.95,
) -> str:
    """Renders the errors of predicted performance as text, smallest first, with a letter for each of a metric's inputs.

    Args:
      found: result of `predict`.
      families: families of the metrics and estimators.
      network: whose performance.
      measure: the definition of performance.
      level: confidence level of the intervals, for the heading.
    """
    rows = [(name, by[network]) for name, by in found.items() if network in by and by[network].errors.num_conditions]
    rows.sort(key=lambda row: row[1].errors.mean_absolute.value)
    width = min(_NAME, max([6, *(len(name) for name, _ in rows)]))
    style = format.of_measure(measure)
    columns = [
        format.Column("metric", width),
        format.Column("family", format.FAMILY_WIDTH),
        format.Column("reads", 6),
        format.Column(f"error [{format.level(level)}]", 19),
        format.Column("bias", 6, ">", gap=0),
        format.Column("worst", 7, ">", gap=0),
        format.Column("covered", 9, ">", gap=0),
    ]
    cells = [
        [
            name,
            format.family(families.get(name, "")),
            _reads.in_letters(one.reads),
            f"{format.number(one.errors.mean_absolute.value, style):>4} "
            f"{format.bounds(*one.errors.mean_absolute[1:], style)}",
            format.number(one.errors.bias, format.of_measure(measure, "+")),
            format.number(one.errors.worst, style),
            format.percent(one.errors.coverage),
        ]
        for name, one in rows
    ]
    text = format.Table(columns, cells).text()
    legend = format.families_legend(families.get(name, "") for name, _ in rows)
    return f"{text}\n{legend}\n{_reads.legend(name for _, one in rows for name in one.reads)}"
