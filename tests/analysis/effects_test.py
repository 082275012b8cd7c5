"""Effects of the conditions: curves, mean changes against clean, and verdicts."""

import numpy as np
import pytest

from causal_iqa import causal
from causal_iqa.analysis import effects, findings, parts, rows
from tests.analysis import worlds


def _rows(**clean):
    own = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)
    return own._replace(clean={**own.clean, **clean})


def test_effects_are_differences_to_clean():
    own, doing = _rows(), parts.Parts()
    _, found = findings._aligned(worlds.CONFIG, own, doing)
    assert doing.failures == [] and set(found.effects) == {"accuracy", *own.scores}
    expected = own.scores["noise"]["all"].mean(axis=1) - own.clean["noise"]["all"].mean()
    np.testing.assert_allclose(found.effects["noise"].value, expected, rtol=1e-5)
    assert set(found.doses["accuracy"]) == {"fog", "contrast"}
    assert set(found.desiderata) == set(own.scores)


def test_without_a_clean_score_the_mildest_conditions_stand_in():
    nothing = np.full(worlds.NUM_IMAGES, np.nan)
    own = _rows(noise=dict.fromkeys(("a", "b", "all"), nothing))
    _, found = findings._aligned(worlds.CONFIG, own, parts.Parts())
    values = own.scores["noise"]["all"]
    mildest = values[[0, 2]].mean(axis=0)
    np.testing.assert_allclose(found.effects["noise"].value, values.mean(axis=1) - mildest.mean(), rtol=1e-5, atol=1e-6)


def test_the_mildest_are_averaged_where_they_are_defined():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [9.0, 9.0, 9.0]])
    np.testing.assert_array_equal(effects._mildest(values, [1, 1, 2]), [2.0, 5.0, np.nan])


@pytest.mark.parametrize("family", causal.FAMILIES)
def test_graphs_of_families_follow_where_quality_is_scored(family):
    at_image = effects.family_graph(worlds.CONFIG, family)
    assert effects.family_graph(worlds.CONFIG, family) == at_image
    import dataclasses

    other = "image" if worlds.CONFIG.score_at == "task" else "task"
    moved = effects.family_graph(dataclasses.replace(worlds.CONFIG, score_at=other, image_size=48), family)
    assert (moved != at_image) == (("X", "Q") in causal.FAMILIES[family].edges)
