"""summary.json and config.json as the record reads them, of older runs too."""

import copy

import pytest

from causal_iqa import InputError
from causal_iqa.report import recorded

_NUMBER = {"rho": 0.5, "low": 0.4, "high": 0.6}
_SUMMARY = {
    "num_images": 3,
    "conditions": ["fog/1"],
    "networks": {"a": {"clean_accuracy": 0.75}},
    "metrics": {"free": {"family": "label_free", "alignment": {"all": {"between": _NUMBER}}}},
    "predicted_accuracy": {"free": {"all": {"mean_absolute": 0.1, "low": 0.0, "high": 0.2, "reads": []}}},
}
_CONFIG = {"dataset": "scenes", "backbones": [{"name": "b"}], "anchors": "images", "num_anchors": 9, "seed": 0}
_CONFIG |= {"num_resamples": 100}


def test_numbers_come_with_and_without_an_interval_for_others():
    found = recorded.Recorded.of(_SUMMARY, _CONFIG)
    metric = found.summary.metrics["free"]
    here, there = metric.number("between")
    assert (here.value, here.low) == (0.5, 0.4) and there.value != there.value, "none for others"
    assert metric.number("between", "a")[0].value != metric.number("between", "a")[0].value
    assert metric.gain("best_conventional", "between") is None
    assert found.summary.measure.is_accuracy and found.summary.networks["a"].clean_performance == 0.75
    assert found.settings.backbones[0].name == "b" and found.audit is None and found.files == {}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("num_images",), None, "summary.*num_images"),
        (("metrics", "free", "family"), None, "free.*family"),
        (("metrics", "free", "alignment", "all", "between", "rho"), "much", "between"),
        (("networks", "a", "clean_accuracy"), None, "a"),
    ],
)
def test_what_is_missing_or_wrong_is_named_by_its_place(place, value, message):
    summary = copy.deepcopy(_SUMMARY)
    inner = summary
    for name in place[:-1]:
        inner = inner[name]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    with pytest.raises(InputError, match=message):
        recorded.Recorded.of(summary, _CONFIG)


def test_a_config_without_a_field_is_refused():
    with pytest.raises(InputError, match=r"config.*dataset"):
        recorded.Recorded.of(_SUMMARY, {name: value for name, value in _CONFIG.items() if name != "dataset"})
