"""Names of columns of runs that recorded no fields. Only this module parses such names."""

import re
from typing import Any

_METRIC = re.compile(r"(?P<formula>[^@]+)@(?P<backbones>.+?)(?:\[m=(?P<anchors>\d+)\])?")
_OUTPUT = re.compile(r"(?P<owner>.+?)(?P<view>@\d+px(?:_[a-z0-9]+)?)?/(?P<field>[^/]+)")


def column(name: str, metric: str, backbone: str | None) -> dict[str, Any]:
    """Fields of a score column.

    Args:
      name: name of the column.
      metric: its name in the report.
      backbone: whose features it reads, as the run recorded it; None for a conventional metric.

    Returns:
      "formula", "backbones", "anchors" and "view", as `Column` has them.

    Raises:
      KeyError: when the name is not one that a run gave.
    """
    view = name.removeprefix(metric)
    if backbone is None:
        return {"formula": metric, "view": view}
    found = _METRIC.fullmatch(metric)
    if found is None:
        raise KeyError(f"the fields of column {name!r}")
    anchors = None if found["anchors"] is None else int(found["anchors"])
    return {"formula": found["formula"], "backbones": tuple(backbone.split("+")), "anchors": anchors, "view": view}


def output(name: str) -> dict[str, str] | None:
    """Fields of a column that is no score, "owner", "field" and "view"; None where the name is another's."""
    found = _OUTPUT.fullmatch(name)
    return found and {"owner": found["owner"], "field": found["field"], "view": found["view"] or ""}
