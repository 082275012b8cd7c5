"""Findings in a notebook: `report` writes them, and what it does not know is refused."""

import pytest

from causal_iqa.analysis import display, findings, parts, rows
from tests.analysis import worlds


def test_findings_are_html():
    own = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)
    found = findings._aligned(worlds.CONFIG, own, parts.Parts())[1]
    html = found._repr_html_()
    assert html == display.html(found) and "<table" in html and "free@eye" in html


def test_other_things_are_refused():
    with pytest.raises((TypeError, AttributeError, KeyError)):
        display.html(object())
