"""Conditions: their written form, what composing does, and that applying them is what the degradations do in turn."""

import dataclasses
import json

import numpy as np
import pytest

from causal_iqa import InputError, degradations
from causal_iqa.degradations import TABLE, Condition, Step
from causal_iqa.degradations import spec as spec_module

WRITTEN = (
    "fog/3",
    "clean/0",
    "defocus_blur/2.5+gaussian_noise/1",
    "gaussian_noise/0.1+gaussian_noise/5",
    "fog/3|quantise=truncate",
    "jpeg_compression/4.7|family=cifar32;quantise=round;stored=85",
    "clean/0|stored=10",
)


@pytest.fixture
def options(monkeypatch):
    """Gives fog options of every kind for the time of a test."""
    kinds = {"mode": ("soft", "hard"), "depth": "metres", "name": "any text"}
    rows = dict(TABLE) | {"fog": dataclasses.replace(TABLE["fog"], options=kinds)}
    monkeypatch.setattr("causal_iqa.degradations.condition.TABLE", rows)


@pytest.mark.parametrize("text", WRITTEN)
def test_written_form_and_json_are_inverses(text):
    condition = Condition.parse(text)
    assert str(condition) == condition.name == text
    assert Condition.parse(str(condition)) == condition
    assert Condition.from_json(json.loads(json.dumps(condition.to_json()))) == condition
    assert hash(Condition.parse(text)) == hash(condition)


def test_every_severity_survives_being_written():
    rng = np.random.default_rng(0)
    for severity in (*rng.uniform(0, 5, 200), 1e-9, 1 / 3, np.float32(2.1)):
        condition = Condition("contrast", severity)
        assert Condition.parse(str(condition)).severities == (float(severity),)


@pytest.mark.parametrize(
    "value",
    ["hard", "", " x", "3", "true", "a;b", "a]b[", 'say "x"', "a|b", "a,b+c/d=e", 3, 2.5, -1e-7, 4.0, True, "ß"],
)
def test_options_survive_being_written(options, value):
    step = Step("fog", 2, {"name": value, "mode": "hard"}.items())
    condition = Condition([step, Step("contrast", 1)], stored=90)
    again = Condition.parse(str(condition))
    assert again == condition and type(dict(again.steps[0].options)["name"]) in (type(value), int)
    assert step.label.startswith("fog[mode=hard;name=") and str(step).endswith("]/2")
    assert degradations.parse_label(step.label) == dataclasses.replace(step, severity=1)


def test_the_order_of_options_does_not_matter(options):
    assert Condition("fog", 1, options={"mode": "hard", "depth": 3}) == Condition.parse("fog[depth=3;mode=hard]/1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fogg/3", ["unknown degradation 'fogg'", "did you mean fog"]),
        ("fog", ["NAME/SEVERITY", "'fog'"]),
        ("fog/6", ["severity", "0 (clean) to 5", "6"]),
        ("fog/-1", ["severity"]),
        ("fog/nan", ["severity"]),
        ("fog/3/4", ["NAME/SEVERITY"]),
        ("fog/3+", ["'fog/3+'", "NAME/SEVERITY"]),
        ("", ["NAME/SEVERITY"]),
        ("clean/1", ["clean"]),
        ("contrast[a=1]/3", ["contrast", "no options", "'a'"]),
        ("fog[mood=soft]/3", ["fog", "mood", "did you mean mode"]),
        ("fog[mode=loud]/3", ["fog[mode]", "soft, hard", "loud"]),
        ("fog[mode]/3", ["KEYWORD=VALUE", "'mode'"]),
        ("fog[mode=soft;mode=hard]/3", ["mode given twice"]),
        ("fog/3|stored=0", ["stored", "1 to 100"]),
        ("fog/3|stored=8.5", ["stored", "8.5"]),
        ("fog/3|stored=true", ["stored", "True"]),
        ("fog/3|quantise=floor", ["quantise", "none, round, truncate", "floor"]),
        ("fog/3|family=imagenet", ["family", "imagenet224"]),
        ("fog/3|store=85", ["store", "did you mean stored"]),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(options, text, words):
    with pytest.raises(InputError) as error:
        Condition.parse(text)
    assert all(word in str(error.value) for word in words), error.value


def test_arguments_are_checked():
    with pytest.raises(InputError, match="severity"):
        Condition("fog")
    with pytest.raises(InputError, match="together with the name"):
        Condition([Step("fog", 1)], 3.0)
    with pytest.raises(InputError, match="did you mean steps"):
        Condition.from_json({"stepps": []})
    with pytest.raises(dataclasses.FrozenInstanceError):
        Condition("fog", 1).family = "cifar32"


def test_a_condition_says_what_it_is():
    fog, both = Condition("fog", 3), Condition.parse("contrast/1+fog/2.5")
    assert (fog.degradation, fog.severity, fog.group) == ("fog", 3.0, TABLE["fog"].group)
    assert (both.degradation, both.severity, both.group) == ("contrast+fog", 2.5, "composed")
    kept = Condition.parse("contrast/1+fog/2.5|stored=85")
    assert kept.degradation == "contrast+fog|stored=85"
    clean = Condition("clean", 0.0)
    assert clean == Condition() == Condition.parse("clean") and clean.name == "clean/0" and clean.severity == 0.0
    assert both.structure == Condition.parse("contrast/4+fog/1").structure != Condition.parse("fog/1+contrast/4")


def test_every_group_has_a_stage():
    row = TABLE["fog"]
    stages = {dataclasses.replace(row, group=group, stage=None).stage for group in spec_module.GROUPS}
    assert stages <= set(degradations.STAGES) and len(stages) > 5
    with pytest.raises(ValueError, match=r"stage of fog: expected one of .*, got 'sky'"):
        dataclasses.replace(row, stage="sky")
