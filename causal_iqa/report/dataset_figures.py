"""Figures of scored sets: small panels, so that a phone shows each at full width."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from causal_iqa.analysis.datasets import SetFindings
from causal_iqa.report import figures

_SIZE = (4.4, 3.1)
_COLOURS = figures.PALETTE
_MOST_SETS = len(_COLOURS)


def histogram(sets: Sequence[SetFindings], metric: str, cut: float) -> Figure | None:
    """Share of each set's images per bin of quality; None where nothing varies.

    Args:
      sets: the sets, of which at most seven are drawn.
      metric: names the axis.
      cut: drawn as a line; NaN: none.
    """
    shown = [one for one in sets if one.quality.counts and sum(one.quality.counts)][:_MOST_SETS]
    if not shown:
        return None
    figure, axes = _panel()
    for one, colour in zip(shown, _COLOURS, strict=False):
        counts = np.asarray(one.quality.counts, float)
        axes.stairs(
            counts / one.quality.count, one.quality.edges, color=colour, label=_label(one.name), fill=len(shown) == 1
        )
    _cut(axes, cut)
    _finish(axes, metric, "share of images", legend=len(shown) > 1)
    return figure


def cumulative(sets: Sequence[SetFindings], metric: str, cut: float) -> Figure | None:
    """Share of each set's images at or below a quality; None where no set has a curve."""
    shown = [one for one in sets if one.quality.curve][:_MOST_SETS]
    if not shown:
        return None
    figure, axes = _panel()
    for one, colour in zip(shown, _COLOURS, strict=False):
        axes.plot(one.quality.curve, np.linspace(0, 1, len(one.quality.curve)), color=colour, label=_label(one.name))
    _cut(axes, cut)
    _finish(axes, metric, "share of images at or below", legend=len(shown) > 1)
    return figure


def rejection(sets: Sequence[SetFindings]) -> Figure | None:
    """Accuracy of the rest over the share that is left out, expected as lines, actual as points; None without any."""
    figure, axes = _panel()
    drawn = False
    for one, colour in zip(sets, _COLOURS, strict=False):
        left_out = np.asarray([step.left_out for step in one.reject])
        expected = np.asarray([step.expected[:3] for step in one.reject], float).reshape(-1, 3)
        actual = np.asarray([step.actual[:3] for step in one.reject], float).reshape(-1, 3)
        if np.isfinite(expected).any():
            axes.plot(100 * left_out, 100 * expected[:, 0], color=colour, label=f"{_label(one.name)}, expected")
            axes.fill_between(
                100 * left_out, 100 * expected[:, 1], 100 * expected[:, 2], color=colour, alpha=0.15, linewidth=0
            )
            drawn = True
        if np.isfinite(actual).any():
            axes.plot(
                100 * left_out, 100 * actual[:, 0], "o", markersize=3, color=colour, label=f"{_label(one.name)}, actual"
            )
            drawn = True
    if not drawn:
        return None
    _finish(axes, "worst images left out, %", "accuracy of the rest, %", legend=True)
    return figure


def _panel() -> tuple[Figure, figures.Axes]:
    figure = figures.empty(*_SIZE)
    return figure, figure.add_subplot()


def _label(name: str) -> str:
    # Matplotlib leaves labels that begin with an underscore out of its legends.
    return f" {name}" if name.startswith("_") else name


def _cut(axes: figures.Axes, cut: float) -> None:
    if np.isfinite(cut):
        axes.axvline(cut, color="#777", linewidth=0.9, linestyle="--")


def _finish(axes: figures.Axes, xlabel: str, ylabel: str, *, legend: bool) -> None:
    figures.plain(axes, "both")
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    if legend:
        axes.legend(fontsize=8, frameon=False)
