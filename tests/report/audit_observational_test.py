"""Estimates from confounded data and maps from other runs, in words."""

import math

from causal_iqa import pipeline
from causal_iqa.analysis.audit import NotDone, ObservationalStudy
from causal_iqa.report import audit_observational


def test_what_was_not_done_is_said_with_its_reason():
    lines = audit_observational.study(NotDone("too <few>"), pipeline.ACCURACY)
    assert lines[0].startswith("## Effects from observational data") and "Not done: too" in lines[2]
    assert "<few>" not in "\n".join(lines)


def test_every_method_stands_beside_the_truth(golden):
    found = golden.observational
    assert isinstance(found, ObservationalStudy)
    text = "\n".join(audit_observational.effects(found, golden.measure))
    for method in found.performance.methods:
        assert f"| {method} |" in text
    assert "| truth |" in text and all(f"severity {arm}" in text for arm in found.arms[1:])
    drawn = found._replace(drawn=True, num_images=7, adjustment_set=None)
    text = "\n".join(audit_observational.effects(drawn, golden.measure))
    assert "Each of 7 images, drawn at random," in text and "to adjust for: no set" in text


def test_a_benchmark_without_bound_is_said(golden):
    found = golden.observational
    assert isinstance(found, ObservationalStudy) and not isinstance(found.sensitivity, NotDone)
    wild = found.sensitivity._replace(strongest="label", benchmark_bias=math.nan, e_value=None)
    text = "\n".join(audit_observational.doubts(found._replace(sensitivity=wild), golden.measure))
    assert "biases it without bound" in text and "E-value" not in text
    alone = found._replace(sensitivity=wild._replace(strongest=None))
    assert "no observed covariate" in "\n".join(audit_observational.doubts(alone, golden.measure))
    none = found._replace(sensitivity=NotDone("few"))
    assert "No sensitivity bound: few." in "\n".join(audit_observational.doubts(none, golden.measure))


def test_transfers_are_sorted_by_their_error(golden):
    assert audit_observational.transfers(()) == []
    (one, *_) = golden.transfer
    rows = audit_observational._transfer_rows(one)
    assert len(rows) >= len(one.scores) and all(len(cells) == 9 for _, cells in rows)
    lines = audit_observational.transfers(golden.transfer)
    assert lines[0].startswith("## ") and "predicted by maps learned on another run" in lines[0]
