"""Tables of what there is: every row of every table, cut to a terminal and nowhere else."""

import json
import os
import sys

import pytest

from causal_iqa import backbones, degradations, estimators, metrics
from causal_iqa.cli import listing

_TABLES = {
    "metrics": metrics.TABLE,
    "degradations": degradations.TABLE,
    "networks": backbones.TABLE,
    "estimators": estimators.TABLE,
}


@pytest.mark.parametrize("kind", listing.KINDS)
def test_every_row_of_the_table_is_listed(kind):
    lines = listing.text(kind).splitlines()
    assert set(lines[1]) == {"-"} and len(lines[0].split()) >= len(listing.KINDS[kind].head)
    names = {line.split()[0] for line in lines[2:]}
    assert set(_TABLES[kind]) <= names
    assert set(_TABLES[kind]) <= set(json.loads(listing.text(kind, "json")))


def test_lines_are_cut_to_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(listing.shutil, "get_terminal_size", lambda: os.terminal_size((60, 20)))
    lines = listing.text("degradations").splitlines()
    assert max(map(len, lines)) == 60 and any(line.endswith("...") for line in lines)


def test_metrics_of_files_are_all_described():
    assert set(listing._FROM_FILES) == set(metrics.usage())
