"""What the names that a pickle may ask for stand for in `pickles`, none of them the real thing.

References:
  [1] PyTorch `torch/serialization.py`, `torch/_utils.py`: how tensors and storages are named.
"""

import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from causal_iqa.backbones.weights.budgets import short

_STORAGE_DTYPES = types.MappingProxyType(
    {
        "DoubleStorage": np.dtype("<f8"),
        "FloatStorage": np.dtype("<f4"),
        "HalfStorage": np.dtype("<f2"),
        "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
        "LongStorage": np.dtype("<i8"),
        "IntStorage": np.dtype("<i4"),
        "ShortStorage": np.dtype("<i2"),
        "CharStorage": np.dtype("i1"),
        "ByteStorage": np.dtype("u1"),
        "BoolStorage": np.dtype("?"),
        "ComplexFloatStorage": np.dtype("<c8"),
        "ComplexDoubleStorage": np.dtype("<c16"),
        # Its elements are bytes; the tensor states their type.
        "UntypedStorage": np.dtype("u1"),
    }
)
_TORCH_DTYPES = types.MappingProxyType(
    {
        "float64": np.dtype("<f8"),
        "float32": np.dtype("<f4"),
        "float16": np.dtype("<f2"),
        "bfloat16": np.dtype(ml_dtypes.bfloat16),
        "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
        "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
        "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
        "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
        **{f"int{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
        **{f"uint{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
        "bool": np.dtype("?"),
        "complex64": np.dtype("<c8"),
        "complex128": np.dtype("<c16"),
    }
)


class Refused(Exception):
    """The pickle asks for something that is not given."""


class Damaged(Exception):
    """The bytes are no pickle that PyTorch could have written."""


class Storage(NamedTuple):
    """A run of `size` elements from `start` in the bytes that the file holds under `key`."""

    key: str
    dtype: np.dtype
    size: int
    start: int = 0


class Tensor(NamedTuple):
    """A view into a storage whose bytes may not have been read yet; `dtype` is its own where the storage has none."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype | None = None


class Module(dict):
    """Attributes of a module of a TorchScript archive."""


class Inert:
    """Stands for an object that is nothing to a network, such as the settings of a training run."""

    __slots__ = ()


class _Type(NamedTuple):
    """A dtype, of a storage class or on its own."""

    dtype: np.dtype


class _Function(NamedTuple):
    """What the evaluator does where the pickle calls this name."""

    call: Callable[..., Any]


class _Class(NamedTuple):
    """What the evaluator makes where the pickle makes an object of this name."""

    make: Callable[[], Any]


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(v) is int and 0 <= v < 2**62 for v in values)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage) or not _are_counts((offset,)) or not _are_counts(shape):
        raise Refused("a tensor without a storage, an offset and a shape")
    if not _are_counts(strides) or len(strides) != len(shape):
        raise Refused(f"a tensor of shape {short(shape)} with strides {short(strides)}")
    return Tensor(storage, offset, shape, strides)


def _typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, *_) -> Tensor:
    if not isinstance(dtype, _Type):
        raise Refused(f"a tensor of the type {short(dtype)}")
    return _tensor(storage, offset, shape, strides)._replace(dtype=dtype.dtype)


def _first(value: Any = None, *_: Any) -> Any:
    return value


def _tensor_with_attributes(function: Any, _: Any = None, arguments: Any = (), *__: Any) -> Any:
    """PyTorch's form for tensors that carry attributes or are of a subclass."""
    if not isinstance(function, _Function) or not isinstance(arguments, tuple):
        raise Refused(f"a tensor rebuilt by {short(function)}")
    return function.call(*arguments)


def _mapping(pairs: Any = (), *_: Any) -> dict:
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple) or any(not isinstance(p, list | tuple) or len(p) != 2 for p in pairs):
        raise Refused(f"a dictionary of {short(pairs)}")
    found: dict = {}
    for key, value in pairs:
        set_item(found, key, value)
    return found


def _nothing(*_: Any) -> Inert:
    return Inert()


_SCRIPT_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
# Settings, paths, times and numbers of NumPy, which training scripts keep beside the weights.
_INERT = (
    *(("argparse", "Namespace"), ("types", "SimpleNamespace"), ("_codecs", "encode"), ("torch", "device")),
    *(("pathlib", f"{kind}Path") for kind in ("Posix", "PurePosix", "Windows", "PureWindows")),
    *(("pathlib._local", f"{kind}Path") for kind in ("Posix", "PurePosix", "Windows", "PureWindows")),
    *(("datetime", kind) for kind in ("datetime", "date", "time", "timedelta", "timezone")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(("numpy", "dtype"), ("numpy", "ndarray"), ("yacs.config", "CfgNode"), ("easydict", "EasyDict")),
    *(("addict.addict", "Dict"), ("torch", "Generator"), ("torch.torch_version", "TorchVersion")),
)
# Configuration objects of these packages are inert too, whatever their class.
_INERT_PACKAGES = (
    *("omegaconf", "ml_collections", "pytorch_lightning", "lightning", "lightning_fabric", "hydra", "mmengine", "mmcv"),
)
_TABLE: Mapping[tuple[str, str], Any] = types.MappingProxyType(
    {
        ("collections", "OrderedDict"): _Function(_mapping),
        ("collections", "defaultdict"): _Function(lambda *_: {}),
        ("collections", "Counter"): _Function(_mapping),
        ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
        ("torch._utils", "_rebuild_tensor_v3"): _Function(_typed_tensor),
        ("torch._utils", "_rebuild_parameter"): _Function(_first),
        ("torch._utils", "_rebuild_parameter_with_state"): _Function(_first),
        ("torch._tensor", "_rebuild_from_type_v2"): _Function(_tensor_with_attributes),
        ("torch", "Tensor"): _Function(_nothing),
        ("torch.nn.parameter", "Parameter"): _Function(_first),
        ("torch", "Size"): _Function(_first),
        ("torch.storage", "UntypedStorage"): _Type(_STORAGE_DTYPES["UntypedStorage"]),
        **{(kind, name): _Function(_first) for kind in ("builtins", "_builtin__") for name in ("set", "frozenset")},
        **{("torch.jit._pickle", name): _Function(_first) for name in _SCRIPT_LISTS},
        **{("torch", name): _Type(dtype) for name, dtype in (_TORCH_DTYPES | _STORAGE_DTYPES).items()},
        **{name: _Class(Inert) for name in _INERT},
    }
)


def named(module: Any, name: Any) -> Any:
    """Returns what stands for a name; raises Refused for one that is not in the table."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise Damaged("a name that is no text")
    if module.split(".")[0] == "__torch__":
        return _Class(Module)
    if (module, name) in _TABLE:
        return _TABLE[module, name]
    if module.split(".")[0] in _INERT_PACKAGES:
        return _Class(Inert)
    raise Refused(f"{module}.{name}"[:200])


def stored(pid: Any) -> Storage:
    """What a persistent id of PyTorch names: ("storage", class, key, device, size[, view])."""
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise Refused(f"the persistent object {short(pid)}")
    kind, key, size = pid[1], pid[2], pid[4]
    if not isinstance(kind, _Type) or not isinstance(key, str) or not _are_counts((size,)):
        raise Refused(f"the storage {short(pid)}")
    # Files of PyTorch 0.x name a part of a storage as (key, offset, size); its own size is then the part's.
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return Storage(key, kind.dtype, size)
    if not isinstance(view, tuple) or len(view) != 3 or not _are_counts(view[1:]):
        raise Refused(f"the storage view {short(view)}")
    return Storage(key, kind.dtype, view[2], view[1])


_PLAIN = (str, int, float, bool, bytes, type(None))


def set_item(target: Any, key: Any, value: Any) -> None:
    """Sets an entry of a dictionary; inert things take and lose it."""
    if isinstance(target, Inert):
        return
    if isinstance(key, _Class | _Function | _Type | Inert):
        return  # Old callbacks are stored under their classes.
    plain = isinstance(key, _PLAIN) or (type(key) is tuple and all(isinstance(part, _PLAIN) for part in key))
    if type(target) not in (dict, Module) or not plain:
        raise Damaged(f"an entry {short(key)} of {type(target).__name__}")
    target[key] = value


def extend(target: Any, values: list) -> None:
    """Appends to a list; inert things take and lose it."""
    if isinstance(target, list):
        target.extend(values)
    elif not isinstance(target, Inert):
        raise Damaged(f"elements of {type(target).__name__}")


def called(function: Any, arguments: Any) -> Any:
    """Returns the result of a call."""
    if not isinstance(arguments, tuple):
        raise Damaged("a call without arguments")
    if isinstance(function, _Class) and function.make is Inert:
        return Inert()
    if not isinstance(function, _Function):
        raise Refused(f"a call of {short(function)}" if not isinstance(function, _Class) else "a call of a class")
    try:
        return function.call(*arguments)
    except TypeError as error:  # Too few arguments.
        raise Damaged(str(error)) from None


def made(kind: Any) -> Any:
    """Returns a fresh object of a class."""
    if isinstance(kind, _Class):
        return kind.make()
    if isinstance(kind, _Function) and kind.call is _mapping:
        return {}
    raise Refused(f"an object of {short(kind)}")


def built(target: Any, state: Any) -> None:
    """Executes BUILD: it keeps attributes of a module and ignores those of ordered dictionaries and settings."""
    if isinstance(target, Module):
        if type(state) not in (dict, Module):
            raise Refused(f"a module with the state {short(state)}")
        for key, value in state.items():
            set_item(target, key, value)
    elif type(target) is not dict and not isinstance(target, Inert):
        raise Damaged(f"a state of {type(target).__name__}")
