"""How findings show themselves in a notebook: the room that writes pages says it, and is loaded when it is asked."""

import importlib

# Makes a record into HTML: module of the package, and its function.
_WRITER = ("causal_iqa.report.notebook", "as_html")


def html(found: object) -> str:
    """Returns findings as HTML, for `_repr_html_`.

    Args:
      found: findings that `report.notebook` knows.
    """
    module, function = _WRITER
    return getattr(importlib.import_module(module), function)(found)
