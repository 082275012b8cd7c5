"""The ladder: exact at whole severities, straight between."""

import jax
import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.degradations import ladder

ROWS = (0.3, 0.1, 2.0, 5.0, 20.0)


def test_mix_is_piecewise_linear_and_exact_at_rows():
    severities = np.concatenate([np.arange(6.0), np.random.default_rng(0).uniform(0, 5, 50)]).astype(np.float32)
    ours = jax.vmap(lambda s: ladder.mix(1.0, ROWS, s))(severities)
    table = np.asarray([1.0, *ROWS], np.float32)
    np.testing.assert_allclose(ours, np.interp(severities, np.arange(6.0), table), rtol=1e-5)
    np.testing.assert_array_equal(ours[:6], table)


def test_mix_takes_rows_of_any_shape():
    rows = np.random.default_rng(1).standard_normal((6, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(ladder.mix(rows[0], rows[1:], 2.25), 0.75 * rows[2] + 0.25 * rows[3], rtol=1e-6)


@pytest.mark.parametrize("severity", [7.0, -1, 5.001, float("nan"), np.float32(-0.1), jax.numpy.float32(6)])
def test_severity_beyond_the_ladder_is_refused_where_it_can_be_seen(severity):
    with pytest.raises(InputError, match="severity: expected a number from 0"):
        ladder.mix(1.0, ROWS, severity)


def test_traced_severity_beyond_the_ladder_stays_on_its_last_row():
    mix = jax.jit(lambda severity: ladder.mix(1.0, ROWS, severity))
    assert mix(7.0) == ROWS[-1] and mix(-1.0) == 1.0


def test_several_severities_at_once_are_refused():
    with pytest.raises(ValueError, match=r"severity: expected one number, got shape \(3,\) \(use jax.vmap"):
        ladder.weights(np.ones(3))


def test_finish_clips_only_what_was_degraded():
    image = np.asarray([-0.5, 0.5, 1.5], np.float32)
    np.testing.assert_array_equal(ladder.finish(image, image, 0.0), image)
    np.testing.assert_array_equal(ladder.finish(image, image, 0.1), [0.0, 0.5, 1.0])


def test_family_for_refuses_empty_images():
    with pytest.raises(ValueError, match="positive"):
        ladder.family_for(0, 32)
