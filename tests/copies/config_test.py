"""What is asked for: checked, and what follows from it."""

import dataclasses
import json

import pytest

from causal_iqa import InputError, copies


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parameters": None}, "parameters: brightness was published with parameters for several sizes"),
        ({"parameters": "imagenet"}, "did you mean imagenet_c"),
        ({"severities": (0.0,)}, "severity 0; --clean writes"),
        ({"severities": (1.0, 1.0)}, "given twice"),
        ({"quality": 50}, "no quality for png"),
        ({"format": "jpeg", "quality": 0}, "from 1 to 100"),
        ({"degradations": ("fgo",)}, "did you mean fog"),
    ],
)
def test_bad_configs_are_one_line(config, fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": -1}, "seed: expected 0 to"),
        ({"max_pixels": 0}, "max_pixels: expected at least 1"),
        ({"degradations": (), "clean": False}, "expected at least one degradation"),
        ({"format": "gif"}, "format"),
        ({"side_files": "copy"}, "side_files"),
        ({"severities": (5.5,)}, "severity"),
    ],
)
def test_more_bad_configs(config, fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **fields)


@pytest.mark.parametrize(
    ("format", "quality", "image_format", "stored"),
    [
        ("png", None, "png", None),
        ("jpeg", None, "jpeg", 95),
        ("jpeg", 1, "jpeg", 1),
        ("webp", None, "webp", None),
        ("array_record", None, "png", None),
        ("array_record", 80, "jpeg", 80),
    ],
)
def test_how_copies_are_stored(config, format, quality, image_format, stored):
    config = dataclasses.replace(config, format=format, quality=quality)
    assert (config.image_format, config.stored_quality) == (image_format, stored)


def test_conditions_take_the_settings_of_the_tree_and_keep_their_own():
    config = copies.CopyConfig(
        "images",
        degradations=("contrast",),
        severities=(1.0, 2.5),
        extra_conditions=("fog/3|family=tiny64;stored=50",),
        parameters="cifar_c",
        stored=80,
        clean=True,
    )
    assert list(map(str, config.conditions)) == [
        "clean/0",
        "contrast/1|family=cifar32;stored=80",
        "contrast/2.5|family=cifar32;stored=80",
        "fog/3|family=tiny64;stored=50",
    ]
    assert json.loads(json.dumps(config.to_json())) == config.to_json()
    assert config.to_json()["severities"] == [1.0, 2.5]
