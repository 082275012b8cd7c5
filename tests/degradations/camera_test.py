"""Options of the camera conditions: every choice runs, others are refused; severity has the slope it claims."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa._checks import InputError
from causal_iqa.degradations import camera
from tests.degradations.scenes import picture

ROWS = {row.name: row for row in camera.SPECS}
CHOICES = [
    (row.name, option) for row in camera.SPECS for option, values in row.options.items() if isinstance(values, tuple)
]


@pytest.mark.parametrize(("name", "option"), CHOICES)
def test_choices(name, option):
    row, image = ROWS[name], picture(16, 17)
    shape = lambda **kw: jax.eval_shape(functools.partial(row.fn, **kw), jax.random.key(0), image, 3.0)  # noqa: E731
    for value in row.options[option]:
        assert shape(**{option: value}).shape == image.shape
    with pytest.raises(InputError, match=f"^{option}: expected one of"):
        shape(**{option: "none of these"})


@pytest.mark.parametrize("name", ROWS)
def test_slope_in_severity(name):
    image = picture(24, 29)
    damage = lambda s: jnp.mean(jnp.square(ROWS[name].fn(jax.random.key(1), image, s) - image))  # noqa: E731
    value, slope = map(
        np.asarray, jax.jit(jax.vmap(jax.value_and_grad(damage)))(np.float32([0.0, 2.5, 5.0, 2.45, 2.55]))
    )
    assert np.isfinite(slope).all()
    if ROWS[name].differentiable_in_severity:
        assert slope[1] > 0
        np.testing.assert_allclose(slope[1], (value[4] - value[3]) / 0.1, rtol=0.15)
    elif slope[1] != 0:
        # There is a slope, but it is not that of the damage.
        assert abs(slope[1] / ((value[4] - value[3]) / 0.1) - 1) > 0.5
