"""Aligns image quality with the performance of vision networks, causally.

Data flows one way: data -> degradations -> (metrics, backbones -> dependence -> quality) -> alignment; `causal`
says what to expect, `pipeline` compiles the flow and `report` shows it. A room is imported when it is first used, as
`causal_iqa.metrics` or by `from causal_iqa import metrics`, so importing the package costs nothing. `align` and `audit`
are the two commands as calls.
"""

import importlib
import pkgutil
from typing import Any

from causal_iqa._errors import InputError

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
