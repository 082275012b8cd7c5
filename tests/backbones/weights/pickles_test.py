"""Pickles evaluated without Python's unpickler: plain values come out, and nothing is called."""

import collections
import io
import pickle

import pytest

from causal_iqa import InputError
from causal_iqa.backbones.weights import budgets, pickle_names, pickles


def _load(content, **options):
    return pickles.load(io.BytesIO(content), "net.pth", **options)


_PLAIN = {"a": [1, 2.5, None, True], "b": ("x", b"y", ()), 3: {"deep": [[]]}, "long": 2**70, ("t", 1): -1}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_in_every_protocol(protocol):
    given = {name: value for name, value in _PLAIN.items() if protocol > 2 or name != "b"}
    assert _load(pickle.dumps(given, protocol)) == given
    shared = [1]
    first, second = _load(pickle.dumps([shared, shared], protocol))
    assert first is second


def test_sets_become_lists_and_ordered_dictionaries_plain_ones():
    assert sorted(_load(pickle.dumps({1, 2}, 4))) == [1, 2]
    assert _load(pickle.dumps(collections.OrderedDict(a=1), 2)) == {"a": 1}


class _Evil:
    def __reduce__(self):
        return eval, ("1/0",)


def test_functions_are_refused_by_name():
    with pytest.raises(InputError, match=r"net\.pth: refused, the pickle asks for __builtin__\.eval"):
        _load(pickle.dumps(_Evil(), 2))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02K\x01",
        b"\x80\x02.",
        b"\x80\x020.",
        b"\x80\x02(K\x01d.",
        b"\x80\x02h\x05.",
        b"no pickle",
    ],
)
def test_damage_is_one_line(content):
    with pytest.raises(InputError, match=r"^net\.pth: (truncated or damaged PyTorch file|refused)[^\n]*$"):
        _load(content)


def test_steps_are_bounded():
    content = pickle.dumps(list(range(100)), 2)
    with pytest.raises(InputError, match="the budget is 50"):
        _load(content, budget=budgets.Budget(objects=50))


def test_settings_of_a_run_are_inert():
    content = pickle.dumps({"w": 1}, 2)[:-1] + b"cargparse\nNamespace\n)\x81."
    assert isinstance(_load(content), pickle_names.Inert)
