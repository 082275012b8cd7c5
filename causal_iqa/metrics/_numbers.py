"""Numbers of parameter files, checked where they are read."""

from typing import Any

import numpy as np

from causal_iqa import _checks


def real(value: Any, name: str) -> np.ndarray:
    """Returns float64 of an array of real floating point numbers.

    Args:
      value: value of the file.
      name: its name in the message.

    Returns:
      The numbers, exact.

    Raises:
      InputError: when they are of another type (integers of quantised parameters, booleans, complex numbers, text,
        objects) or not finite.
    """
    found = np.asarray(value)
    if found.dtype.kind != "f":
        raise _checks.InputError(f"{name}: expected floating point numbers, got {found.dtype}")
    if not np.isfinite(found).all():
        raise _checks.InputError(f"{name}: expected finite numbers")
    return found.astype(np.float64)
