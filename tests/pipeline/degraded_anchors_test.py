"""Which conditions anchors are degraded by, and that nothing but an anchor's own id decides what becomes of it."""

import jax
import numpy as np
import pytest

from causal_iqa import backbones, data, degradations, pipeline
from causal_iqa._checks import InputError
from causal_iqa.pipeline import anchors, degraded_anchors
from causal_iqa.pipeline.degraded_anchors import DegradedAnchors


def _names(found):
    return {step.name for condition in found.conditions for step in condition.steps}


def test_conditions_are_none_of_the_study():
    camera, imagenet_c = (degradations.named_set(name) for name in ("camera", "imagenet_c"))
    assert _names(degraded_anchors.choose(9, imagenet_c, 32)) == set(camera)
    assert _names(degraded_anchors.choose(9, ("rain",), 32)) == set(imagenet_c)
    rest = set(degradations.named_set("all")) - {"rain", "fog"}
    assert _names(degraded_anchors.choose(9, ("rain", "fog"), 32)) == rest
    assert degraded_anchors.choose(9, (*camera, *imagenet_c[3:]), 32) == degraded_anchors.NONE
    assert degraded_anchors.choose(0, imagenet_c, 32) == degraded_anchors.NONE
    how = degraded_anchors.choose(9, imagenet_c, 48, quantise="round", stored=85).conditions[0]
    assert (how.family, how.quantise, how.stored) == (
        pipeline.StudyConfig(networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),)).interventions_at(48)[1].family,
        "round",
        85,
    )


def test_the_record_brings_them_back():
    found = degraded_anchors.choose(9, degradations.named_set("imagenet_c"), 48, stored=85)
    assert DegradedAnchors.from_record(found.record()) == found


def test_no_anchor_is_degraded_unless_asked_for():
    own = pipeline.NetworkChoice.parse("scene_features")
    assert pipeline.StudyConfig(networks=(own,)).degraded_anchors == 0
    with pytest.raises(InputError, match="degraded_anchors: expected at least 0"):
        pipeline.StudyConfig(networks=(own,), degraded_anchors=-1)


def test_what_becomes_of_an_anchor_does_not_depend_on_the_others():
    network = backbones.load_packaged("scene_features")
    source = data.open_source("scenes", split="train")
    read = anchors.read_anchors(source, np.arange(7), 48)
    view = pipeline.View(48, (), {"own": 48})
    names = ("iso_noise/2", "iso_noise/4")
    degraded = DegradedAnchors(7, tuple(map(degradations.Condition.parse, names)))
    seen, origins = degraded_anchors.features_of(degraded, read.pixels, read.ids, 0, [view], {"own": network})
    same, _ = degraded_anchors.features_of(degraded, read.pixels, read.ids, 0, [view], {"own": network}, batch=4)
    few, of_few = degraded_anchors.features_of(
        degraded._replace(num=3), read.pixels, read.ids, 0, [view], {"own": network}
    )
    assert origins.tolist() == [*range(7)] and of_few.tolist() == [0, 1, 2]
    for one, other, third in zip(*(jax.tree.leaves(x["48"]["own"]) for x in (seen, same, few)), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)
        np.testing.assert_allclose(third, one[:3], atol=1e-5)
    assert np.ptp(seen["48"]["own"].final, axis=0).max() > 0.1
