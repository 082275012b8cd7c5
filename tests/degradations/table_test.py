"""The table holds the rows of every file of mechanisms."""

import importlib
import pathlib

from causal_iqa import degradations
from causal_iqa.degradations import table


def test_every_file_with_rows_is_in_the_table():
    found = []
    for path in sorted(pathlib.Path(table.__file__).parent.glob("_*.py")):
        if not path.stem.startswith("__"):
            found += getattr(importlib.import_module(f"causal_iqa.degradations.{path.stem}"), "SPECS", ())
    assert {row.name for row in found} == set(degradations.TABLE)
    # A file may gather the rows of others.
    assert {id(row) for row in degradations.TABLE.values()} <= {id(row) for row in found}


def test_nineteen_were_published_and_fifteen_make_the_benchmark():
    rows = degradations.TABLE.values()
    assert sum(row.published for row in rows) == 19
    assert sum(row.published and not row.for_validation for row in rows) == 15
