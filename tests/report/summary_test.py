"""summary.json: every metric and network, notes on what is missing, and warnings of other signs."""

import dataclasses
import json

import numpy as np
import pytest

from causal_iqa import _codec, alignment
from causal_iqa.analysis import Findings, findings, parts, rows
from causal_iqa.estimates import Estimate
from causal_iqa.report import summary
from tests.analysis import worlds


@pytest.fixture(scope="module")
def found():
    own = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)
    return findings._aligned(worlds.CONFIG, own, parts.Parts())[1]


def _table():
    table = worlds.table(features=False)
    lost = np.array(table.columns["noise"])
    lost[1, :2] = np.nan
    metadata = {**table.metadata, "columns": {"noise": {"undefined": "flat"}, "free@eye": {}}}
    return table._replace(columns={**table.columns, "noise": lost}, metadata=metadata, skipped=(("x.png", "bad"),))


def test_it_holds_every_metric_and_network_and_is_json(found):
    made = summary.summary(worlds.CONFIG, _table(), found)
    assert set(made.metrics) == set(found.alignments) and set(made.networks) == {"a", "b"}
    assert made.conditions[0] == "clean/0" or made.conditions[0] == "clean"
    assert made.undefined["noise"].rows == 2 and "free@eye" not in made.undefined
    assert made.skipped[0].reason == "bad" and made.num_images == worlds.NUM_IMAGES
    json.dumps(_codec.encode(made), allow_nan=False)


def test_failures_are_in_it(found):
    failed = dataclasses.replace(found, failures=(parts.Failure("gains", "ArithmeticError: x", "trace"),))
    assert summary.summary(worlds.CONFIG, _table(), failed).failed[0].reason == "ArithmeticError: x"


def _one(between, within, low=None):
    def interval(value):
        return Estimate(value, value - 0.05 if low is None else low, value + 0.05)

    return {"all": alignment.Alignment(interval(between), interval(within), interval(within))}


def test_other_signs_are_warned_of(found):
    own = dataclasses.replace(found, alignments={"odd": _one(-0.8, 0.8), "fine": _one(0.8, 0.7)})
    assert set(summary.warnings(own)) == {"odd"}


def test_a_missing_interval_has_its_reason(found):
    own = dataclasses.replace(found, alignments={f"m{i}": _one(0.8, 0.7, np.nan) for i in range(8)})
    said = summary.notes(own)
    assert any(line.startswith("between has no interval: 40 images under 4 conditions are too few") for line in said)
    assert any("and 2 more" in line for line in said)
    assert isinstance(own, Findings)
