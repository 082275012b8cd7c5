"""Checks of arguments, shared by every room.

Each error names the argument, the expected value and the given one. Inside a jitted function they see shapes, dtypes
and names only and cost nothing; values are looked at where they are concrete.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, overload

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import Array
from causal_iqa._errors import InputError

T = TypeVar("T")

# Of values in [0, 1]: more than rounding leaves, less than the step of 8 bits.
_SLACK = 1e-3


def closest(name: str, known: Iterable[str]) -> str:
    """Returns a hint at the known names that look like `name`, or a list of all when none does.

    Args:
      name: the unknown name.
      known: the names that exist.

    Returns:
      A sentence to append to an error message.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
    return f"known: {shown}"


def lookup(table: Mapping[str, T], name: str, kind: str) -> T:
    """Returns `table[name]`.

    Args:
      table: a room's table.
      name: the wanted row.
      kind: the name for a row in the message, e.g. "metric".

    Returns:
      The row.

    Raises:
      InputError: when the name is unknown; the closest names are suggested.
    """
    if name not in table:
        raise InputError(f"unknown {kind} {name!r}: {closest(name, table)}")
    return table[name]


def check_choice(value: str, choices: Iterable[str], name: str) -> None:
    """Raises InputError unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value!r}; {closest(value, choices)}")


def is_concrete(value: Any) -> bool:
    """Whether a value can be looked at: inside a transformed function it cannot, and checks of values pass it."""
    return not isinstance(value, jax.core.Tracer) and getattr(value, "is_fully_addressable", True)


def check_unit_range(image: Any, name: str = "image", *, slack: float = _SLACK) -> None:
    """Raises ValueError unless the values lie in [0, 1]; looks at concrete arrays only, so it costs nothing under jit.

    Args:
      image: floating point, of any shape.
      name: name of the argument.
      slack: how far outside a value may lie: rounding is no mistake.
    """
    if not is_concrete(image) or not np.size(image):
        return
    # One pass each; NaN makes both NaN.
    array = np if isinstance(image, np.ndarray) else jnp
    # A constant of a function that is being traced is known, but sums over it would be traced, too.
    with jax.ensure_compile_time_eval():
        low, high = float(array.min(image)), float(array.max(image))
    if low >= -slack and high <= 1.0 + slack:
        return
    if math.isnan(low) or math.isnan(high):
        count = int(np.isnan(np.asarray(image)).sum())
        raise ValueError(f"{name}: expected numbers in [0, 1], got NaN in {count} of {np.size(image)} values")
    if low >= 0 and 2 < high <= 255:
        mend = "divide by 255, or give uint8 to causal_iqa.images.from_uint8"
    else:
        mend = "clip or scale it"
    raise ValueError(f"{name}: expected numbers in [0, 1], got {low:g} to {high:g} ({mend})")


def check_image(image: Any, name: str = "image") -> None:
    """Raises unless `image` is floating point of shape [H, W, 3], with values in [0, 1] where they can be looked at."""
    shape, dtype = jnp.shape(image), jnp.result_type(image)
    if len(shape) != 3 or shape[-1] != 3:
        raise ValueError(f"{name}: expected one image of shape [H, W, 3], got shape {shape} (use jax.vmap for a batch)")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{name}: expected float32 in [0, 1], got {dtype} (causal_iqa.images.from_uint8 converts)")
    check_unit_range(image, name)


def check_same_shape(a: Any, b: Any, names: str) -> None:
    """Raises ValueError unless two arrays have one shape."""
    if jnp.shape(a) != jnp.shape(b):
        raise ValueError(f"{names}: expected equal shapes, got {jnp.shape(a)} and {jnp.shape(b)}")


@overload
def as_floats(values: jax.Array, name: str) -> jax.Array: ...


@overload
def as_floats(values: Any, name: str) -> Array: ...


def as_floats(values: Any, name: str) -> Array:
    """Real numbers whose differences neither wrap around nor round to a few digits.

    Integers, booleans and floats of fewer than 32 bits are converted; wider floats are returned unchanged. Integers in
    JAX arrays become its default float, those in NumPy arrays float64.

    Raises:
      TypeError: for complex numbers, text, objects and keys.
    """
    array = values if isinstance(values, jax.Array) else np.asarray(values)
    dtype = array.dtype
    if jnp.issubdtype(dtype, jnp.floating):
        return array if dtype.itemsize >= 4 else array.astype(jnp.float32)
    if jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_):
        return array.astype(jnp.result_type(float) if isinstance(array, jax.Array) else np.float64)
    raise TypeError(f"{name}: expected real numbers, got {dtype}")


@overload
def as_samples(x: jax.Array, name: str = "x") -> jax.Array: ...


@overload
def as_samples(x: Any, name: str = "x") -> Array: ...


def as_samples(x: Any, name: str = "x") -> Array:
    """`as_floats` of a sample set; ValueError unless it has the shape [n, d]."""
    x = as_floats(x, name)
    if x.ndim != 2:
        raise ValueError(f"{name}: expected samples of shape [n, d], got shape {x.shape}")
    return x


@overload
def as_gram(k: jax.Array, name: str = "K") -> jax.Array: ...


@overload
def as_gram(k: Any, name: str = "K") -> Array: ...


def as_gram(k: Any, name: str = "K") -> Array:
    """`as_floats` of a Gram matrix; ValueError unless it is square, [n, n]."""
    k = as_floats(k, name)
    if k.ndim != 2 or k.shape[0] != k.shape[1]:
        raise ValueError(f"{name}: expected a square Gram matrix [n, n], got shape {k.shape}")
    return k


@overload
def as_labels(labels: jax.Array, name: str = "labels") -> jax.Array: ...


@overload
def as_labels(labels: Any, name: str = "labels") -> Array: ...


def as_labels(labels: Any, name: str = "labels") -> Array:
    """Labels [n] as int32 or wider; ValueError for another rank, TypeError for what are no integers or booleans."""
    array = labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected labels of shape [n], got shape {array.shape}")
    if not (jnp.issubdtype(array.dtype, jnp.integer) or jnp.issubdtype(array.dtype, jnp.bool_)):
        raise TypeError(f"{name}: expected integer labels, got {array.dtype}")
    wide = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(array, np.ndarray) and array.size and array.dtype.itemsize == 8 and not wide:
        least, largest = array.min(), array.max()
        if least < -(2**31) or largest >= 2**31:
            raise ValueError(f"{name}: expected labels of at most 32 bits, got {least} to {largest}")
    return array if array.dtype.itemsize >= 4 else array.astype(jnp.int32)
