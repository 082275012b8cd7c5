"""Oblivious trees against their definition, and what they can learn."""

import jax
import numpy as np
import pytest

from causal_iqa.quality import boosting

_odds = jax.jit(jax.vmap(boosting.log_odds, (None, 0)))


def _chances(trees, inputs):
    return np.asarray(jax.nn.sigmoid(_odds(trees, inputs)))


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2000, 6)).astype(np.float32)
    # No single input tells: the first two must be read together.
    chance = np.where((inputs[:, 0] > 0) == (inputs[:, 1] > 0.5), 0.9, 0.2)
    return inputs, chance, boosting.fit_trees(inputs, rng.random(2000) < chance)


def test_an_interaction_is_learned_and_the_chances_are_calibrated(fitted):
    trees = fitted[2]
    fresh = np.random.default_rng(1).normal(size=(2000, 6)).astype(np.float32)
    truth = np.where((fresh[:, 0] > 0) == (fresh[:, 1] > 0.5), 0.9, 0.2)
    found = _chances(trees, fresh)
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert found[truth == 0.9].mean() == pytest.approx(0.9, abs=0.06)
    assert found[truth == 0.2].mean() == pytest.approx(0.2, abs=0.06)


def test_a_tree_is_its_questions_and_a_table(fitted):
    inputs, _, trees = fitted
    expected = float(trees.base)
    for asked, thresholds, leaves in zip(*map(np.asarray, trees[:3]), strict=True):
        place = int("".join(str(int(inputs[5, i] > t)) for i, t in zip(asked, thresholds, strict=True)), 2)
        expected += float(leaves[place])
    assert float(_odds(trees, inputs)[5]) == pytest.approx(expected, abs=1e-4)


def test_the_same_seed_gives_the_same_trees_and_one_kind_a_constant(fitted):
    inputs, _, _ = fitted
    happened = inputs[:300, 0] > 0
    one, same, other = (boosting.fit_trees(inputs[:300], happened, seed=seed, num_trees=5) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.inputs, other.inputs)
    assert _chances(boosting.fit_trees(inputs[:300], np.ones(300), num_trees=5), inputs[:9]).min() > 0.99


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="inputs: expected finite"):
        boosting.fit_trees(np.full((3, 2), np.nan), np.ones(3))
    with pytest.raises(ValueError, match="n outcomes"):
        boosting.fit_trees(np.zeros((3, 2)), np.ones(4))
