"""Figures of a study, drawn on Figure objects with the Agg canvas: no display, no global state of pyplot.

Colours are those of Okabe and Ito, which the common colour deficiencies leave distinct. Markers, line styles and
hatches repeat the distinction, for prints without colour.
"""

import io
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import lines
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from causal_iqa import _files, pipeline
from causal_iqa.causal import DoseResponse
from causal_iqa.estimates import Estimate
from causal_iqa.report import format
from causal_iqa.report.tables import Row, sort_rows

# M. Okabe, K. Ito (2008), Color universal design; yellow is left out, it is too light for points on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
_STYLES = ("-", "--", ":", "-.")
_BARS = (("between", "#0072B2", ""), ("within", "#E69F00", "///"), ("pooled", "#009E73", "xxx"))
_GREY = "#555555"
_DPI = 120
_SMALL, _BODY, _LARGE = 8, 9, 11
# Characters of a name that fit over a panel.
_TITLE = 34


def accuracy_against_quality(
    quality: Mapping[str, np.ndarray],
    accuracy: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
    *,
    groups: Mapping[str, str] | None = None,
    rho: Mapping[str, float | Estimate] | None = None,
    title: str = "",
    columns: int = 4,
    measure: pipeline.Measure = pipeline.ACCURACY,
) -> Figure:
    """One panel per metric: accuracy, or another mean performance, over mean score, a point per condition.

    Args:
      quality: metric -> mean score of each condition [C], higher is better; undefined ones are not drawn.
      accuracy: accuracy of each condition [C], or its mean performance.
      degradations: name of each condition's degradation, C of them.
      severities: severities of each condition, C of them; larger points are more severe.
      groups: degradation -> group; a group is a colour and its degradations are markers. Without it every
        degradation has a colour and a marker.
      rho: metric -> between rho for the panel's title.
      title: over all panels.
      columns: panels in a row.
      measure: the definition of performance.

    Returns:
      The figure, panels in the order of `quality`.

    Raises:
      ValueError: when there is no metric, or the lengths differ.

    Examples:
      >>> quality, accuracy = {"ssim": np.array([0.9, 0.6, 0.8, 0.3])}, np.array([0.9, 0.7, 0.8, 0.4])
      >>> figure = report.accuracy_against_quality(quality, accuracy, ["fog", "fog", "blur", "blur"], [1, 3, 1, 3])
      >>> len(report.png(figure)) > 1000
      True
    """
    accuracy = np.asarray(accuracy, np.float64)
    names, doses = np.asarray(degradations), np.asarray(severities, np.float64)
    lengths = {name: np.shape(values) for name, values in quality.items()}
    if not quality or {accuracy.shape, names.shape, doses.shape, *lengths.values()} != {(len(names),)}:
        raise ValueError(
            "quality, accuracy, degradations, severities: expected one or more metrics and one length C, "
            f"got {lengths}, {accuracy.shape}, {names.shape}, {doses.shape}"
        )
    looks = _looks(names, groups)
    # The legend stands in a column of its own to the right of the panels.
    figure, panels = _grid(len(quality), columns, (2.5, 2.35), extra_width=2.1, least_height=0.18 * (len(looks) + 4))
    span = np.ptp(doses) or 1.0
    sizes = 8 + 44 * (doses - doses.min()) / span
    for panel, (metric, values) in zip(panels, quality.items(), strict=True):
        values = np.asarray(values, np.float64)
        for name, (colour, marker) in looks.items():
            at = (names == name) & np.isfinite(values)
            panel.scatter(values[at], accuracy[at], s=sizes[at], c=colour, marker=marker, alpha=0.75, linewidths=0)
        panel.set_title(_with_rho(metric, (rho or {}).get(metric)), fontsize=_BODY)
        if measure.is_share:
            panel.set_ylim(-0.03, 1.03)
        panel.locator_params(axis="x", nbins=4)
    _outer_labels(figure, panels, columns, "mean score", measure.name)
    handles = [_handle(name, *look) for name, look in looks.items()]
    shown = np.unique(doses)
    shown = shown[[0, -1]] if len(shown) > 1 else shown
    for severity in shown:
        size = math.sqrt(8 + 44 * (severity - doses.min()) / span)
        handles.append(_handle(f"severity {severity:g}", _GREY, "o", size))
    figure.legend(handles=handles, loc="outside right upper", fontsize=_SMALL, frameon=False)
    figure.suptitle(title, fontsize=_LARGE)
    return figure


def alignment_bars(rows: Iterable[Row], *, title: str = "", level: float = 0.95) -> Figure:
    """Between, within and pooled rho of every metric as bars with their intervals.

    Args:
      rows: one per metric, in any order.
      title: over the bars.
      level: confidence level of the intervals, for the axis label.

    Returns:
      The figure, metrics from the top by falling between rho, undefined last. An undefined number has no bar.

    Raises:
      ValueError: without rows.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.align(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=20)
      >>> rows = report.rows_of(found, {"q": "label_free"}, network="net")
      >>> len(report.alignment_bars(rows).axes) > 0
      True
    """
    rows = sort_rows(rows)
    if not rows:
        raise ValueError("rows: expected at least one metric, got none")
    figure = empty(7.5, 1.3 + 0.46 * len(rows))
    axes = figure.add_subplot()
    height = 0.26
    for place, (name, colour, hatch) in enumerate(_BARS):
        intervals = np.array([getattr(row.alignment, name) for row in rows], np.float64)
        middle = np.arange(len(rows)) + (place - 1) * height
        rho, low, high = np.where(np.isfinite(intervals), intervals, np.nan).T
        look: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        axes.barh(middle, np.nan_to_num(rho), height * 0.92, label=name, **look)
        drawn = np.isfinite(low)
        axes.hlines(middle[drawn], low[drawn], high[drawn], color="#222222", linewidth=1.1)
        for y in middle[np.isnan(rho)]:
            axes.text(0.01, y, f"{name} undefined", fontsize=_SMALL - 1, color=_GREY, va="center")
    axes.set_yticks(np.arange(len(rows)), [f"{row.metric}\n{format.words(row.family)}" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    bounds = np.array([getattr(row.alignment, name) for row in rows for name, _, _ in _BARS], np.float64)
    lowest = np.nanmin(bounds) if np.isfinite(bounds).any() else 0.0
    axes.set_xlim(max(-1.0, min(0.0, lowest - 0.03)), 1.0)
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.set_xlabel(f"Spearman rho with {100 * level:g} % bootstrap interval", fontsize=_BODY)
    plain(axes, grid="x")
    figure.legend(loc="outside lower center", ncols=3, fontsize=_BODY, frameon=False)
    axes.set_title(title, fontsize=_LARGE, loc="left")
    return figure


def dose_response(
    curves: Mapping[str, Mapping[str, DoseResponse]],
    *,
    normalise: bool = False,
    ylabel: str = "mean",
    title: str = "",
    columns: int = 5,
) -> Figure:
    """One panel per degradation, one line per label: mean value over severity.

    Args:
      curves: label (a metric or a network) -> degradation -> DoseResponse.
      normalise: whether each label is mapped to [0, 1] by its smallest and largest mean over all degradations, so
        that metrics of other units share the axis.
      ylabel: label of the rows of panels.
      title: over all panels.
      columns: panels in a row.

    Returns:
      The figure, panels in order of appearance; all share the axes.

    Raises:
      ValueError: when there is nothing to draw.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> q = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> curves = {"ssim": causal.dose_response(q[1:], ["fog"] * 3, [1.0, 3.0, 5.0], clean=q[0])}
      >>> len(report.dose_response(curves).axes) > 0
      True
    """
    names = list(dict.fromkeys(name for by in curves.values() for name in by))
    if not names:
        raise ValueError("curves: expected at least one label with one degradation, got none")
    figure, panels = _grid(len(names), columns, (1.9, 1.7), share=True)
    handles = []
    for place, (label, by) in enumerate(curves.items()):
        look: dict[str, Any] = {"color": PALETTE[place % len(PALETTE)], "linestyle": _STYLES[place % len(_STYLES)]}
        look |= {"marker": _MARKERS[place % len(_MARKERS)], "markersize": 4}
        low, scale = _range([dose.mean for dose in by.values()]) if normalise else (0.0, 1.0)
        for name, dose in by.items():
            panels[names.index(name)].plot(dose.severity, (dose.mean - low) / scale, linewidth=1.4, **look)
        # Matplotlib leaves labels that begin with an underscore out of its legends.
        shown = f" {label}" if label.startswith("_") else label
        handles.append(lines.Line2D([], [], label=shown, **look))
    severities = np.unique(np.concatenate([dose.severity for by in curves.values() for dose in by.values()]))
    for panel, name in zip(panels, names, strict=True):
        panel.set_title(name, fontsize=_BODY)
        if len(severities) <= 7:
            panel.set_xticks(severities)
    _outer_labels(figure, panels, columns, "severity", ylabel)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(4, len(handles)), fontsize=_SMALL, frameon=False
    )
    figure.suptitle(title, fontsize=_LARGE)
    return figure


def learning_curve(losses: np.ndarray, objective: str, evaluation: Mapping[str, float]) -> Figure:
    """Loss over optimiser steps, as it came and averaged over a fiftieth of the run.

    Args:
      losses: [steps], NaN where unknown.
      objective: its name, for the axis.
      evaluation: score -> value on held-out images, for the title.

    Returns:
      The figure.

    Examples:
      >>> figure = report.learning_curve(np.array([2.3, 1.9, 1.6]), "label", {"accuracy": 0.41})
      >>> figure.axes[0].get_title()
      'accuracy 0.410'
    """
    figure = empty(6.0, 3.6)
    axes = figure.add_subplot()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=PALETTE[4], linewidth=0.6, alpha=0.6, label="each step")
    width = max(1, len(losses) // 50)
    if width > 1:
        smooth = np.convolve(losses, np.full(width, 1 / width), mode="valid")
        axes.plot(steps[width - 1 :], smooth, color=PALETTE[0], linewidth=1.6, label=f"mean of {width} steps")
        axes.legend(fontsize=_SMALL, frameon=False)
    plain(axes, "y")
    axes.set_xlabel("optimiser step", fontsize=_BODY)
    axes.set_ylabel(f"loss ({objective})", fontsize=_BODY)
    title = ", ".join(f"{format.words(name)} {value:.3f}" for name, value in evaluation.items())
    axes.set_title(title, fontsize=_LARGE)
    return figure


def png(figure: Figure) -> bytes:
    """Renders a figure as a PNG without time or version inside: equal figures give equal bytes.

    Examples:
      >>> from matplotlib.figure import Figure
      >>> report.png(Figure())[1:4]
      b'PNG'
    """
    out = io.BytesIO()
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # A dollar sign in a user's name is a dollar sign.
    figure.savefig(out, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def save(figure: Figure, path: str | pathlib.Path, *, root: pathlib.Path | None = None) -> None:
    """Writes a figure as PNG.

    Args:
      figure: the figure.
      path: path of the file, ending in .png; its folder exists.
      root: a folder above the file that no link may lead out of.

    Raises:
      ValueError: for another ending.
      InputError: when the file cannot be written; nothing of it is left.

    Examples:
      >>> import pathlib, tempfile
      >>> from matplotlib.figure import Figure
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     report.save(Figure(), f"{folder}/empty.png")
      ...     names = [path.name for path in pathlib.Path(folder).iterdir()]
      >>> names
      ['empty.png']
    """
    path = pathlib.Path(path)
    if path.suffix != ".png":
        raise ValueError(f"path: expected a name that ends in .png, got {str(path)!r}")
    _files.write_atomically(path, png(figure), root=root)


def empty(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without a window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _grid(
    count: int,
    columns: int,
    size: tuple[float, float],
    *,
    extra_width: float = 0.0,
    least_height: float = 0.0,
    share: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Panels row by row in at most `columns` columns, each `size` inches; `share` gives all the same axes."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = empty(max(3.2, columns * size[0]) + 0.4 + extra_width, max(rows * size[1] + 1.1, least_height))
    panels: list[Axes] = []
    for place in range(count):
        first = panels[0] if share and panels else None
        panels.append(figure.add_subplot(rows, columns, place + 1, sharex=first, sharey=first))
        plain(panels[-1], grid="both")
    return figure, panels


def plain(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Takes the box off axes and gives them faint lines along "x", "y" or "both"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL, color=_GREY)


def _outer_labels(figure: Figure, panels: list[Axes], columns: int, xlabel: str, ylabel: str) -> None:
    for place, panel in enumerate(panels):
        if place % min(columns, len(panels)):
            panel.tick_params(labelleft=False)
        if place + columns >= len(panels):
            panel.set_xlabel(xlabel, fontsize=_SMALL)
    figure.supylabel(ylabel, fontsize=_BODY)


def _looks(names: np.ndarray, groups: Mapping[str, str] | None) -> dict[str, tuple[str, str]]:
    """Colour and marker of every degradation; a group shares its colour."""
    order = list(dict.fromkeys(names.tolist()))
    if groups is None:
        return {n: (PALETTE[i % len(PALETTE)], _MARKERS[i % len(_MARKERS)]) for i, n in enumerate(order)}
    of = {name: groups.get(name, "") for name in order}
    looks = {}
    for colour, group in enumerate(dict.fromkeys(of.values())):
        members = [name for name in order if of[name] == group]
        for marker, name in enumerate(members):
            looks[name] = (PALETTE[colour % len(PALETTE)], _MARKERS[marker % len(_MARKERS)])
    return looks


def _handle(label: str, colour: str, marker: str, size: float = 6.0) -> lines.Line2D:
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": size, "mew": 0}
    return lines.Line2D([], [], linestyle="", label=label, **look)


def _with_rho(metric: str, rho: float | Estimate | None) -> str:
    value = rho.value if isinstance(rho, Estimate) else rho
    if value is None:
        return format.cut(metric, _TITLE)
    said = "undefined" if math.isnan(value) else format.number(value).replace("-", "−")
    return f"{format.cut(metric, _TITLE)}\nρ = {said}"


def _range(means: list[np.ndarray]) -> tuple[float, float]:
    """Smallest mean and range; a constant curve is put in the middle."""
    values = np.concatenate(means)
    values = values[np.isfinite(values)]
    if not values.size or np.ptp(values) == 0:
        return (float(values[0]) if values.size else 0.0) - 0.5, 1.0
    return float(values.min()), float(np.ptp(values))
