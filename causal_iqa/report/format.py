"""How numbers, intervals, p-values and tables are written, wherever they stand."""

import html
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from causal_iqa import causal, pipeline
from causal_iqa.report import markdown

UNKNOWN = "-"


class Style(NamedTuple):
    """How a number is written.

    Attributes:
      form: a form of `format`. bounds: form of the bounds of its interval, the same by default.
      scale: the factor of the numbers.
      bare: without the zero before the point: .91, -.08, 1.00.
    """

    form: str = ".2f"
    bounds: str | None = None
    scale: float = 1.0
    bare: bool = False


TWO_DIGITS = Style()
BARE = Style(bare=True)
CORRELATION = Style(".3f", ".2f")
GAIN = Style("+.2f")
EFFECT = Style(".3g")
# Of shares in hundredths: accuracies and their errors.
POINTS = Style(".1f", scale=100)
SIGNED_POINTS = Style("+.1f", scale=100)
WHOLE_PERCENT = Style(".0f", scale=100)
# Width of tables in plain text that are printed in a terminal.
TERMINAL = 100
# Families of metrics and their short forms.
_FAMILIES = {
    "full_reference": "full",
    "no_reference": "no",
    "feature_reference": "feat",
    "task_guided": "task",
    "label_free": "free",
    "network_output": "output",
}
FAMILY_WIDTH = 6
_NO_BREAK = "\N{NO-BREAK SPACE}"


def number(value: float, style: Style = TWO_DIGITS) -> str:
    """Returns a number as text, "-" where it is undefined.

    Args:
      value: the number.
      style: how.

    Examples:
      >>> number(0.9149), number(-0.08, BARE), number(0.056, POINTS), number(float("nan"))
      ('0.91', '-.08', '5.6', '-')
    """
    if not math.isfinite(value):
        return UNKNOWN
    text = format(style.scale * value, style.form)
    if style.bare and abs(value) < 0.995:
        return text.replace("-0.00", "0.00").replace("0.", ".", 1)
    return text


def percent(value: float, style: Style = WHOLE_PERCENT, *, unknown: str = UNKNOWN) -> str:
    """Returns a share as "93 %".

    Args:
      value: the share, in [0, 1].
      style: style of the number.
      unknown: where it is undefined.
    """
    return f"{number(value, style)} %" if math.isfinite(value) else unknown


def of_measure(measure: pipeline.Measure, sign: str = "") -> Style:
    """Returns how performances and their errors are written: in points of what lies in [0, 1], else three digits.

    Args:
      measure: the definition of performance.
      sign: "+" for a sign before every number.
    """
    return Style(f"{sign}.1f", scale=100) if measure.is_share else Style(f"{sign}.3g")


def mean(value: float, measure: pipeline.Measure, *, unknown: str = UNKNOWN) -> str:
    """Returns a mean performance: per cent of what lies in [0, 1], else three digits.

    Args:
      value: the mean.
      measure: the definition of performance.
      unknown: where it is undefined.
    """
    return measure.shown(value) if math.isfinite(value) else unknown


def capital(text: str) -> str:
    """Returns a text that begins with a capital.

    Args:
      text: any.
    """
    return text[:1].upper() + text[1:]


def bounds(low: float, high: float, style: Style = TWO_DIGITS) -> str:
    """Returns an interval as "[0.88, 0.93]", nothing where neither bound is known.

    Args:
      low: lower bound.
      high: upper bound.
      style: style of the numbers.
    """
    if math.isnan(low) and math.isnan(high):
        return ""
    style = style._replace(form=style.bounds or style.form)
    return f"[{number(low, style)}, {number(high, style)}]"


def estimate(one: causal.Estimate, style: Style = TWO_DIGITS, *others: causal.Estimate) -> str:
    """Returns a number with its intervals, "-" where it is undefined.

    Args:
      one: the number and its interval.
      style: style of all.
      others: the number with further intervals.

    Examples:
      >>> estimate(causal.Estimate(0.9, 0.85, 0.94))
      '0.90 [0.85, 0.94]'
    """
    if not math.isfinite(one.value):
        return UNKNOWN
    intervals = (bounds(own.low, own.high, style) for own in (one, *others))
    return " ".join([number(one.value, style), *filter(None, intervals)])


def p_value(value: float) -> str:
    """Returns a p-value; below 1e-16 no law of a test is known to be right.

    Args:
      value: p-value in [0, 1], NaN where there was no test.

    Examples:
      >>> p_value(0.0312), p_value(1e-20)
      ('0.031', '< 1e-16')
    """
    return f"< {causal.SMALLEST_P:g}" if value < causal.SMALLEST_P else number(value, Style(".2g"))


def level(value: float) -> str:
    """Returns the level of an interval as "95 %".

    Args:
      value: a number in (0, 1).
    """
    return f"{100 * value:g} %"


def words(identifier: str) -> str:
    """Returns an identifier as words: "full reference".

    Args:
      identifier: a name with underscores.
    """
    return identifier.replace("_", " ")


def family(name: str) -> str:
    """Returns the short form of a family of metrics, at most 6 characters, for tables in plain text.

    Args:
      name: the family; one that is not known stays as it is.

    Examples:
      >>> family("feature_reference")
      'feat'
    """
    return _FAMILIES.get(name, words(name))


def families_legend(names: Iterable[str]) -> str:
    """Returns the text that explains the short forms of families, at most 100 columns wide; "" without any.

    Args:
      names: families of the rows of a table, in any order, repeated or not.

    Examples:
      >>> families_legend(["no_reference", "full_reference", "no_reference"])
      'family: full - full reference, no - no reference'
    """
    given = set(names)
    shown = [f"{short} - {words(name)}" for name, short in _FAMILIES.items() if name in given]
    line = ", ".join(one.replace(" ", _NO_BREAK) for one in shown)
    wrapped = textwrap.fill(f"family: {line}", TERMINAL, subsequent_indent=" " * 8).replace(_NO_BREAK, " ")
    return wrapped if shown else ""


def cut(text: str, width: int) -> str:
    """Shortens a name to `width` characters by leaving out its middle.

    Args:
      text: the name.
      width: number of columns, at least 3.

    Examples:
      >>> cut("regularised_witness", 10)
      'regu..ness'
    """
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head) :]}"


class Column(NamedTuple):
    """A column of a table: its head; in plain text its width, its side ("<" or ">") and the blanks before it.

    In plain text a first cell that is wider than its column stands on a line of its own, above the rest of its row.
    """

    head: str
    width: int = 0
    side: str = "<"
    gap: int = 2


class Table(NamedTuple):
    """A table that can be written in three ways.

    Attributes:
      columns: the columns, from left to right.
      rows: rows of cells; a row may have fewer cells than there are columns.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> "Table":
        """Makes a table without widths, for Markdown or HTML.

        Args:
          heads: heads of the columns.
          rows: rows of cells.
        """
        return cls([Column(head) for head in heads], list(rows))

    def text(self) -> str:
        """Returns the table in plain text, columns of fixed width."""
        rule = "-" * sum(column.width + (column.gap if place else 0) for place, column in enumerate(self.columns))
        return (
            "\n".join([self._line([column.head for column in self.columns]), rule, *map(self._line, self.rows)]) + "\n"
        )

    def _line(self, cells: Sequence[str]) -> str:
        if len(cells) > 1 and len(cells[0]) > self.columns[0].width:
            return f"{cells[0]}\n{self._line(['', *cells[1:]])}"
        placed = enumerate(zip(self.columns, cells, strict=False))
        parts = (f"{' ' * (one.gap if place else 0)}{cell:{one.side}{one.width}}" for place, (one, cell) in placed)
        return "".join(parts).rstrip()

    def markdown(self) -> str:
        """Returns the table in Markdown; cells are Markdown, so names of users must be escaped before."""
        return "\n".join(markdown.table([column.head for column in self.columns], self.rows))

    def html(self) -> str:
        """Returns the table in HTML; heads and cells are text and are escaped."""
        head = "".join(f"<th>{html.escape(column.head)}</th>" for column in self.columns)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
