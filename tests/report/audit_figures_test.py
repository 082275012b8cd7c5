"""Figures of an audit."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from causal_iqa import causal
from causal_iqa.analysis.audit import Audit, NotDone
from causal_iqa.report import audit_figures

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def _golden():
    return json.loads((_GOLDEN / "audit.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def audited():
    return Audit.from_json(_golden())


def test_figures_need_no_run(audited):
    drawn = audit_figures.render(dataclasses.replace(audited, dose_alignment={}), {"accuracy": _curve()})
    assert set(drawn) == {"audit_dose_response", "audit_effects", "audit_mediation", "audit_observational"}
    without = dataclasses.replace(audited, dose_alignment={}, observational=NotDone("x"))
    assert "audit_observational" not in audit_figures.render(without, {"accuracy": _curve()})


def _curve():
    return causal.dose_response(np.array([[0.9], [0.5]]), ["fog", "fog"], [1, 5])
