"""Names of the release before, which keep working for one release with a warning that says the new one."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def getter(module: str, moved: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module some of whose names have moved.

    Args:
      module: its `__name__`.
      moved: former name -> present name of a module or an attribute of one, e.g. "causal_iqa.estimates.Estimate".
    """

    def attribute(name: str) -> Any:
        if name not in moved:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        now = moved[name]
        said = f"{module}.{name} is {now} now; the former name goes with the next release"
        warnings.warn(said, DeprecationWarning, stacklevel=2)
        parent, _, last = now.rpartition(".")
        try:
            return importlib.import_module(now)
        except ModuleNotFoundError:
            return getattr(importlib.import_module(parent), last)

    return attribute
