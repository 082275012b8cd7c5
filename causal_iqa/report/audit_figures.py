"""Figures of the audit: effects, dose-response, mediation, and observational estimates against the truth."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from causal_iqa import causal
from causal_iqa.analysis.audit import Audit, MetricMediation, ObservationalStudy
from causal_iqa.report import figures, format

# M. Okabe, K. Ito (2008), Color universal design.
_COLOURS = ("#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#0072B2")
_MARKERS = ("x", "v", "s", "^", "o")
_BEST = 5
_SMALL = 8


def render(audited: Audit, curves: Mapping[str, Mapping[str, causal.DoseResponse]]) -> dict[str, bytes]:
    """Draws the figures.

    Args:
      audited: the audit.
      curves: metric, and `measure.key` -> degradation -> dose-response curve, of `findings.Findings`.

    Returns:
      name -> PNG; the observational figure only where the study was done.
    """
    doses, what, key = audited.dose_alignment, audited.measure.name, audited.measure.key
    best = sorted(doses, key=lambda metric: _order(doses[metric].mean.area.value))[:_BEST]
    drawn = {
        "audit_dose_response": figures.dose_response(
            {name: curves[name] for name in (key, *best)},
            normalise=True,
            ylabel="0: worst, 1: best",
            title=f"{format.capital(what)}, and the metrics with the nearest curves",
        ),
        "audit_effects": _effects(audited.effects[key], what),
        "audit_mediation": _mediation(audited.mediation, what),
    }
    if isinstance(audited.observational, ObservationalStudy):
        drawn |= {"audit_observational": _observational(audited.observational, what)}
    return {name: figures.png(figure) for name, figure in drawn.items()}


def _order(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _draw(axes: Axes, at: np.ndarray, estimates: Sequence[causal.Estimate], color: str, mark: str, **look: Any) -> None:
    """Points with their intervals, one under the other."""
    values = np.array(estimates, np.float64)
    axes.hlines(at, values[:, 1], values[:, 2], color=color, linewidth=look.pop("linewidth"))
    axes.plot(values[:, 0], at, mark, color=color, **look)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL)
    return figure, axes


def _effects(effects: Mapping[str, causal.Estimate], what: str) -> Figure:
    """A row per degradation, a point with its interval per severity."""
    parsed = [(*name.rpartition("/")[::2], row) for name, row in effects.items()]
    names = list(dict.fromkeys(name for name, _, _ in parsed))
    doses = list(dict.fromkeys(dose for _, dose, _ in parsed))
    figure, axes = _axes(7.0, 1.2 + 0.34 * len(names))
    for place, dose in enumerate(doses):
        rows = [(names.index(name), row) for name, own, row in parsed if own == dose and math.isfinite(row.value)]
        if rows:
            y = np.array([at for at, _ in rows]) + 0.6 * ((place + 0.5) / len(doses) - 0.5)
            shade = str(0.75 - 0.75 * place / max(1, len(doses) - 1)) if len(doses) > 1 else "0.2"
            own = [row for _, row in rows]
            _draw(axes, y, own, shade, "o", linewidth=1.0, markersize=3.5, label=f"severity {dose}")
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(f"average causal effect on {what}, against clean", fontsize=9)
    if len(doses) <= 8:
        figure.legend(loc="outside lower center", ncols=min(5, len(doses)), fontsize=_SMALL, frameon=False)
    return figure


def _mediation(found: Mapping[str, MetricMediation], what: str) -> Figure:
    """Share carried and surrogate share of every metric, where they are shares."""
    surrogates = {name: one.surrogate_share for name, one in found.items() if not one.surrogate_reason}
    shares = {name: one.share for name, one in found.items() if not one.share_reason}
    names = [name for name in found if name in surrogates or name in shares] or list(found)
    names.sort(key=lambda name: -_order(surrogates[name].value if name in surrogates else math.nan))
    figure, axes = _axes(7.0, 1.3 + 0.3 * len(names))
    looks = (
        (surrogates, "one curve for all conditions", 0.15, "#0072B2"),
        (shares, "natural indirect effect", -0.15, "#E69F00"),
    )
    for known, label, offset, colour in looks:
        places = [at for at, name in enumerate(names) if name in known]
        if places:
            own = [known[names[at]] for at in places]
            _draw(axes, np.array(places) + offset, own, colour, "o", linewidth=1.2, markersize=4, label=label)
    for line in (0.0, 1.0):
        axes.axvline(line, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(f"share of the effect on {what} that the score carries", fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, fontsize=_SMALL, frameon=False)
    return figure


def _observational(found: ObservationalStudy, what: str) -> Figure:
    """Estimates of the mean performance in every arm, next to the truth."""
    truth, arms = found.performance.truth, found.arms
    figure, axes = _axes(7.0, 1.6 + 0.6 * len(arms))
    methods = found.performance.methods
    for place, (method, one) in enumerate(methods.items()):
        y = np.arange(len(arms)) + 0.7 * ((place + 0.5) / len(methods) - 0.5)
        look: dict[str, Any] = {"linewidth": 1.2, "markersize": 5, "label": format.words(method)}
        _draw(axes, y, one.mean, _COLOURS[place], _MARKERS[place], **look)
    for at, value in enumerate(truth):
        axes.vlines(value, at - 0.45, at + 0.45, color="black", linewidth=1.4, label="truth" if at == 0 else "")
    axes.set_yticks(range(len(arms)), [arms[0], *(f"severity {arm}" for arm in arms[1:])])
    axes.invert_yaxis()
    axes.set_xlabel(f"{what} if all images were seen at this severity", fontsize=9)
    figure.legend(loc="outside lower center", ncols=3, fontsize=_SMALL, frameon=False)
    return figure
