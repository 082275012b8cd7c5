"""audit.json: the same audit comes back, older ones are read, and damage is named by its place."""

import copy
import json
import pathlib

import pytest

from causal_iqa import InputError, causal
from causal_iqa.analysis.audit import Audit

_GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "audit.json"


@pytest.fixture
def values():
    return json.loads(_GOLDEN.read_text("utf-8"))


def test_an_audit_comes_back(values):
    audit = Audit.from_json(values)
    again = json.loads(json.dumps(audit.to_json(), allow_nan=False))
    assert Audit.from_json(again).to_json() == audit.to_json()
    verdicts = audit.verdicts()
    assert set(verdicts) == set(audit.desiderata)
    assert all(isinstance(one, causal.Desiderata) for one in verdicts.values())


def test_audits_without_a_measure_are_of_accuracy(values):
    older = copy.deepcopy(values)
    del older["measure"]
    for one in older["transfer"]:
        one.pop("measure", None)
    found = Audit.from_json(older)
    assert found.measure.is_accuracy and all(one.measure.is_accuracy for one in found.transfer)


def test_what_is_no_audit_is_named_by_its_place(values):
    with pytest.raises(InputError, match="schema"):
        Audit.from_json({**values, "schema": 2})
    with pytest.raises(InputError, match="audit"):
        Audit.from_json({name: one for name, one in values.items() if name != "level"})
    wrong = copy.deepcopy(values)
    wrong["graph_tests"]["tests"][0]["verdict"] = "perhaps"
    with pytest.raises(InputError, match=r"graph_tests.*verdict"):
        Audit.from_json(wrong)
