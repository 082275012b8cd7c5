"""Score tables arranged for `alignment`: signs, means over networks, and the clean condition left out."""

import numpy as np

from causal_iqa import degradations, pipeline

_CONDITIONS = tuple(map(degradations.Condition.parse, ("clean", "fog/3", "fog/5")))


def _table(**columns):
    values = {name.replace("__", "/"): np.asarray(rows, np.float32) for name, rows in columns.items()}
    return pipeline.ScoreTable(("x", "y"), np.array([0, 1], np.int32), _CONDITIONS, values, {}, (), {})


def _column(name, metric, networks, higher_is_better):
    return pipeline.Column(name, metric, "no_reference", higher_is_better, 8, networks, {})


def test_lower_is_better_is_turned_round_and_clean_left_out():
    table = _table(a__correct=[[1, 1], [0, 1], [0, 0]], up=[[9, 9], [1, 2], [3, 4]], down=[[9, 9], [1, 2], [3, 4]])
    columns = (_column("up", "up", ("a",), True), _column("down", "down", ("a",), False))
    quality, performance = pipeline.quality_and_performance(columns, table, ["a"])
    np.testing.assert_array_equal(performance["a"], [[0, 1], [0, 0]])
    np.testing.assert_array_equal(performance["all"], performance["a"])
    for network in ("a", "all"):
        np.testing.assert_array_equal(quality["up"][network], [[1, 2], [3, 4]])
        np.testing.assert_array_equal(quality["down"][network], [[-1, -2], [-3, -4]])


def test_a_metric_at_several_resolutions_is_averaged_over_networks():
    table = _table(
        a__correct=[[1, 1], [0, 1], [0, 0]],
        b__correct=[[1, 1], [1, 1], [1, 0]],
        m8=[[0, 0], [1, 2], [3, 4]],
        m16=[[0, 0], [3, 4], [5, 6]],
    )
    columns = (_column("m8", "m", ("a",), True), _column("m16", "m", ("b",), True))
    quality, performance = pipeline.quality_and_performance(columns, table, ["a", "b"])
    np.testing.assert_array_equal(quality["m"]["all"], [[2, 3], [4, 5]])
    np.testing.assert_array_equal(quality["m"]["b"], [[3, 4], [5, 6]])
    np.testing.assert_array_equal(performance["all"], [[0.5, 1], [0.5, 0]])
