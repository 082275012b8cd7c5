"""A square root with a derivative everywhere, for every room."""

import jax
import jax.numpy as jnp


def safe_sqrt(x: jax.Array) -> jax.Array:
    """Square root with value and gradient 0 where x is not positive."""
    # No second `where` with a 1 inside: compiled code may compute x twice, once fused and rounded differently, so that
    # the two disagree whether a difference of equal numbers is zero, and the root of 1 gets out.
    return jnp.where(x > 0, jnp.sqrt(jnp.maximum(x, jnp.finfo(x.dtype).tiny)), 0.0)
