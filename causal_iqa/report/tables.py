"""The alignment table as plain text."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from causal_iqa.alignment import Alignment, Difference, Gains, Interval

_WIDTH = 100
_COLUMN = 19
_FAMILY = 14


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
    """Renders alignments as text of at most 100 columns.

    Args:
      rows: one per metric, in any order.
      level: of the intervals, for the heading.

    Returns:
      Lines by falling between rho, undefined last ("-"). Long names are cut in the middle.
    """
    rows = sort_rows(rows)
    name_width = _WIDTH - _FAMILY - 3 * _COLUMN - 2
    name_width = min(name_width, max([6, *(len(row.metric) for row in rows)]))
    head = f"{'metric':<{name_width}}  {'family':<{_FAMILY}}" + "".join(
        f"  {f'{name} [{100 * level:g} %]':<{_COLUMN - 2}}" for name in Alignment._fields
    )
    lines = [head.rstrip(), "-" * (name_width + 2 + _FAMILY + 3 * _COLUMN)]
    for row in rows:
        family = row.family.replace("_", " ")
        cells = "".join(_cell(interval) for interval in row.alignment)
        lines.append(f"{cut(row.metric, name_width):<{name_width}}  {cut(family, _FAMILY):<{_FAMILY}}{cells}".rstrip())
    return "\n".join(lines) + "\n"


def gains_table(found: Mapping[str, Mapping[str, Gains]], *, level: float = 0.95) -> str:
    """Renders gains over the yardsticks as text of at most 100 columns.

    Args:
      found: metric -> yardstick -> Gains.
      level: of the intervals, for the heading.

    Returns:
      A block of lines per metric, a line per yardstick; for the best, which metric it is in each number.
    """
    head = f"{'gain over':<22}" + "".join(
        f"  {f'{name} [{100 * level:g} %]':<{_COLUMN + 1}}" for name in Alignment._fields
    )
    lines = [head.rstrip(), "-" * (22 + 3 * (_COLUMN + 3))]
    for metric, by_yardstick in found.items():
        lines.append(metric)
        for yardstick, gain in by_yardstick.items():
            cells = "".join(f"  {_gain(difference):<{_COLUMN + 1}}" for difference in gain.differences)
            lines.append(f"  {yardstick.replace('_', ' '):<20}{cells}".rstrip())
            if gain.best:
                names = (cut(gain.best.get(number, "-"), _COLUMN + 1) for number in Alignment._fields)
                lines.append((" " * 22 + "".join(f"  {name:<{_COLUMN + 1}}" for name in names)).rstrip())
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
    bounds = "" if math.isnan(difference.low) else f" [{_number(difference.low)}, {_number(difference.high)}]"
    return f"{_number(difference.difference):>4}{bounds}"


def cut(text: str, width: int) -> str:
    """Shortens a name to `width` characters by leaving out its middle."""
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head) :]}"
