"""The page of scored sets: its sections, and what is left out where there is nothing to say."""

# pyright: reportAttributeAccessIssue=false

import types
from typing import Any

import numpy as np
import pytest

from causal_iqa.analysis import attribution, datasets
from causal_iqa.report import datasets as page
from causal_iqa.report import html
from tests.analysis.datasets.scored import scored_sets


def test_the_parts_of_a_difference_stand_on_the_page():
    clean = attribution.SetOfImages(np.full(40, 0.9), np.eye(2)[np.zeros(40, int)])
    foggy = attribution.SetOfImages(np.repeat([0.9, 0.5], 20), np.eye(2)[np.repeat([0, 1], 20)])
    parts = attribution.attribute(clean, foggy, ("none", "heavy_fog"), resamples=20)
    one = types.SimpleNamespace(second="field", parts=parts)
    words, table = page._attributions(_comparing(one))
    assert "sum to the whole difference" in str(words)
    assert [row[:2] for row in table.rows] == [["field", "heavy fog"]]
    assert table.rows[0][2].value == pytest.approx(-0.2, abs=1e-3)
    assert page._attributions(_comparing(types.SimpleNamespace(second="field", parts=None))) == []


def _comparing(one) -> Any:
    return types.SimpleNamespace(comparisons=[one])


def _page(sets, *, picture=None, skipped=(), **options):
    found = datasets.analyse(scored_sets(sets, **options), datasets.Request()).findings
    return page.page(found, title="A <title>", picture=picture, skipped=skipped, settings={"seed": 1})


def test_sections_are_those_that_have_something_to_say():
    rng = np.random.default_rng(0)
    alone = _page({"train": rng.normal(size=60)}, features=False)
    assert "Against" not in alone and "Unreadable images" not in alone and "<title>A &lt;title&gt;" in alone
    both = _page({"train": rng.normal(size=60), "field": rng.normal(size=60)}, skipped=[("train", "x<y>.png", "bad")])
    assert "Against train" in both and "Unreadable images" in both and "x&lt;y&gt;.png" in both
    assert "Groups of train" in both and "Likely causes" not in both
    judged = _page({"train": rng.normal(size=60)}, correct=True)
    assert "Accuracy per network" in judged and "leaving out the worst" in judged


def test_pictures_are_asked_for_by_row():
    asked = []

    def picture(row, caption):
        asked.append(row)
        return html.Picture(None, f"picture {row}", 1, 1)

    text = _page({"train": np.arange(60.0)}, picture=picture)
    assert "Worst, typical and best images" in text and set(asked) <= set(range(60))
    assert asked[0] == 0 and "picture 0" in text
