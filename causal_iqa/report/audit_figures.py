"""Figures of the audit: effects, dose-response, mediation, and observational estimates against the truth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from causal_iqa import pipeline
from causal_iqa.analysis import findings
from causal_iqa.report import figures

# M. Okabe, K. Ito (2008), Color universal design.
_COLOURS = ("#D55E00", "#CC79A7", "#56B4E9", "#E69F00", "#0072B2")
_MARKERS = ("x", "v", "s", "^", "o")
_BEST = 5
_SMALL = 8


def render(audited: Mapping[str, Any], found: findings.Findings) -> dict[str, bytes]:
    """Draws the figures.

    Args:
      audited: what `audit.audit` gave.
      found: what `findings.analyse_images` gave.

    Returns:
      name -> PNG; the observational figure only where the study was done.
    """
    doses, measure = audited["dose_alignment"], found.measure
    what = measure.name
    best = sorted(doses, key=lambda metric: _order(doses[metric]["mean"]["area"]["value"]))[:_BEST]
    drawn = {
        "audit_dose_response": figures.dose_response(
            {name: found.doses[name] for name in (measure.key, *best)},
            normalise=True,
            ylabel="from worst to best",
            title=f"{what[:1].upper()}{what[1:]}, and the metrics whose curves lie nearest to it",
        ),
        "audit_effects": _effects(audited["effects"][measure.key], what),
        "audit_mediation": _mediation(audited["mediation"], what),
    }
    if "reason" not in audited["observational"]:
        drawn["audit_observational"] = _observational(audited["observational"], measure)
    return {name: figures.png(figure) for name, figure in drawn.items()}


def _order(value: float | None) -> float:
    return np.inf if value is None else value


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL)
    return figure, axes


def _effects(effects: Mapping[str, Mapping[str, float | None]], what: str) -> Figure:
    """A row per degradation, a point with its interval per severity."""
    parsed = [(*name.rpartition("/")[::2], row) for name, row in effects.items()]
    names = list(dict.fromkeys(name for name, _, _ in parsed))
    doses = list(dict.fromkeys(dose for _, dose, _ in parsed))
    figure, axes = _axes(7.0, 1.2 + 0.34 * len(names))
    for place, dose in enumerate(doses):
        rows = [(names.index(name), row) for name, own, row in parsed if own == dose and row["effect"] is not None]
        y = np.array([at for at, _ in rows]) + 0.6 * ((place + 0.5) / len(doses) - 0.5)
        values = np.array([[row[field] for field in ("effect", "low", "high")] for _, row in rows], np.float64)
        if len(rows):
            shade = str(0.75 - 0.75 * place / max(1, len(doses) - 1)) if len(doses) > 1 else "0.2"
            axes.hlines(y, values[:, 1], values[:, 2], color=shade, linewidth=1.0)
            axes.plot(values[:, 0], y, "o", color=shade, markersize=3.5, label=f"severity {dose}")
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"average causal effect on {what}, against clean", fontsize=9)
    if len(doses) <= 8:
        figure.legend(loc="outside lower center", ncols=min(5, len(doses)), fontsize=_SMALL, frameon=False)
    return figure


def _mediation(found: Mapping[str, Any], what: str) -> Figure:
    """Share carried and surrogate share of every metric, where they are shares."""
    reasons = {"share": "share_reason", "surrogate_share": "surrogate_reason"}
    known = {
        metric: {field: one[field] for field, reason in reasons.items() if not one[reason]}
        for metric, one in found.items()
    }
    names = [metric for metric, shares in known.items() if shares] or list(found)
    names.sort(key=lambda metric: -_order(known[metric].get("surrogate_share", {"value": None})["value"]))
    figure, axes = _axes(7.0, 1.3 + 0.3 * len(names))
    looks = (("surrogate_share", "one curve for all conditions", 0.15, "#0072B2"),)
    looks += (("share", "natural indirect effect", -0.15, "#E69F00"),)
    for field, label, offset, colour in looks:
        rows = [(at, known[name][field]) for at, name in enumerate(names) if field in known[name]]
        if rows:
            y = np.array([at for at, _ in rows]) + offset
            values = np.array([[row[part] for part in ("value", "low", "high")] for _, row in rows], np.float64)
            axes.hlines(y, values[:, 1], values[:, 2], color=colour, linewidth=1.2)
            axes.plot(values[:, 0], y, "o", color=colour, markersize=4, label=label)
    for line in (0.0, 1.0):
        axes.axvline(line, color="#555555", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(f"share of the effect on {what} that the score carries", fontsize=9)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, fontsize=_SMALL, frameon=False)
    return figure


def _observational(found: Mapping[str, Any], measure: pipeline.Measure) -> Figure:
    """Estimates of the mean performance in every arm, beside the truth."""
    truth, arms = found[measure.key]["truth"], found["arms"]
    figure, axes = _axes(7.0, 1.6 + 0.6 * len(arms))
    methods = found[measure.key]["methods"]
    for place, (method, one) in enumerate(methods.items()):
        y = np.arange(len(arms)) + 0.7 * ((place + 0.5) / len(methods) - 0.5)
        values = np.array([[row[part] for part in ("value", "low", "high")] for row in one["mean"]], np.float64)
        axes.hlines(y, values[:, 1], values[:, 2], color=_COLOURS[place], linewidth=1.2)
        axes.plot(values[:, 0], y, _MARKERS[place], color=_COLOURS[place], markersize=5, label=method.replace("_", " "))
    for at, value in enumerate(truth):
        axes.vlines(value, at - 0.45, at + 0.45, color="black", linewidth=1.4, label="truth" if at == 0 else None)
    axes.set_yticks(range(len(arms)), [arms[0], *(f"severity {arm}" for arm in arms[1:])])
    axes.invert_yaxis()
    axes.set_xlabel(f"{measure.name} if all images were seen at this severity", fontsize=9)
    figure.legend(loc="outside lower center", ncols=3, fontsize=_SMALL, frameon=False)
    return figure
