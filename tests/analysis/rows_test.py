"""A score table image by image: signs, means over networks, what is left out and what fails."""

import numpy as np
import pytest

from causal_iqa import pipeline
from causal_iqa.analysis import parts, rows
from tests.analysis import worlds


@pytest.fixture(scope="module")
def found():
    return rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(), whole=False)


def test_scores_are_turned_and_clean_stands_apart(found):
    table = worlds.table()
    assert found.conditions == worlds.CONDITIONS[1:]
    np.testing.assert_array_equal(found.scores["noise"]["all"], -table.columns["noise"][1:])
    np.testing.assert_array_equal(found.scores["free@eye"]["a"], table.columns["free@eye"][1:])
    np.testing.assert_array_equal(found.clean["noise"]["b"], -table.columns["noise"][0])
    np.testing.assert_allclose(
        found.clean_performance["all"], (table.columns["a/correct"][0] + table.columns["b/correct"][0]) / 2
    )
    assert found.formulas["free@eye"] == "free" and found.families["noise"] == "no_reference"


def test_estimators_stand_beside_the_scores(found):
    table = worlds.table()
    np.testing.assert_allclose(found.scores["confidence"]["a"], table.columns["a/confidence"][1:])
    np.testing.assert_allclose(found.clean["confidence"]["a"], table.columns["a/confidence"][0])
    assert "own_outputs" in found.reads["confidence"]
    assert found.of_sets == ()


def test_shares_of_sets_come_from_kept_features(found):
    assert {"hsic_share_clean@eye", "hsic_share_labels@eye"} <= set(found.scores)
    assert found.families["hsic_share_labels@eye"] == "task_guided"
    without = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)
    assert not any("hsic" in name for name in without.scores)


def test_scores_of_fewer_anchors_are_left_out_where_not_all_is_wanted():
    few = pipeline.Column("few", "few", "label_free", True, 32, worlds.NETWORKS, {}, anchors=10)
    table = worlds.table(features=False)
    table = table._replace(columns={**table.columns, "few": table.columns["noise"]})
    columns = (*worlds.COLUMNS, few)
    assert "few" not in rows.image_rows(worlds.CONFIG, columns, table, whole=False).scores
    assert "few" in rows.image_rows(worlds.CONFIG, columns, table).scores


def test_a_part_that_fails_is_named_or_raised(monkeypatch):
    def fails(*arguments, **options):
        raise ArithmeticError("no estimate")

    monkeypatch.setattr(rows.network_outputs, "gather", fails)
    doing = parts.Parts()
    left = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(), whole=False, doing=doing)
    assert "confidence" not in left.scores and "noise" in left.scores
    assert [one.part for one in doing.failures] == [rows.OUTPUTS_PART]
    with pytest.raises(ArithmeticError, match="no estimate"):
        rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(), whole=False)
