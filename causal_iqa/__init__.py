"""Aligns image quality with the performance of vision networks, causally.

Data flows one way: data -> degradations -> (metrics, backbones -> dependence -> quality) -> alignment; `causal`
says what to expect, `pipeline` compiles the flow and `report` shows it. A room is imported when it is first used, as
`causal_iqa.metrics` or by `from causal_iqa import metrics`, so importing the package costs nothing. `align` and `audit`
are the two commands as calls.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from causal_iqa import _former
from causal_iqa._errors import InputError

if TYPE_CHECKING:  # What `__getattr__` finds; `as` says to a type checker that users may have it from here.
    from causal_iqa import alignment as alignment
    from causal_iqa import analysis as analysis
    from causal_iqa import backbones as backbones
    from causal_iqa import beam as beam
    from causal_iqa import causal as causal
    from causal_iqa import cli as cli
    from causal_iqa import colour as colour
    from causal_iqa import copies as copies
    from causal_iqa import data as data
    from causal_iqa import degradations as degradations
    from causal_iqa import dependence as dependence
    from causal_iqa import diagnosis as diagnosis
    from causal_iqa import estimates as estimates
    from causal_iqa import estimators as estimators
    from causal_iqa import images as images
    from causal_iqa import metrics as metrics
    from causal_iqa import pipeline as pipeline
    from causal_iqa import quality as quality
    from causal_iqa import report as report
    from causal_iqa import tasks as tasks
    from causal_iqa import training as training
    from causal_iqa._score import score
    from causal_iqa.analysis.calls import align, audit

__version__ = "0.2.0"
__all__ = ["InputError", "__version__", "align", "audit", "score"]

# Calls of the package itself -> the module that holds them.
_CALLS = {"align": "analysis.calls", "audit": "analysis.calls", "score": "_score"}


def _rooms() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]


def __getattr__(name: str) -> Any:
    if name in _CALLS:
        return getattr(importlib.import_module(f"{__name__}.{_CALLS[name]}"), name)
    if name.startswith("_") or name not in _rooms():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its rooms are {', '.join(_rooms())}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_rooms()])


_former.find_modules()
