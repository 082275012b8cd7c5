"""Numbers of parameter files."""

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.metrics import _numbers


def test_floating_point_numbers_are_kept_exactly():
    found = _numbers.real(np.array([0.1, -2.0], np.float32), "weights")
    assert found.dtype == np.float64 and found.tolist() == [float(np.float32(0.1)), -2.0]


@pytest.mark.parametrize("value", [[1, 2], [True], [1j], ["0.5"], [None]])
def test_other_types_are_refused(value):
    with pytest.raises(InputError, match=r"^weights: expected floating point numbers, got"):
        _numbers.real(value, "weights")


def test_numbers_are_finite():
    with pytest.raises(InputError, match=r"^weights: expected finite numbers"):
        _numbers.real([0.5, np.inf], "weights")
