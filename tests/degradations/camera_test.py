"""Options of the camera conditions: every choice runs, others are refused."""

import functools

import jax
import pytest

from causal_iqa._checks import InputError
from causal_iqa.degradations import _camera as camera
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
