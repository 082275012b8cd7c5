"""What the names of a pickle stand for: tensors are views that fit, and all else is inert or refused."""

import numpy as np
import pytest

from causal_iqa.backbones.weights import pickle_names as names

_STORAGE = names.Storage("0", np.dtype("<f4"), 6)
_REBUILD = names.named("torch._utils", "_rebuild_tensor_v2")


def test_a_tensor_is_a_view_of_a_storage():
    kind = names.named("torch", "FloatStorage")
    storage = names.stored(("storage", kind, "0", "cpu", 6))
    assert storage == _STORAGE
    found = names.called(_REBUILD, (storage, 0, (2, 3), (3, 1), False, {}))
    assert found == names.Tensor(storage, 0, (2, 3), (3, 1))
    part = names.stored(("storage", kind, "0", "cpu", 6, ("v", 2, 3)))
    assert (part.start, part.size) == (2, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (None, 0, (2,), (1,)),
        (_STORAGE, -1, (2,), (1,)),
        (_STORAGE, 0, (2, -3), (3, 1)),
        (_STORAGE, 0, [2, 3], (3, 1)),
        (_STORAGE, 0, (2, 3), (1,)),
        (_STORAGE, 0, (True,), (1,)),
        (_STORAGE, 2**70, (2,), (1,)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(arguments):
    with pytest.raises(names.Refused):
        names.called(_REBUILD, arguments)


@pytest.mark.parametrize(
    "pid",
    [
        ("module", 0, 0, 0, 0),
        ("storage", "FloatStorage", "0", "cpu", 6),
        ("storage", names.named("torch", "FloatStorage"), 0, "cpu", 6),
        ("storage", names.named("torch", "FloatStorage"), "0", "cpu", -6),
        ("storage", names.named("torch", "FloatStorage"), "0", "cpu", 6, ("v", -1, 2)),
        "storage",
    ],
)
def test_storages_that_are_none_are_refused(pid):
    with pytest.raises(names.Refused):
        names.stored(pid)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load"), ("torchx", "Size")],
)
def test_other_names_are_refused(module, name):
    with pytest.raises(names.Refused, match=f"{module}.{name}"):
        names.named(module, name)


def test_settings_are_inert_and_keep_nothing():
    inert = names.called(names.named("omegaconf.dictconfig", "DictConfig"), ({"a": 1},))
    assert isinstance(inert, names.Inert)
    names.set_item(inert, "a", 1)
    names.extend(inert, [1])
    names.built(inert, {"a": 1})
    assert not hasattr(inert, "a")


def test_dictionaries_take_plain_keys_only():
    target = {}
    names.set_item(target, ("a", 1), 2)
    assert target == {("a", 1): 2}
    for key in ([1], (("a",),), object()):
        with pytest.raises(names.Damaged, match="an entry"):
            names.set_item(target, key, 1)
    with pytest.raises(names.Damaged, match="elements of dict"):
        names.extend({}, [1])
    names.set_item(target, names.named("torch", "FloatStorage"), 1)
    assert len(target) == 1, "callbacks under their classes are lost"


def test_modules_keep_their_attributes():
    module = names.made(names.named("__torch__.torchvision", "ResNet"))
    names.built(module, {"weight": 1})
    assert isinstance(module, names.Module) and module == {"weight": 1}
    with pytest.raises(names.Refused):
        names.built(module, [1])
    with pytest.raises(names.Damaged, match="a state of list"):
        names.built([], {})
    with pytest.raises(names.Refused):
        names.made(names.named("torch._utils", "_rebuild_tensor_v2"))
