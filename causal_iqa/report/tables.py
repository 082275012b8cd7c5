"""Alignment and gains as plain text."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from causal_iqa.alignment import NUMBERS, Alignment, Difference, Gains, Interval

_WIDTH = 120
_COLUMN = 19
_FAMILY = 14
# Cells of gains: the gain with one interval, and a second one.
_GAIN, _SECOND = 22, 13
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
    alignments: Mapping[str, Mapping[str, Alignment]], families: Mapping[str, str], network: str = "all"
) -> list[Row]:
    """Picks one network out of aligned metrics, best first.

    Args:
      alignments: metric -> network -> Alignment, as `causal_iqa.alignment.align` returns.
      families: metric -> family.
      network: whose alignment.

    Returns:
      Rows by falling between rho, undefined last; metrics without that network are left out.
    """
    return sort_rows(Row(name, families[name], by[network]) for name, by in alignments.items() if network in by)


def alignment_table(rows: Iterable[Row], *, level: float = 0.95) -> str:
    """Renders alignments as text of at most 120 columns.

    Args:
      rows: one per metric, in any order.
      level: of the intervals, for the heading.

    Returns:
      Lines by falling between rho, undefined last ("-"). Long names are cut in the middle.
    """
    rows = sort_rows(rows)
    name_width = _WIDTH - _FAMILY - len(NUMBERS) * _COLUMN - 2
    name_width = min(name_width, max([6, *(len(row.metric) for row in rows)]))
    head = f"{'metric':<{name_width}}  {'family':<{_FAMILY}}" + "".join(
        f"  {f'{name} [{100 * level:g} %]':<{_COLUMN - 2}}" for name in NUMBERS
    )
    lines = [head.rstrip(), "-" * (name_width + 2 + _FAMILY + len(NUMBERS) * _COLUMN)]
    for row in rows:
        family = row.family.replace("_", " ")
        cells = "".join(_cell(getattr(row.alignment, number)) for number in NUMBERS)
        lines.append(f"{cut(row.metric, name_width):<{name_width}}  {cut(family, _FAMILY):<{_FAMILY}}{cells}".rstrip())
    return "\n".join(lines) + "\n"


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
      level: of the intervals, for the heading.

    Returns:
      A block of lines per metric, a line per yardstick; for the best, which metric it is in each number.
    """
    width = _GAIN + _SECOND
    head = f"{'gain over':<29}" + "".join(f"  {f'{name} [{100 * level:g} %]':<{width}}" for name in GAINED)
    lines = [head.rstrip(), "-" * (29 + 3 * (width + 2))]
    for metric, by_yardstick in found.items():
        lines.append(metric)
        for yardstick in by_yardstick if yardsticks is None else yardsticks:
            if yardstick not in by_yardstick:
                continue
            gain, second = by_yardstick[yardstick], like_these.get(metric, {}).get(yardstick)
            cells = []
            for number in GAINED:
                other = "" if second is None else _bounds(getattr(second.differences, number))
                cells.append(f"  {_gain(getattr(gain.differences, number)):<{_GAIN}}{other:<{_SECOND}}")
            lines.append(f"  {yardstick.replace('_', ' '):<27}{''.join(cells)}".rstrip())
            if gain.best:
                names = (cut(gain.best.get(number, "-"), width) for number in GAINED)
                lines.append((" " * 29 + "".join(f"  {name:<{width}}" for name in names)).rstrip())
    return "\n".join(lines) + "\n"


def sort_rows(rows: Iterable[Row]) -> list[Row]:
    """Returns rows by falling between rho, undefined last, equal ones by name."""

    def order(row: Row) -> tuple[bool, float, str]:
        rho = row.alignment.between.rho
        return math.isnan(rho), 0.0 if math.isnan(rho) else -rho, row.metric

    return sorted(rows, key=order)


def _number(value: float) -> str:
    """Two digits without the leading zero: .91, -.08, 1.00."""
    text = f"{value:.2f}"
    return text.replace("-0.00", "0.00").replace("0.", ".", 1) if abs(value) < 0.995 else text


def _cell(interval: Interval) -> str:
    if math.isnan(interval.rho):
        return f"  {'-':>4}" + " " * (_COLUMN - 6)
    bounds = "" if math.isnan(interval.low) else f"[{_number(interval.low)}, {_number(interval.high)}]"
    return f"  {_number(interval.rho):>4} {bounds:<{_COLUMN - 7}}"


def _gain(difference: Difference) -> str:
    if math.isnan(difference.difference):
        return "-"
    return f"{_number(difference.difference):>4} {_bounds(difference)}"


def _bounds(difference: Difference) -> str:
    return "" if math.isnan(difference.low) else f"[{_number(difference.low)}, {_number(difference.high)}]"


def cut(text: str, width: int) -> str:
    """Shortens a name to `width` characters by leaving out its middle."""
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head) :]}"
