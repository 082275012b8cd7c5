"""The picture of where metrics are blind."""

import numpy as np
import pytest

from causal_iqa.analysis import ByDegradation
from causal_iqa.report import blind_spots


def _found(bias):
    bias = np.asarray(bias, float)
    names = tuple(f"metric {i}" for i in range(len(bias)))
    return ByDegradation(names, ("fog", "blur"), (1.0,), bias, bias, bias)


def test_every_bias_is_written_in_its_unit():
    figure = blind_spots.blind_spots(_found([[0.12, -0.3], [np.nan, 0.0]]))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["+12", "-30", "+0"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["fog", "blur"]
    low, high = axes.images[0].get_clim()
    assert low == -high and high == pytest.approx(30)


def test_at_most_24_metrics_with_a_prediction_are_shown():
    bias = np.tile([[0.1, 0.2]], (40, 1))
    bias[0] = np.nan
    axes = blind_spots.blind_spots(_found(bias)).axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len(shown) == 24 and shown[0] == "metric 1"
    with pytest.raises(ValueError, match="at least one metric with predicted performance"):
        blind_spots.blind_spots(_found([[np.nan, np.nan]]))
