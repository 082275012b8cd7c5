"""Compiled programs kept with what they are compiled for, so that a further command neither traces nor compiles.

JAX's own cache of compilations is asked with the traced program, and tracing takes longer than reading. Here the
question is a digest of the function, of everything that it closes over, and of the shapes that it is given
(`_fingerprints`). A function without a certain digest is traced. Only commands keep programs, in the folder of JAX's
cache: in a process of the user's, a function that was exchanged for another would not show in any digest.
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import platform
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import serialize_executable

from causal_iqa import _files, _fingerprints
from causal_iqa._arrays import Device

# The folder's keeper removes what ends so, when it is damaged or long unused.
_START, _END = "causal_iqa-", "-cache"
# Functions outside XLA by the first part of their names. Of others, host callbacks among them, the address that a
# program holds means nothing to another process.
_LAPACK = "lapack_"
_CALLS_THAT_STAY = (_LAPACK, "Sharding", "SPMD", "sdy", "xla.sdy", "mhlo.", "stablehlo.", "chlo.")
# What JAX reports after it has compiled a program and put it into its own cache; nothing with a host callback.
_COMPILED = "/jax/compilation_cache/cache_misses"
_OF_THREAD = threading.local()
_CALL = re.compile(r"custom_call @\"?([\w.]+)")


class _Entry(NamedTuple):
    """A program as it is stored.

    Attributes:
      outputs: the tree of its results, (shape, dtype) for every array.
      calls: names of the functions outside XLA that it calls.
      executable: compiled for the flat arguments, as `serialize_executable` writes it.
    """

    outputs: Any
    calls: frozenset[str]
    executable: bytes


class Program:
    """A compiled function of trees of arrays.

    Attributes:
      outputs: the tree of its results, `jax.ShapeDtypeStruct` for every array.
    """

    def __init__(self, outputs: Any, compiled: "concurrent.futures.Future[Any]"):
        """Takes what is being compiled or read.

        Args:
          outputs: the tree of its results.
          compiled: function of the flat arguments that gives the flat results.
        """
        self.outputs = outputs
        self._tree = jax.tree.structure(outputs)
        self._compiled = compiled

    def __call__(self, *arguments: Any) -> Any:
        """Runs; waits until it is compiled."""
        return jax.tree.unflatten(self._tree, self._compiled.result()(*jax.tree.leaves(arguments)))


_FOLDER: list[pathlib.Path] = []


def keep_in(folder: pathlib.Path | None) -> None:
    """Has programs kept in a folder from here on, which is also that of JAX's cache; None: nowhere."""
    _FOLDER[:] = [] if folder is None else [folder]


def folder() -> pathlib.Path | None:
    """Returns where programs are kept; None where they are not, as in one process of several."""
    return _FOLDER[0] if _FOLDER and jax.process_count() == 1 else None


class Function:
    """A function that is compiled once for all shapes it meets, or read where it was compiled before.

    It is called as `jax.jit` of it would be, on arrays of one device.
    """

    def __init__(self, function: Callable[..., Any]):
        """Takes the function, which its digest defines.

        Args:
          function: pure function of trees of arrays.
        """
        self._function = function
        self._programs: dict[Any, Program] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Runs."""
        given = jax.tree.map(jnp.asarray, arguments)
        leaves, tree = jax.tree.flatten(given)
        devices = {device for leaf in leaves for device in leaf.devices()} or {jax.devices()[0]}
        key = tree, tuple((leaf.shape, leaf.dtype, leaf.weak_type) for leaf in leaves), frozenset(devices)
        if key not in self._programs:
            self._programs[key] = compiled(
                lambda: self._function, given, self._function, {}, sorted(devices, key=lambda one: one.id), _AtOnce()
            )
        return self._programs[key](*given)


class _AtOnce(concurrent.futures.Executor):
    """Does what is submitted before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[Any]":
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
            raise
        return done


@functools.cache
def processor() -> str:
    """Returns a digest of the processor's kind and features: machine code for another may not run on it."""
    said = platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        said += "".join(sorted({line for line in lines if line.split("\t")[0] in ("flags", "Features", "model name")}))
    return hashlib.blake2b(said.encode(), digest_size=6).hexdigest()


def compiled(
    make: Callable[[], Callable[..., Any]],
    arguments: tuple[Any, ...],
    defined_by: Any,
    options: Mapping[str, Any],
    devices: Sequence[Device],
    pool: concurrent.futures.Executor,
) -> Program:
    """Has a function compiled, or an earlier compilation of it read.

    Args:
      make: makes the function of `arguments` that is to be traced; it is not called where a compilation is kept.
      arguments: arrays, or `jax.ShapeDtypeStruct` with shardings.
      defined_by: values that define the function, for its digest.
      options: options of the compiler.
      devices: the devices that it runs on, in the order of its mesh.
      pool: threads that compile and read.

    Returns:
      The program; the work goes on in the pool.
    """
    where = folder()
    key = None if where is None else _key(defined_by, arguments, options, devices)
    path = None if where is None or key is None else where / f"{_START}{key}{_END}"
    entry = None if path is None else _read(path)
    if entry is not None:
        return Program(_shapes(entry.outputs), pool.submit(_load, entry, make, arguments, options, devices))
    # A name of its own, so that JAX's cache has it only where it was kept here as well.
    lowered, outputs = _lower(make(), arguments, options, f"kept_{key}" if key else "")
    return Program(_shapes(outputs), pool.submit(_compile, lowered, outputs, path))


def _key(
    defined_by: Any, arguments: tuple[Any, ...], options: Mapping[str, Any], devices: Sequence[Device]
) -> str | None:
    def shape(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=getattr(leaf, "weak_type", False))

    every = [[(one.platform, one.device_kind, one.id) for one in some] for some in (devices, jax.devices())]
    placed = [str(getattr(leaf, "sharding", None)) for leaf in jax.tree.leaves(arguments)]
    try:
        code = _fingerprints.of_code(), _fingerprints.of_settings()
        surroundings = code, processor(), every, os.environ.get("XLA_FLAGS", "")
        return _fingerprints.of(surroundings, dict(options), placed, defined_by, jax.tree.map(shape, arguments))
    except _fingerprints.UnknownValueError:
        return None


def _lower(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any], name: str = ""
) -> tuple[Any, Any]:
    """The traced function of flat arguments, and the tree of (shape, dtype) of its results."""
    leaves, tree = jax.tree.flatten(arguments)
    structure = []

    def flat(*given: Any) -> list[Any]:
        results, own = jax.tree.flatten(function(*jax.tree.unflatten(tree, given)))
        structure[:] = [own]
        return results

    if name:
        flat.__name__ = name
    lowered = jax.jit(flat, compiler_options=dict(options)).lower(*leaves)
    shapes = [_Shape(tuple(one.shape), one.dtype) for one in lowered.out_info]
    return lowered, jax.tree.unflatten(structure[0], shapes)


class _Shape:
    """Shape and type of a result; a class of its own, so that a tree takes it for a leaf."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = shape, dtype


def _shapes(outputs: Any) -> Any:
    return jax.tree.map(lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype), outputs)


def _compile(lowered: Any, outputs: Any, path: pathlib.Path | None) -> Callable[..., list[Any]]:
    if path is None:
        return lowered.compile()
    _listen()
    _OF_THREAD.compiled = False
    found = lowered.compile()
    if _OF_THREAD.compiled and _fingerprints.is_code_unchanged():
        # On a CPU these are LAPACK's alone, for what calls Python is not in JAX's cache; the text of a program is long.
        on_cpu = jax.default_backend() == "cpu"
        calls = frozenset([_LAPACK] if on_cpu else _CALL.findall(lowered.as_text()))
        if all(name.startswith(_CALLS_THAT_STAY) for name in calls):
            # Nobody misses what cannot be kept: a program with constants on a device, or one that the disk has no
            # room for.
            with contextlib.suppress(ValueError, NotImplementedError, _files.OutputError):
                executable, _, _ = serialize_executable.serialize(found)
                _write(path, _Entry(outputs, calls, executable))
    return found


@functools.cache
def _listen() -> None:
    """Notes what JAX compiles itself; what it reads from its own cache cannot be written a second time.

    XLA writes such a program without complaint, and without a part of its code.
    """

    def note(event: str, **_: Any) -> None:
        if event == _COMPILED:
            _OF_THREAD.compiled = True

    jax.monitoring.register_event_listener(note)


def _load(
    entry: _Entry,
    make: Callable[[], Callable[..., Any]],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    devices: Sequence[Device],
) -> Callable[..., list[Any]]:
    if any(name.startswith(_LAPACK) for name in entry.calls):
        _find_lapack()
    tree = jax.tree.structure((tuple(range(len(jax.tree.leaves(arguments)))), {}))
    results = jax.tree.structure([0] * len(jax.tree.leaves(entry.outputs)))
    try:
        return serialize_executable.deserialize_and_load(entry.executable, tree, results, devices[0].client, devices)
    except Exception:  # Whatever the runtime says of an entry that it cannot read, the function can be compiled.
        lowered, _ = _lower(make(), arguments, options)
        return lowered.compile()


@functools.cache
def _find_lapack() -> None:
    """Has JAX look up LAPACK's functions, as it does when it traces one of them; without, their addresses are zero."""
    jax.jit(jnp.linalg.eigh).lower(jax.ShapeDtypeStruct((2, 2), jnp.float32))


def _write(path: pathlib.Path, entry: _Entry) -> None:
    content = pickle.dumps(entry)
    _files.write_atomically(path, zlib.compress(hashlib.blake2b(content, digest_size=16).digest() + content, 1))


def _read(path: pathlib.Path) -> _Entry | None:
    """The entry; None where there is none, or a damaged one."""
    try:
        content = zlib.decompress(path.read_bytes())
        if hashlib.blake2b(content[16:], digest_size=16).digest() != content[:16]:
            return None
        os.utime(path)
        return pickle.loads(content[16:])
    except (OSError, zlib.error):
        return None
    except Exception:  # Pickle raises whatever it meets in what another version wrote.
        return None
