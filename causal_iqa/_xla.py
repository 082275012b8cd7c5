"""A boundary that the compiler does not fuse over, for every room."""

from typing import TypeVar

import jax
from jax.experimental import xla_metadata

T = TypeVar("T")


def settle(x: T) -> T:
    """Has a value computed once and kept, instead of again wherever it is read.

    XLA fuses what it can into the loop that reads it: on a CPU a filter's first pass would be computed at every tap of
    the second, and a border or a coordinate at every shift. `jax.lax.optimization_barrier` does not prevent this on a
    CPU, because XLA removes it before fusion. A call that may not be inlined prevents it, and costs nothing itself.

    Args:
      x: any tree of arrays.

    Returns:
      The same values; derivatives and batching pass through.
    """
    return jax.lax.platform_dependent(x, cpu=_call, default=jax.lax.optimization_barrier)


def _call(x: T) -> T:
    with xla_metadata.set_xla_metadata(inlineable="false"):
        return _identity(x)


@jax.jit
def _identity(x: T) -> T:
    return x
