"""How images are scored without labels or references: configs that make no sense are one line."""

import json

import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.pipeline import scoring

_NET = pipeline.NetworkChoice("net", "scene_cnn_a")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metrics": ("psnr",)}, "psnr compares with a pristine image, and there is none here"),
        ({"metrics": ("entropy", "entropy")}, "metrics"),
        ({"metrics": ("entrpy",)}, "did you mean entropy"),
        ({"image_size": 8}, "image_size: expected at least 16, got 8"),
        ({"num_anchors": 1}, "num_anchors: expected at least 2, got 1"),
        ({"crop_fraction": 0.0}, "crop_fraction: expected a number between 0 and 1"),
        ({"anchors": "text"}, "anchors"),
        ({"precision": "half"}, "precision"),
        ({"backbones": (_NET,), "anchors": "images"}, "give --anchor_dataset"),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(InputError, match=message):
        scoring.ScoringConfig(**fields)


def test_one_text_is_no_tuple_of_sources():
    with pytest.raises(TypeError, match="images: expected a tuple of sources, got the text 'photos'"):
        scoring.ScoringConfig(images="photos")  # pyright: ignore[reportArgumentType]


def test_a_config_is_json():
    config = scoring.ScoringConfig(images=("a",), networks=(_NET,))
    told = json.loads(json.dumps(config.to_json()))
    assert told["images"] == ["a"] and told["networks"][0]["name"] == "net"


def test_the_kind_of_anchors_is_found_or_asked_for():
    assert scoring._kind(scoring.ScoringConfig(anchors="head")) == "head"
    assert scoring._kind(scoring.ScoringConfig(anchor_dataset="scenes", backbones=(_NET,))) == "images"
    with pytest.raises(InputError, match="backbone net needs clean labelled images"):
        scoring._kind(scoring.ScoringConfig(backbones=(_NET,)))


def test_nothing_to_score_with_is_refused():
    with pytest.raises(InputError, match="expected at least one metric or backbone"):
        pipeline.prepare_scoring(scoring.ScoringConfig(images=("a",), metrics=()))
