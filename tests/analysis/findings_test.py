"""Findings of a finished table: every part, its progress, and JSON that gives the same again."""

import dataclasses
import json

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.analysis import findings, rows
from tests.analysis import worlds


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def found(told):
    return findings.analyse(
        worlds.CONFIG, worlds.COLUMNS, worlds.table(), progress=lambda part, done, total: told.append(part)
    )


def test_every_part_is_done_and_told(found, told):
    assert found.failures == ()
    assert set(told) == set(findings.PARTS)
    assert [part for part in dict.fromkeys(told) if part in findings.PARTS][:2] == list(findings.PARTS[:2])
    assert {"noise", "free@eye", "confidence", "hsic_labels@eye"} <= set(found.alignments)
    assert set(found.gains) == {"free@eye", "hsic_share_clean@eye", "hsic_share_labels@eye"}
    assert "other_performance" in found.predicted["noise"]["a"].reads
    assert "2 networks, 4 conditions" in repr(found) and "missing" not in repr(found)


def test_two_degradations_say_nothing_of_others(found):
    for metric in ("noise", "free@eye"):
        here, there = (by[metric]["all"].pooled for by in (found.alignments, found.like_these.alignments))
        assert here.value == there.value and here.low < here.value < here.high
        assert np.isnan(there.low) and np.isnan(there.high)


def test_json_gives_the_same(found):
    values = json.loads(json.dumps(found.to_json()))
    again = findings.Findings.from_json(values)
    assert again.to_json() == found.to_json()
    np.testing.assert_array_equal(again.scores["noise"]["all"], found.scores["noise"]["all"])
    with pytest.raises(InputError, match="schema"):
        findings.Findings.from_json({**values, "schema": 99})
    with pytest.raises(InputError, match="families"):
        findings.Findings.from_json({name: one for name, one in values.items() if name != "families"})


def test_findings_of_images_are_the_same_numbers(found):
    own = rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(), whole=False)
    some = findings.analyse_images(worlds.CONFIG, own)
    for metric in ("noise", "free@eye", "confidence"):
        assert some.alignments[metric]["all"] == found.alignments[metric]["all"]._replace(
            corrected=some.alignments[metric]["all"].corrected, reliability=some.alignments[metric]["all"].reliability
        )
        np.testing.assert_array_equal(some.effects[metric].value, found.effects[metric].value)
    assert some.gains == {} and some.failures == ()


def test_a_part_that_fails_is_missing_and_named(monkeypatch):
    def fails(*arguments, **options):
        raise ArithmeticError("no permutation")

    monkeypatch.setattr(findings.alignment, "permutation_null", fails)
    monkeypatch.setattr(findings.alignment, "measure_intervals", lambda *a, **o: {})
    config = dataclasses.replace(worlds.CONFIG, num_resamples=5)
    found = findings.analyse(config, worlds.COLUMNS[:1], worlds.table(features=False))
    assert found.nulls == {} and found.alignments
    assert {one.reason for one in found.failures} == {"ArithmeticError: no permutation"}
    assert "parts missing" in repr(found)
