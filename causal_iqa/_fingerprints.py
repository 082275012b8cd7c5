"""Digests of functions with everything they close over: equal digests, equal traces."""

import dataclasses
import enum
import functools
import hashlib
import importlib.metadata
import math
import pathlib
import platform
import sys
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

# Whose code the versions in `of_code` stand for.
_LIBRARIES = ("jax", "jaxlib", "flax", "numpy", "scipy", "dm_pix", "optax", "ml_dtypes")
_ROOT = __name__.partition(".")[0]
_KNOWN = frozenset(
    (_ROOT, *_LIBRARIES, "builtins", "collections", "dataclasses", "enum", "functools", "math", "operator", "types")
)
# Settings of JAX that change how long something takes, or what is written about it, and never a program.
_INDIFFERENT = ("cache", "log", "traceback", "transfer_guard", "explain", "profiler", "dump", "distributed")


class UnknownValueError(Exception):
    """A value has no digest that is certain to change with it."""


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """The library's files with their sizes and times of change."""
    root = pathlib.Path(__file__).parent
    files = (file for file in sorted(root.rglob("*")) if file.suffix != ".pyc" and file.is_file())
    return tuple((str(file), (about := file.stat()).st_size, about.st_mtime_ns) for file in files)


# Of the code that this process runs.
_AT_IMPORT = _stamp()


def is_code_unchanged() -> bool:
    """Whether the library's files are those that this process imports; what runs is unknown otherwise."""
    return bool(_AT_IMPORT) and _stamp() == _AT_IMPORT


@functools.cache
def of_code() -> str:
    """Returns a digest of this library's files and of the versions of the libraries that trace and compile.

    Raises:
      UnknownValueError: when the files have changed since they were imported, or there are none.
    """
    root = pathlib.Path(__file__).parent
    whole = hashlib.blake2b(digest_size=16)
    for name, _, _ in _AT_IMPORT:
        content = pathlib.Path(name).read_bytes()
        whole.update(b"%s %d:" % (pathlib.Path(name).relative_to(root).as_posix().encode(), len(content)) + content)
    if not is_code_unchanged():
        raise UnknownValueError("the library's files changed since they were imported")
    versions = [sys.version, platform.machine()]
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(name)
    whole.update("\n".join(versions).encode())
    return whole.hexdigest()


def of_settings() -> tuple[tuple[str, str], ...]:
    """Returns the settings of JAX that a trace or a compilation may read, as text by name."""
    names = sorted(name for name in jax.config.values if not any(part in name for part in _INDIFFERENT))
    return tuple((name, repr(getattr(jax.config, name, jax.config.values[name]))) for name in names)


def of(*values: Any) -> str:
    """Returns a digest of values, functions among them.

    Args:
      *values: constants, arrays, containers, dataclasses, functions with what they close over, and objects of this
        library. Of a function that can be imported from this library or one that it traces with, the name counts:
        `of_code` stands for its code. Parts of the trees may be `jax.ShapeDtypeStruct`.

    Returns:
      Hexadecimal digits.

    Raises:
      UnknownValueError: for a value of another kind, a function of the user's among them, whose code may change
        without a sign.

    Examples:
      >>> def scaled(factor):
      ...     return lambda x: factor * x
      >>> try:
      ...     of(scaled(2.0))
      ... except UnknownValueError as error:
      ...     print("no digest")  # it is a function of another module
      no digest
      >>> of(functools.partial(jax.numpy.clip, max=1.0)) == of(functools.partial(jax.numpy.clip, max=2.0))
      False
    """
    whole = hashlib.blake2b(digest_size=16)
    _Walk(whole).add(values)
    return whole.hexdigest()


class _Walk:
    """Feeds values to a digest; a value that was met before counts by the place where it stood."""

    def __init__(self, whole: Any):
        self._whole = whole
        self._places: dict[int, int] = {}
        self._met: list[Any] = []  # Keeps them alive, so that no two have one identity.

    def add(self, value: Any) -> None:
        if value is None or value is Ellipsis or isinstance(value, bool | int | complex | str | bytes):
            self._say(type(value).__name__, repr(value))
            if type(value).__module__ != "builtins":  # A subclass, an enumeration among them.
                self._name(type(value))
            return
        if isinstance(value, float):
            self._say("float", "nan" if math.isnan(value) else value.hex())
            return
        if isinstance(value, types.ModuleType):
            self._say("module", self._known(value.__name__, value))
            return
        if id(value) in self._places:
            self._say("again", str(self._places[id(value)]))
            return
        self._places[id(value)] = len(self._places)
        self._met.append(value)
        if not self._add_data(value) and not self._add_function(value):
            self._add_object(value)

    def _add_data(self, value: Any) -> bool:
        if isinstance(value, jax.core.Tracer):
            raise UnknownValueError("a value that is being traced")
        if isinstance(value, jax.ShapeDtypeStruct):
            self._say("shape", f"{value.shape} {value.dtype} {value.weak_type}")
        elif isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            self._say("key", str(value.dtype))
            self.add(np.asarray(jax.random.key_data(value)))
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            array = np.asarray(value)
            if array.dtype.hasobject:
                raise UnknownValueError("an array of objects")
            self._say("array", f"{type(value).__name__} {array.shape} {array.dtype.str} {array.dtype.name}")
            self._whole.update(np.ascontiguousarray(array).tobytes())
        elif isinstance(value, np.dtype):
            self._say("dtype", f"{value.str} {value.name}")
        elif isinstance(value, slice):
            self._say("slice", "")
            self.add((value.start, value.stop, value.step))
        elif isinstance(value, enum.Enum):
            self._name(type(value))
            self._say("member", value.name)
        elif isinstance(value, tuple | list):
            self._name(type(value))
            self._say("items", str(len(value)))
            for item in value:
                self.add(item)
        elif isinstance(value, set | frozenset):
            self._name(type(value))
            self.add(sorted(of(item) for item in value))
        elif isinstance(value, Mapping):
            self._name(type(value))
            self._say("entries", str(len(value)))
            for key, item in value.items():
                self.add(key)
                self.add(item)
        else:
            return False
        return True

    def _add_function(self, value: Any) -> bool:
        if isinstance(value, type):
            self._name(value)
        elif isinstance(value, functools.partial):
            self._say("partial", "")
            self.add((value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            self._say("method", value.__func__.__qualname__)
            self.add((value.__func__, value.__self__))
        elif isinstance(value, property | staticmethod | classmethod):
            raise UnknownValueError(f"a {type(value).__name__}")
        elif _importable(value):
            self._say("function", f"{self._known(value.__module__, value)} {value.__qualname__}")
        elif isinstance(value, types.FunctionType):
            self._say("closure", f"{self._known(value.__module__, value)} {value.__qualname__}")
            self._code(value.__code__)
            self.add((value.__defaults__, value.__kwdefaults__))
            for cell in value.__closure__ or ():
                try:
                    content = cell.cell_contents
                except ValueError as error:
                    raise UnknownValueError(f"a variable of {value.__qualname__} that is not yet set") from error
                self.add(content)
        elif hasattr(value, "__wrapped__") and type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
            raise UnknownValueError(f"{type(value).__qualname__} of a local function")
        else:
            return False
        return True

    def _add_object(self, value: Any) -> None:
        self._name(type(value))
        if dataclasses.is_dataclass(value):
            if type(value).__module__.partition(".")[0] == "flax":
                raise UnknownValueError(f"{type(value).__qualname__} of Flax")
            # A Flax module that belongs to another, or is bound to parameters, is more than its fields.
            if getattr(value, "scope", None) is not None:
                raise UnknownValueError(f"a bound {type(value).__qualname__}")
            names = [field.name for field in dataclasses.fields(value) if field.name not in ("parent", "scope")]
            self.add({name: getattr(value, name) for name in names})
            return
        if type(value).__module__.partition(".")[0] != _ROOT or not hasattr(value, "__dict__"):
            raise UnknownValueError(f"{type(value).__module__}.{type(value).__qualname__}")
        self.add(vars(value))

    def _code(self, code: types.CodeType) -> None:
        self._say("code", f"{code.co_name} {code.co_firstlineno} {code.co_names} {code.co_freevars}")
        self._whole.update(code.co_code)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self.add(constant)

    def _name(self, cls: type) -> None:
        self._say("class", f"{self._known(cls.__module__, cls)} {cls.__qualname__}")

    def _known(self, module: str | None, value: Any) -> str:
        if module is None or module.partition(".")[0] not in _KNOWN:
            raise UnknownValueError(f"{getattr(value, '__qualname__', value)} of {module}")
        return module

    def _say(self, kind: str, text: str) -> None:
        content = text.encode("utf-8", "surrogatepass")
        self._whole.update(b"%s %d:" % (kind.encode(), len(content)) + content)


def _importable(value: Any) -> bool:
    """Whether a module of a library that is known has exactly this value under its own name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value
