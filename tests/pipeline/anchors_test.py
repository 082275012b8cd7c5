"""Anchor images: which are chosen, and how they are read."""

import types
from typing import Any

import numpy as np
import pytest

from causal_iqa import InputError, data
from causal_iqa.pipeline import anchors


def _config(kind) -> Any:
    return types.SimpleNamespace(anchors=kind)


@pytest.mark.parametrize(
    ("kind", "judged", "there", "heads", "found"),
    [
        ("auto", [0, 1], [0, 1, 2], True, "images"),
        ("auto", [0, 3], [0, 1], True, "head"),
        ("auto", [0, 3], [0, 1], False, "images"),
        ("text", [0], [0], True, "text"),
    ],
)
def test_heads_stand_in_where_a_judged_class_has_no_image(kind, judged, there, heads, found):
    assert anchors.anchor_kind(_config(kind), np.array(judged), np.array(there), heads) == found


def _source(n):
    return data.open_arrays(np.zeros((n, 16, 16, 3), np.uint8), labels=np.arange(n) % 2, class_names=("a", "b"))


def test_judged_images_are_no_anchors_and_one_image_is_none():
    source = _source(6)
    chosen = anchors.choose_others(source, source, [0, 1], 10, seed=0)
    assert sorted(chosen.tolist()) == [2, 3, 4, 5]
    assert anchors.choose_others(source, source, range(5), 10, seed=0).size == 0
    assert anchors.choose_others(source, source, [], 2, seed=0).size == 2


def test_pixels_labels_and_ids_go_together():
    source = _source(4)
    read = anchors.read_anchors(source, np.array([3, 0]), 16)
    assert read.pixels.shape == (2, 16, 16, 3) and read.labels.tolist() == [1, 0]
    assert read.ids == (source.id(3), source.id(0))
    with pytest.raises(InputError, match="is left as an anchor"):
        anchors.read_anchors(source, np.zeros(0, int), 16)
