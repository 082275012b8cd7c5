"""What a function takes for an array, and the facts about arrays that the stubs of Python and JAX leave out."""

from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

import jax
import numpy as np

T = TypeVar("T")
S = TypeVar("S", bound="jax.Array | np.ndarray")
# JAX arrays or NumPy arrays: the kind of the argument is the kind of the result.
OneKind = TypeVar("OneKind", jax.Array, np.ndarray)

# An array that a function reads: of JAX, traced or not, or of NumPy. What it returns says which of the two it is.
Array: TypeAlias = jax.Array | np.ndarray

# Parameters of a network or a fitted model: a tree of arrays, whose form each of them has for itself.
Params: TypeAlias = Any

# The class of a device, which the stubs of JAX give as a value.
Device: TypeAlias = jax.Device  # pyright: ignore[reportInvalidTypeForm]


def total(terms: Iterable[S]) -> S:
    """The sum of at least one array; the stubs of `sum` allow for none.

    Args:
      terms: arrays of shapes that go together.
    """
    out = sum(terms)
    assert not isinstance(out, int), "no terms"
    return out


def pair(values: Iterable[T]) -> tuple[T, T]:
    """Two values, as many as a tuple of an iterable is not known to have."""
    first, second = values
    return first, second


def triple(values: Iterable[T]) -> tuple[T, T, T]:
    """Three values."""
    first, second, third = values
    return first, second, third
