"""Alignment and gains as plain text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from causal_iqa.alignment import NUMBERS, Alignment, Gains
from causal_iqa.causal import Estimate
from causal_iqa.report import format

_WIDTH = 120
_COLUMN = 19
_FAMILY = 14
# Cells of gains: the gain with one interval, and a second one.
_YARDSTICK, _GAIN, _SECOND = 29, 22, 13
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
    """Renders alignments as text of at most 120 columns.

    Args:
      rows: one per metric, in any order.
      level: confidence level of the intervals, for the heading.

    Returns:
      Lines by falling between rho, undefined last ("-"). Long names are cut in the middle.

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
    name_width = _WIDTH - _FAMILY - len(NUMBERS) * _COLUMN - 2
    name_width = min(name_width, max([6, *(len(row.metric) for row in rows)]))
    columns = [
        format.Column("metric", name_width),
        format.Column("family", _FAMILY),
        *(format.Column(f"{name} [{format.level(level)}]", _COLUMN - 2) for name in NUMBERS),
    ]
    cells = [
        [
            format.cut(row.metric, name_width),
            format.cut(format.words(row.family), _FAMILY),
            *(_bare(getattr(row.alignment, number)) for number in NUMBERS),
        ]
        for row in rows
    ]
    return format.Table(columns, cells).text()


def gains_table(
    found: Mapping[str, Mapping[str, Gains]],
    like_these: Mapping[str, Mapping[str, Gains]],
    *,
    yardsticks: Sequence[str] | None = None,
    level: float = 0.95,
) -> str:
    """Renders gains over the yardsticks, with both intervals, as text of at most 140 columns.

    Args:
      found: metric -> yardstick -> Gains, intervals for other images.
      like_these: the same for other degradations as well; what is missing there has no second interval.
      yardsticks: which, and in which order; by default all.
      level: confidence level of the intervals, for the heading.

    Returns:
      A block of lines per metric, a line per yardstick; for the best, which metric it is in each number.
    """
    width = _GAIN + _SECOND
    heads = (f"{name} [{format.level(level)}]" for name in GAINED)
    columns = [format.Column("gain over", _YARDSTICK), *(format.Column(head, width) for head in heads)]
    rows = []
    for metric, by_yardstick in found.items():
        rows.append([metric])
        for yardstick in by_yardstick if yardsticks is None else yardsticks:
            if yardstick not in by_yardstick:
                continue
            gain, second = by_yardstick[yardstick], like_these.get(metric, {}).get(yardstick)
            cells = []
            for number in GAINED:
                other = "" if second is None else _bounds(getattr(second.differences, number).estimate)
                first = _bare(getattr(gain.differences, number).estimate)
                cells.append(f"{first.strip() if first.endswith(format.UNKNOWN) else first:<{_GAIN}}{other}")
            rows.append([f"  {format.words(yardstick)}", *cells])
            if gain.best:
                names = (format.cut(gain.best.get(number, format.UNKNOWN), width) for number in GAINED)
                rows.append(["", *names])
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
