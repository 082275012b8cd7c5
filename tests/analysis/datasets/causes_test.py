"""The difference between two scored sets by likely cause and group, where the truth is known."""

import numpy as np
import pyarrow as pa
import pytest

from causal_iqa.analysis.datasets import causes

N = 400


def _table(named, groups) -> pa.Table:
    return pa.table({"cause": pa.array(named, pa.string()), "group": pa.array(groups, pa.string())})


def test_parts_are_those_of_the_construction():
    day = ["day"] * N
    clean = _table(["none"] * N, day)
    mixed = _table(["none"] * 200 + ["fog"] * 120 + ["motion_blur"] * 80, day)
    expected = np.repeat([0.9, 0.5, 0.8], [200, 120, 80])
    found = causes.attribute([clean, mixed], [np.full(N, 0.9), expected], level=0.95, seed=0)
    parts = dict(zip(found.names, found.values, strict=True))
    assert parts["fog"] == pytest.approx(-0.12, abs=2e-3) and parts["motion_blur"] == pytest.approx(-0.02, abs=1e-3)
    assert found.values.sum() == pytest.approx(found.difference, abs=1e-9)
    # Images without an expectation or a cause are left out on both sides.
    expected[0], causeless = np.nan, pa.table({"cause": pa.nulls(N, pa.string()), "group": day})
    assert causes.attribute([clean, mixed], [np.full(N, 0.9), expected], level=0.95, seed=0) is not None
    assert causes.attribute([causeless, mixed], [np.full(N, 0.9), expected], level=0.95, seed=0) is None


def test_shared_groups_are_a_part():
    tables = [_table(["none"] * N, np.repeat(["day", "night"], counts).tolist()) for counts in ((300, 100), (100, 300))]
    expected = [np.repeat([0.9, 0.5], counts) for counts in ((300, 100), (100, 300))]
    found = causes.attribute(tables, expected, level=0.95, seed=0)
    assert dict(zip(found.names, found.values, strict=True))["composition of groups"] == pytest.approx(-0.2, abs=5e-3)
    apart = [tables[0], _table(["none"] * N, ["dusk"] * N)]
    found = causes.attribute(apart, expected, level=0.95, seed=0)
    assert dict(zip(found.names, found.values, strict=True))["composition of groups"] == pytest.approx(0.0, abs=1e-9)
