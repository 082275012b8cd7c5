"""Which degradations have a program for many sizes; tests/copies/programs_test.py shows that it changes no pixel."""

import pytest

from causal_iqa import degradations
from causal_iqa.degradations import _canvas, shared_sizes


def test_every_name_is_a_degradation_in_one_place():
    strip, canvas = set(shared_sizes.ON_STRIP), set(shared_sizes.ON_CANVAS)
    assert strip | canvas <= set(degradations.TABLE) and not strip & canvas
    assert set(shared_sizes.PREPARED) <= canvas and canvas >= shared_sizes.SAME_OCTAVE


@pytest.mark.parametrize(
    ("name", "options", "layout"),
    [
        ("brightness", {}, "strip"),
        ("fog", {}, "canvas"),
        ("contrast", {}, "own"),
        ("frost", {}, "canvas"),
        ("frost", {"textures": "folder"}, "own"),
        ("elastic_transform", {"definition": "hendrycks"}, "canvas"),
        ("elastic_transform", {"definition": "other"}, "own"),
    ],
)
def test_options_may_ask_for_a_program_of_their_own(name, options, layout, monkeypatch):
    monkeypatch.setattr(_canvas, "draws_are_counted", lambda: True)
    assert shared_sizes.layout_of(name, options) == layout
    monkeypatch.setattr(_canvas, "draws_are_counted", lambda: False)
    assert shared_sizes.layout_of(name, options) == "own"
