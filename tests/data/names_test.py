"""File names as text: reversible, storable, and unchanged where nothing is wrong with them."""

import json
import os

import numpy as np
import pytest

from causal_iqa.data import names


@pytest.mark.parametrize("name", ["cat/a.jpg", "Ärger/été 雪.png", "a'b\"c,d;[e]|=+@<f>&.png", ""])
def test_ordinary_names_are_their_own_text(name):
    assert names.text_of(name) == name
    assert names.name_of(name) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        (os.fsdecode(b"\x80\xff"), "\\x80\\xff"),
        ("back\\slash", "back\\\\slash"),
        ("caf\\xe9.jpg", "caf\\\\xe9.jpg"),
        ("two\nlines\t\x7f", "two\\x0alines\\x09\\x7f"),
        ("a\u0085b\u2028c\ud800", "a\\u0085b\\u2028c\\ud800"),
    ],
)
def test_unfit_names_are_escaped(name, text):
    assert names.text_of(name) == text
    assert names.name_of(text) == name


def test_every_byte_string_survives_and_can_be_stored():
    rng = np.random.default_rng(0)
    seen = set()
    for length in range(1, 40):
        for _ in range(20):
            name = os.fsdecode(bytes(rng.integers(1, 256, length, dtype=np.uint8)))
            text = names.text_of(name)
            assert names.name_of(text) == name
            assert text.encode("utf-8").decode("utf-8") == text
            assert len(text.splitlines()) <= 1
            assert json.loads(json.dumps(text, ensure_ascii=False)) == text
            seen.add((name, text))
    assert len({name for name, _ in seen}) == len({text for _, text in seen}) > 500
