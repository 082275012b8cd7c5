"""Findings in a notebook: a line that states their subject and a compact table, in HTML."""

import functools
import html
from collections.abc import Iterable, Sequence

from causal_iqa import causal
from causal_iqa.alignment import NUMBERS
from causal_iqa.analysis.audit import Audit
from causal_iqa.analysis.datasets import DatasetFindings
from causal_iqa.analysis.findings import Findings
from causal_iqa.report import dataset_words, format, tables

# Rows that are shown; a run may have a hundred metrics.
MOST_ROWS = 30


@functools.singledispatch
def as_html(found: object) -> str:
    """Returns findings as HTML without a page around it; all text in it is escaped.

    Args:
      found: findings of `causal_iqa.align` or `causal_iqa.score`, or an audit.

    Raises:
      TypeError: for anything else.
    """
    raise TypeError(f"found: expected findings or an audit, got {type(found).__name__}")


@as_html.register
def _of_findings(found: Findings) -> str:
    """The correlations of every metric with the mean over the networks, best first."""
    rows = tables.rows_of(found.alignments, found.families)
    cells = [
        [
            row.metric,
            format.words(row.family),
            *(format.estimate(getattr(row.alignment, number), format.BARE) for number in NUMBERS),
        ]
        for row in rows
    ]
    return "".join(
        [
            _line(f"{found!r}: correlation with {found.measure.name}, mean over the networks"),
            _table(["metric", "family", *NUMBERS], cells),
            _line(tables.FIXED),
            *(_line(f"missing: {one.part}: {one.reason}") for one in found.failures),
        ]
    )


@as_html.register
def _of_audit(audited: Audit) -> str:
    """The verdicts on every metric."""
    judged, every = audited.num_images, audited.images_of_run
    images = f"{judged} images" if judged == every else f"{judged} of {every} images"
    cells = [[metric, *(one.in_words(judged) for one in verdicts)] for metric, verdicts in audited.verdicts().items()]
    return "".join(
        [
            _line(f"Audit of {images} and {len(audited.networks)} networks: {', '.join(audited.networks)}"),
            *(_line(f"warning: {one}") for one in audited.warnings),
            _table(["metric", *map(format.words, causal.Desiderata._fields)], cells),
        ]
    )


@as_html.register
def _of_sets(found: DatasetFindings) -> str:
    """The quality of every set, and the accuracy that a map expects of it."""
    heads = ["set", "images", "with a score", f"mean {found.quality}", "below the threshold"]
    heads += ["expected accuracy"] * (found.map is not None)
    cells = [
        [
            one.name,
            f"{one.size:,}",
            f"{one.scored:,}",
            dataset_words.number(one.quality.mean),
            dataset_words.percent(one.below),
            *([] if found.map is None else [dataset_words.interval(one.expected)]),
        ]
        for one in found.sets
    ]
    return "".join([_table(heads, cells), *(_line(one) for one in dataset_words.headline(found) + list(found.remarks))])


def _table(heads: Iterable[str], rows: Sequence[Sequence[str]]) -> str:
    table = format.Table.of(heads, rows[:MOST_ROWS]).html()
    return table if len(rows) <= MOST_ROWS else table + _line(f"and {len(rows) - MOST_ROWS} more")


def _line(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
