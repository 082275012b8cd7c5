"""Names of the release before, which keep working for one release with a warning that says the new one."""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Former name of a module -> its present one. Each had the name of a function of its room.
MODULES: Mapping[str, str] = types.MappingProxyType(
    {
        "causal_iqa.alignment.bootstrap": "causal_iqa.alignment.resampling",
        "causal_iqa.alignment.gains": "causal_iqa.alignment.yardsticks",
        "causal_iqa.alignment.measures": "causal_iqa.alignment.further_measures",
        "causal_iqa.backbones.trainable": "causal_iqa.backbones.trainable_networks",
        "causal_iqa.causal.implications": "causal_iqa.causal.testable_implications",
        "causal_iqa.data.batches": "causal_iqa.data.batching",
    }
)


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


class _Module(types.ModuleType):
    """A module under its former name. Called, it is the function of the same name, whose place in the room it takes."""

    def __init__(self, name: str, now: str):
        super().__init__(name)
        room, _, last = name.rpartition(".")
        self.__dict__["_now"] = now
        self.__dict__["__wrapped__"] = getattr(importlib.import_module(room), last)

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._now), name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of `MODULES`, of which there are no files any more."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in MODULES else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name, MODULES[spec.name])

    def exec_module(self, module: types.ModuleType) -> None:
        said = f"{module.__name__} is {MODULES[module.__name__]} now; the former name goes with the next release"
        warnings.warn(said, DeprecationWarning, stacklevel=2)


def find_modules() -> None:
    """Lets Python find modules by their former names, after all others."""
    if not any(
        type(finder).__name__ == _Finder.__name__ and type(finder).__module__ == __name__ for finder in sys.meta_path
    ):
        sys.meta_path.append(_Finder())
