"""summary.json from records and back; what is of the study's own measure is called by it."""

import json

import pytest

from causal_iqa import InputError, alignment, pipeline
from causal_iqa.estimates import Estimate
from causal_iqa.report import summary_records as records

_NUMBER = Estimate(0.5, 0.25, 0.75)
_DIFFERENCE = alignment.Difference(_NUMBER, 0.01)


def _summary(measure):
    metric = records.Metric(
        "label_free",
        ("anchor_labels",),
        {"all": {"between": _NUMBER}},
        {},
        {"all": alignment.Reliability(0.5, 0.75, "")},
        None,
        {},
        (records.Warned(("between", "within"), True, "they disagree"),),
        gains={"best": {"within": records.Gain(_DIFFERENCE, "psnr", records.Bounds(0.0, 1.0, 0.5))}},
        against_best_conventional=records.Against("psnr", within=records.Compared(_DIFFERENCE, 0.125, 0.25)),
    )
    return records.Summary(
        {"net": records.Network(0.75, 8, 0.5, {"clean/0": 0.75, "fog/5": 0.25}, 1, ("odd",))},
        {"free@net": metric},
        measure,
        {"free@net": {"net": records.Predicted(alignment.Errors(_NUMBER, 0.0, 1.0, 1.0, 1), (), {"fog/5": _NUMBER})}},
        8,
        ("clean/0", "fog/5"),
        (records.Skipped("a", "unreadable"),),
        {"psnr": records.UndefinedRows("infinite", 2)},
        ("a note",),
        (records.Failed("effects", "ValueError: no"),),
    )


@pytest.mark.parametrize(
    ("measure", "key"),
    [
        (pipeline.ACCURACY, "accuracy"),
        (pipeline.Measure("minus error", False, 1.0, (-float("inf"), 0.0)), "performance"),
    ],
)
def test_fields_are_called_by_what_performance_is(measure, key):
    written = json.loads(json.dumps(_summary(measure).to_json(), allow_nan=False))
    assert written["networks"]["net"] == {
        f"clean_{key}": 0.75,
        "num_clean": 8,
        f"mean_{key}": 0.5,
        key: {"clean/0": 0.75, "fog/5": 0.25},
        "undefined_rows": 1,
        "warnings": ["odd"],
    }
    assert written[f"predicted_{key}"]["free@net"]["net"]["conditions"] == {
        "fog/5": {"predicted": 0.5, "low": 0.25, "high": 0.75}
    }
    assert written["schema"] == records.SCHEMA and len(written) == 11
    assert records.Summary.from_json(written) == _summary(measure)


def test_only_what_there_is_is_written():
    metric = _summary(pipeline.ACCURACY).to_json()["metrics"]["free@net"]
    assert metric["desiderata"] == {} and not {"measures", "null"} & set(metric)
    assert metric["gains"]["best"]["within"] == {
        **{"difference": 0.5, "low": 0.25, "high": 0.75, "p_value": 0.01, "best": "psnr"},
        "like_these": {"low": 0.0, "high": 1.0, "p_value": 0.5},
    }
    assert set(metric["against_best_conventional"]) == {"baseline", "within"}
    assert set(metric["against_best_conventional"]["within"]) == {
        *("difference", "low", "high", "p_value", "p_normal", "p_holm")
    }


def test_other_files_are_refused_by_their_place():
    whole = _summary(pipeline.ACCURACY).to_json()
    with pytest.raises(InputError, match="summary: written by another version"):
        records.Summary.from_json({**whole, "schema": 2})
    with pytest.raises(InputError, match=r"summary\.networks\.net: missing fields .*'num_clean'"):
        records.Summary.from_json({**whole, "networks": {"net": {"clean_accuracy": 1.0}}})
