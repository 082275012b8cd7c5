"""How the judged networks of a study perform: clean, under each condition, and where outputs are missing."""

import numpy as np
import pytest

from causal_iqa.analysis import networks
from tests.analysis import worlds


def test_means_are_those_of_the_table():
    table = worlds.table()
    first, second = networks.judged_networks(worlds.CONFIG, table, 2)
    correct = table.columns["a/correct"]
    assert first.by_condition["fog/4"] == pytest.approx(correct[2].mean())
    assert first.degraded == pytest.approx(correct[1:].mean())
    assert (first.undefined, first.measure.is_accuracy, first.of_set) == (0, True, None)
    assert first.clean.network == "a" and second.clean.network == "b"
    assert list(first.by_condition) == [condition.name for condition in worlds.CONDITIONS]


def test_missing_outputs_are_counted_and_said():
    table = worlds.table()
    columns = {name: np.array(values) for name, values in table.columns.items()}
    columns["a/correct"][2, :3] = np.nan
    first, second = networks.judged_networks(worlds.CONFIG, table._replace(columns=columns), None)
    assert first.undefined == 3 and second.undefined == 0
    assert any("outputs are not finite for 3 degraded images; they are left out" in line for line in first.warnings)
    assert first.by_condition["fog/4"] == pytest.approx(columns["a/correct"][2, 3:].mean())
    columns["a/correct"][2, 1:3] = 1.0
    (first, _) = networks.judged_networks(worlds.CONFIG, table._replace(columns=columns), None)
    assert any("for 1 degraded image; they" in line for line in first.warnings)


def test_tables_without_predictions_have_the_same_clean_accuracy():
    table = worlds.table()
    older = {name: values for name, values in table.columns.items() if not name.endswith("/prediction")}
    new, old = (networks.judged_networks(worlds.CONFIG, one, 2)[0] for one in (table, table._replace(columns=older)))
    assert new.clean.accuracy == old.clean.accuracy  # pyright: ignore[reportAttributeAccessIssue]
