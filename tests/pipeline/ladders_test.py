"""Conditions of one structure as one function: in the order in which they were given."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.degradations import Condition
from causal_iqa.pipeline import ladders

_CONDITIONS = tuple(map(Condition.parse, ("brightness/3|family=cifar32", "clean", "brightness/1|family=cifar32")))


def test_conditions_of_one_structure_go_together():
    places = ladders.by_structure(_CONDITIONS)
    assert list(places.values()) == [[0, 2], [1]]


def test_rows_stand_in_the_order_of_the_conditions():
    clean = jnp.full((2, 4, 4, 3), 0.25)
    found = np.asarray(ladders.degrade_all(_CONDITIONS, jax.random.split(jax.random.key(0)), clean))
    assert found.shape == (3, 2, 4, 4, 3)
    np.testing.assert_array_equal(found[1], clean)
    assert found[0].mean() > found[2].mean() > 0.25
