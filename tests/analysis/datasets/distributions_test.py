"""One mode or two, of known distributions."""

import jax
import numpy as np
import pytest

from causal_iqa.analysis.datasets import distributions


def test_modes_are_found_where_there_are_two():
    rng = np.random.default_rng(0)
    key = jax.random.key(0)
    one = distributions.modes(key, rng.normal(size=800))
    two = distributions.modes(key, np.concatenate([rng.normal(0, 1, 400), rng.normal(6, 1, 400)]))
    assert one.p_value > 0.05 and one.places == ()
    assert two.p_value <= 0.01 and two.places == pytest.approx((0, 6), abs=0.6) and 2 < two.valley < 4
    assert np.isnan(distributions.modes(key, np.ones(100)).p_value)


def test_one_mode_is_kept_at_the_level():
    rng = np.random.default_rng(1)
    keys = jax.random.split(jax.random.key(1), 40)
    refused = sum(distributions.modes(key, rng.normal(size=300)).p_value < 0.05 for key in keys)
    assert refused <= 5


def test_draws_do_not_depend_on_how_many_are_drawn_besides():
    keys = jax.random.split(jax.random.key(0))
    rows, normal = distributions._drawn(keys, 53)
    np.testing.assert_array_equal(rows[:530], jax.random.randint(keys[0], (530,), 0, 53))
    np.testing.assert_array_equal(normal[:530], jax.random.normal(keys[1], (530,)))
