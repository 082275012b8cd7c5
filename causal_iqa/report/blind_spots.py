"""The picture of where metrics are blind: metric by degradation."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from causal_iqa.analysis import ByDegradation
from causal_iqa.report import figures

_MOST_METRICS = 24
_LIGHT = 0.55


def blind_spots(
    found: ByDegradation, *, title: str = "", unit: str = "points of accuracy", scale: float = 100.0
) -> Figure:
    """Draws the bias of predicted performance of every metric under every degradation.

    Args:
      found: result of `by_degradation`; the metrics from the top in the order given, at most 24.
      title: over the picture.
      unit: unit of the numbers shown.
      scale: the factor that converts the bias to that unit.

    Returns:
      The figure. Orange: the metric misses harm that the networks feel. Violet: it is alarmed by what they do not mind.

    Raises:
      ValueError: when no metric has a prediction.
    """
    some = np.flatnonzero(np.isfinite(found.bias).any(axis=1))[:_MOST_METRICS]
    if not len(some):
        raise ValueError("found: expected at least one metric with predicted performance, got none")
    values = scale * found.bias[some]
    limit = max(1e-9, np.nanmax(np.abs(values)))
    figure = figures.empty(2.6 + 0.42 * len(found.degradations), 1.9 + 0.27 * len(some))
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap=mpl.colormaps["PuOr_r"], vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            strong = abs(value) > _LIGHT * limit
            axes.text(column, row, f"{round(value):+d}", ha="center", va="center", fontsize=6.5,
                      color="white" if strong else "#222222")  # fmt: skip
    axes.set_xticks(range(len(found.degradations)), found.degradations,
                    rotation=50, ha="right", rotation_mode="anchor", fontsize=8)  # fmt: skip
    axes.set_yticks(range(len(some)), [found.metrics[k] for k in some], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11, loc="left")
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01)
    bar.set_label(f"predicted less true, {unit}", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure
