"""Alignment and gains as plain text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from causal_iqa.alignment import NUMBERS, Alignment, Gains
from causal_iqa.causal import Estimate
from causal_iqa.report import format

_COLUMN = 19
_NAME = format.TERMINAL - format.FAMILY_WIDTH - 2 - len(NUMBERS) * _COLUMN
# Columns of gains; the second interval stands below the first.
_YARDSTICK, _GAIN = 28, 22
# From the hardest yardstick to the easiest.
HEADLINE = ("best_conventional", "mean_full_reference", "mean_absolute_conventional", "mean_conventional")
# What a gain is of: between only where image noise is out of it.
GAINED = ("corrected", "within", "pooled")
NUMBERS_ARE = (
    "between: over conditions, at this number of images; corrected: between without image noise, to be compared across "
    "studies; within: over the images of one condition; pooled: over all."
)
FIXED = "Intervals are for other images under these conditions."
LIKE_THESE = "Intervals are for other images under other degradations like these."
BOTH = (
    "The first interval is for other images under these conditions, the second for other images under other "
    "degradations like these."
)


class Row(NamedTuple):
    """One metric in the table: its name, its family and its alignment with one network."""

    metric: str
    family: str
    alignment: Alignment


def rows_of(
    alignments: Mapping[str, Mapping[str, Alignment]], families: Mapping[str, str], *, network: str = "all"
) -> list[Row]:
    """Picks one network out of aligned metrics, best first.

    Args:
      alignments: metric -> network -> Alignment, as `causal_iqa.alignment.align` returns.
      families: metric -> family.
      network: whose alignment.

    Returns:
      Rows by falling between rho, undefined last; metrics without that network are left out.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.align(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=20)
      >>> rows = report.rows_of(found, {"q": "label_free"}, network="net")
      >>> rows[0].metric, rows[0].family
      ('q', 'label_free')
    """
    return sort_rows(Row(name, families[name], by[network]) for name, by in alignments.items() if network in by)


def alignment_table(rows: Iterable[Row], *, level: float = 0.95) -> str:
    """Renders alignments as text of at most 100 columns, longer names aside.

    Args:
      rows: one per metric, in any order.
      level: confidence level of the intervals, for the heading.

    Returns:
      Rows by falling between rho, undefined last ("-"), and a line that explains the short names of the families. A
      long name stands on a line of its own, above its numbers.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.align(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=20)
      >>> rows = report.rows_of(found, {"q": "label_free"}, network="net")
      >>> "q" in report.alignment_table(rows)
      True
    """
    rows = sort_rows(rows)
    name_width = min(_NAME, max([6, *(len(row.metric) for row in rows)]))
    columns = [
        format.Column("metric", name_width),
        format.Column("family", format.FAMILY_WIDTH),
        *(format.Column(f"{name} [{format.level(level)}]", _COLUMN - 2) for name in NUMBERS),
    ]
    cells = [
        [
            row.metric,
            format.family(row.family),
            *(_bare(getattr(row.alignment, number)) for number in NUMBERS),
        ]
        for row in rows
    ]
    legend = format.families_legend(row.family for row in rows)
    return format.Table(columns, cells).text() + (f"{legend}\n" if legend else "")


def gains_table(
    found: Mapping[str, Mapping[str, Gains]],
    like_these: Mapping[str, Mapping[str, Gains]],
    *,
    yardsticks: Sequence[str] | None = None,
    level: float = 0.95,
) -> str:
    """Renders gains over the yardsticks, with both intervals, as text of at most 100 columns, longer names aside.

    Args:
      found: metric -> yardstick -> Gains, intervals for other images.
      like_these: the same for other degradations as well; a metric without an entry has no second interval.
      yardsticks: which, and in which order; by default all.
      level: confidence level of the intervals, for the heading.

    Returns:
      A block of lines per metric. A yardstick has a line with the gains and their intervals, one with the second
      intervals where there are any, and the best has one with the metric that it is in each number.
    """
    heads = (f"{name} [{format.level(level)}]" for name in GAINED)
    columns = [format.Column("gain over", _YARDSTICK), *(format.Column(head, _GAIN) for head in heads)]
    rows = []
    for metric, by_yardstick in found.items():
        rows.append([metric])
        for yardstick in by_yardstick if yardsticks is None else yardsticks:
            if yardstick not in by_yardstick:
                continue
            gain, second = by_yardstick[yardstick], like_these.get(metric, {}).get(yardstick)
            ours = [getattr(gain.differences, number).estimate for number in GAINED]
            rows.append([f"  {format.words(yardstick)}", *map(_bare, ours)])
            if second is not None:
                others = [getattr(second.differences, number).estimate for number in GAINED]
                rows.append(["", *(f"     {_bounds(one)}" if math.isfinite(one.value) else "" for one in others)])
            if gain.best:
                rows.append(["", *(f"     {gain.best.get(number, format.UNKNOWN)}" for number in GAINED)])
    return format.Table(columns, rows).text()


def sort_rows(rows: Iterable[Row]) -> list[Row]:
    """Returns rows by falling between rho, undefined last, equal ones by name."""

    def order(row: Row) -> tuple[bool, float, str]:
        rho = row.alignment.between.value
        return math.isnan(rho), 0.0 if math.isnan(rho) else -rho, row.metric

    return sorted(rows, key=order)


def _bare(one: Estimate) -> str:
    """The number in four signs, so that numbers stand below one another."""
    number = f"{format.number(one.value, format.BARE):>4}"
    return f"{number} {_bounds(one)}" if math.isfinite(one.value) else number


def _bounds(one: Estimate) -> str:
    return format.bounds(one.low, one.high, format.BARE)
