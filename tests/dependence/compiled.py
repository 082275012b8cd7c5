"""`dependence` with every call as one compiled program, its results on the host.

Run operation by operation, tests compile hundreds of programs, and spend most of their time on that.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from causal_iqa import dependence as _eager


def compiled(function: Callable) -> Callable:
    """The function compiled for its arrays; what else it is given is fixed in the program, and must be hashable.

    Outside of other programs it returns NumPy arrays, with which tests reckon on without compiling anything.
    """
    programs = {}

    def call(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = jax.tree.flatten((args, kwargs))
        arrays = [isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves]
        fixed = tuple(None if array else (type(leaf), leaf) for leaf, array in zip(leaves, arrays, strict=True))

        def run(*values: jax.Array) -> Any:
            given = iter(values)
            merged = [next(given) if array else leaf for leaf, array in zip(leaves, arrays, strict=True)]
            args, kwargs = jax.tree.unflatten(structure, merged)
            return function(*args, **kwargs)

        values = [leaf for leaf, array in zip(leaves, arrays, strict=True) if array]
        result = programs.setdefault((structure, fixed), jax.jit(run))(*values)
        traced = any(isinstance(value, jax.core.Tracer) for value in [*values, *jax.tree.leaves(result)])
        return result if traced else jax.device_get(result)

    return call


class _Compiled:
    """Functions compiled, all else as it is."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(_eager, name)
        if callable(value) and not isinstance(value, type):
            value = compiled(value)
            setattr(self, name, value)
        return value


dependence = _Compiled()
