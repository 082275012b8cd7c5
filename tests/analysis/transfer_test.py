"""Maps learned on one run and applied to another."""

import numpy as np
import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.analysis import rows, transfer
from tests.analysis import worlds


def _side(name, seed):
    table = worlds.table(seed, features=False)
    return transfer.Side(name, rows.image_rows(worlds.CONFIG, worlds.COLUMNS, table, whole=False))


@pytest.fixture(scope="module")
def sides():
    return _side("here", 0), _side("there", 1)


def test_every_score_in_both_runs_is_transferred(sides):
    found = transfer.transfer(*sides, level=0.9)
    assert (found.source, found.target, found.level) == ("here", "there", 0.9)
    scores = {one.score: one for one in found.scores}
    assert {"noise", "free@eye"} <= set(scores)
    own = scores["free@eye"].as_is
    assert own is not None and set(own.conditions) == {condition.name for condition in worlds.CONDITIONS[1:]}
    truth = sides[1].rows.performance["all"].mean(axis=1)
    np.testing.assert_allclose([one.truth for one in own.conditions.values()], truth, rtol=1e-6)
    assert found.clean_performance.source == pytest.approx(sides[0].rows.clean_performance["all"].mean())
    assert "average_confidence" in {one.score for one in found.beside}


def test_scores_of_one_formula_stand_in_for_each_other_and_others_do_not(sides):
    here, there = sides

    def renamed(side, old, new):
        own = side.rows
        swap = lambda by: {new if name == old else name: value for name, value in by.items()}  # noqa: E731
        changed = own._replace(
            scores=swap(own.scores), clean=swap(own.clean), families=swap(own.families), formulas=swap(own.formulas)
        )
        return transfer.Side(side.name, changed)

    assert ("free@eye", "free@other") in transfer.pairs(here, renamed(there, "free@eye", "free@other"))
    names = [theirs for _, theirs in transfer.pairs(here, renamed(there, "noise", "entropy"))]
    assert "entropy" not in names


def test_performance_of_another_kind_is_refused(sides):
    iou = pipeline.Measure("IoU", False, 1.0, (0.0, 1.0))
    other = transfer.Side("there", sides[1].rows._replace(measure=iou))
    with pytest.raises(InputError, match=r"transfer_from: here has accuracy as its performance, there has IoU"):
        transfer.transfer(sides[0], other)


def test_a_score_without_a_number_has_no_errors(sides):
    here, there = sides
    lost = {**there.rows.scores, "noise": {"all": np.full((4, worlds.NUM_IMAGES), np.nan)}}
    found = transfer.transfer(here, transfer.Side("there", there.rows._replace(scores=lost)))
    assert "noise" not in {one.score for one in found.scores}
    wrong = here.rows._replace(clean_performance={"all": np.zeros(worlds.NUM_IMAGES)})
    found = transfer.transfer(transfer.Side("never right", wrong), there)
    assert all(one.relative_to_clean is None for one in found.scores)
