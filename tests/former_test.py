"""Names of the release before work for one release, with a warning that says the new one."""

import importlib
import inspect
import sys

import pytest

from causal_iqa import _former, alignment, backbones, causal, estimates
from causal_iqa.backbones.zoo import vit


@pytest.mark.parametrize(
    ("room", "name", "now"),
    [
        (alignment, "Interval", estimates.Estimate),
        (causal, "Effect", estimates.Estimate),
        (backbones, "vit", vit),
    ],
)
def test_former_names_work_with_a_warning(room, name, now):
    said = r"causal_iqa\.\w+\.\w+ is causal_iqa\.[\w.]+ now; the former name goes with the next release"
    with pytest.warns(DeprecationWarning, match=said) as caught:
        assert getattr(room, name) is now
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match=f"no attribute '{name}x'"):
        getattr(room, f"{name}x")


@pytest.mark.parametrize("name", ["rho", "effect"])
def test_former_fields_of_an_estimate_work_with_a_warning(name):
    with pytest.warns(DeprecationWarning, match=rf"Estimate\.{name} is value now") as caught:
        assert getattr(estimates.Estimate(0.5, 0.4, 0.6), name) == 0.5
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"level: expected a number in \(0, 1\), got 95"):
        estimates.check_level(95)


@pytest.mark.parametrize("former", _former.MODULES)
def test_former_modules_are_the_present_ones_with_a_warning(former, monkeypatch):
    now = importlib.import_module(_former.MODULES[former])
    room, _, name = former.rpartition(".")
    function = getattr(importlib.import_module(room), name)
    monkeypatch.setattr(importlib.import_module(room), name, function)  # Restored at the end.
    monkeypatch.delitem(sys.modules, former, raising=False)
    said = rf"{former} is {now.__name__} now; the former name goes with the next release"
    with pytest.warns(DeprecationWarning, match=said) as caught:
        exec(f"import {former}\nfrom {former} import {name} as found", given := {})
    assert caught[0].filename == "<string>" and len(caught) == 1
    assert given["found"] is function is getattr(now, name)
    put = getattr(importlib.import_module(room), name)
    assert inspect.signature(put) == inspect.signature(function), "what stands in the room can still be called"
    with pytest.raises(TypeError, match="argument"):
        put()
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        sys.modules[former].nothing_of_the_kind  # noqa: B018
    sys.modules.pop(former)
