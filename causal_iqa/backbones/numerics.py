"""How many digits the products of a network are computed with: layers ask here while they are traced.

One network can so be run in several ways, and the choice is the study's, never a layer's.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa._arrays import Params

PRECISIONS = ("highest", "default", "bfloat16")
HIGHEST, DEFAULT, BFLOAT16 = PRECISIONS
_CHOSEN: contextvars.ContextVar[str] = contextvars.ContextVar("precision of networks", default=HIGHEST)


@contextlib.contextmanager
def using(precision: str) -> Iterator[None]:
    """Has layers that are traced meanwhile compute in a precision, one of PRECISIONS.

    `highest`: float32 products in full on every backend. `default`: float32 numbers, whose products may have fewer
    digits where the backend is faster then (TF32 on NVIDIA's, bfloat16 on
    Google's). `bfloat16`: weights and activations of 8 significant bits; sums are float32 where the backend has them.
    """
    _checks.check_choice(precision, PRECISIONS, "precision")
    token = _CHOSEN.set(precision)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def of_products() -> str:
    """Returns the `precision` argument of a layer's products."""
    return HIGHEST if _CHOSEN.get() == HIGHEST else DEFAULT


def of_activations() -> jnp.dtype:
    """Returns the type that a normalised image is given to the first layer in."""
    return jnp.dtype(jnp.bfloat16 if _CHOSEN.get() == BFLOAT16 else jnp.float32)


def rounded(params: Params, precision: str) -> Any:
    """Returns nested parameters as a precision keeps them."""
    return _cast(params, jnp.float32, jnp.bfloat16) if precision == BFLOAT16 else params


def widened(outputs: Any) -> Any:
    """Returns nested outputs with what is bfloat16 as float32."""
    return _cast(outputs, jnp.bfloat16, jnp.float32)


def _cast(tree: Any, old: Any, new: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(new) if getattr(x, "dtype", None) == old else x, tree)
