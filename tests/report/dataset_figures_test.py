"""Figures of scored sets: what each draws, and None where there is nothing to draw."""

import numpy as np
import pytest

from causal_iqa.analysis import datasets
from causal_iqa.report import dataset_figures
from tests.analysis.datasets.scored import scored_sets


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(0)
    scored = scored_sets({"_train": rng.normal(size=60), "field": rng.normal(size=60)}, correct=True)
    return datasets.analyse(scored, datasets.Request()).findings.sets


def test_shares_of_a_histogram_sum_to_one(sets):
    figure = dataset_figures.histogram(sets, "quality", 0.5)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlabel() == "quality" and len(axes.patches) == 2 and len(axes.lines) == 1
    assert sum(axes.patches[0].get_data().values) == pytest.approx(1)  # pyright: ignore[reportAttributeAccessIssue]
    legend = axes.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == [" _train", "field"]


def test_one_set_needs_no_legend_and_no_cut_no_line(sets):
    figure = dataset_figures.cumulative(sets[:1], "quality", np.nan)
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_legend() is None and len(axes.lines) == 1
    assert np.asarray(axes.lines[0].get_ydata())[-1] == 1


def test_the_accuracy_of_the_rest_is_in_per_cent(sets):
    figure = dataset_figures.rejection(sets)
    assert figure is not None
    (axes,) = figure.axes
    assert len(axes.lines) == 2 and axes.get_ylabel() == "accuracy of the rest, %"
    assert 20 < np.nanmax(np.asarray(axes.lines[0].get_ydata(), float)) <= 100


def test_nothing_to_draw_is_none():
    (one,) = datasets.analyse(scored_sets({"a": np.full(3, np.nan)}), datasets.Request()).findings.sets
    assert dataset_figures.histogram([one], "quality", 0.0) is None
    assert dataset_figures.cumulative([one], "quality", 0.0) is None
    assert dataset_figures.rejection([one]) is None
