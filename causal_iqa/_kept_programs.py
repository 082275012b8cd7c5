"""Compiled programs kept with what they are compiled for, so that a further command neither traces nor compiles.

JAX's own cache of compilations is asked with the traced program, and tracing takes longer than reading. Here the
question is a digest of the function, of everything that it closes over, and of the shapes that it is given
(`_fingerprints`). A function without a certain digest is traced. The entries lie in the folder of JAX's cache, and only
where there is one.
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import platform
import secrets
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax.experimental import serialize_executable

from causal_iqa import _fingerprints

# The folder's keeper removes what ends so, when it is damaged or long unused.
_START, _END = "causal_iqa-", "-cache"


class _Entry(NamedTuple):
    """A program as it is stored.

    Attributes:
      outputs: the tree of its results, (shape, dtype) for every array.
      executable: compiled for the flat arguments, as `serialize_executable` writes it.
    """

    outputs: Any
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


def folder() -> pathlib.Path | None:
    """Returns where programs are kept; None where they are not."""
    named = jax.config.jax_compilation_cache_dir
    if not named or not jax.config.jax_enable_compilation_cache or jax.process_count() > 1:
        return None
    return pathlib.Path(named)


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
    pool: concurrent.futures.Executor,
) -> Program:
    """Has a function compiled, or an earlier compilation of it read.

    Args:
      make: makes the function of `arguments` that is to be traced; it is not called where a compilation is kept.
      arguments: arrays, or `jax.ShapeDtypeStruct` with shardings.
      defined_by: values that define the function, for its digest.
      options: options of the compiler.
      pool: threads that compile and read.

    Returns:
      The program; the work goes on in the pool.
    """
    where = folder()
    key = None if where is None else _key(defined_by, arguments, options)
    path = None if where is None or key is None else where / f"{_START}{key}{_END}"
    entry = None if path is None else _read(path)
    if entry is not None:
        return Program(_shapes(entry.outputs), pool.submit(_load, entry, make, arguments, options))
    lowered, outputs = _lower(make(), arguments, options)
    return Program(_shapes(outputs), pool.submit(_compile, lowered, outputs, path))


def _key(defined_by: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> str | None:
    def shape(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, weak_type=getattr(leaf, "weak_type", False))

    devices = [(device.platform, device.device_kind, device.id) for device in jax.devices()]
    code = _fingerprints.of_code(), _fingerprints.of_settings()
    surroundings = code, processor(), devices, os.environ.get("XLA_FLAGS", "")
    placed = [str(getattr(leaf, "sharding", None)) for leaf in jax.tree.leaves(arguments)]
    try:
        return _fingerprints.of(surroundings, dict(options), placed, defined_by, jax.tree.map(shape, arguments))
    except _fingerprints.UnknownValueError as e:
        print("UNKNOWN", e, defined_by, flush=True)
        return None


def _lower(function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Any, Any]:
    """The traced function of flat arguments, and the tree of (shape, dtype) of its results."""
    leaves, tree = jax.tree.flatten(arguments)
    structure = []

    def flat(*given: Any) -> list[Any]:
        results, own = jax.tree.flatten(function(*jax.tree.unflatten(tree, given)))
        structure[:] = [own]
        return results

    lowered = jax.jit(flat, compiler_options=dict(options)).lower(*leaves)
    shapes = [(tuple(one.shape), one.dtype) for one in lowered.out_info]
    return lowered, jax.tree.unflatten(structure[0], [_Shape(*one) for one in shapes])


class _Shape:
    """Shape and type of a result; a class of its own, so that a tree takes it for a leaf."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = shape, dtype


def _shapes(outputs: Any) -> Any:
    return jax.tree.map(lambda one: jax.ShapeDtypeStruct(one.shape, one.dtype), outputs)


def _compile(lowered: Any, outputs: Any, path: pathlib.Path | None) -> Callable[..., list[Any]]:
    found = lowered.compile()
    if path is not None:
        # Nobody misses what cannot be kept: a program with constants on a device, or a folder that is full.
        with contextlib.suppress(
            ValueError, NotImplementedError, pickle.PicklingError, AttributeError, TypeError, OSError
        ):
            executable, _, _ = serialize_executable.serialize(found)
            _write(path, _Entry(outputs, executable))
    return found


def _load(
    entry: _Entry, make: Callable[[], Callable[..., Any]], arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> Callable[..., list[Any]]:
    tree = jax.tree.structure((tuple(range(len(jax.tree.leaves(arguments)))), {}))
    results = jax.tree.structure([0] * len(jax.tree.leaves(entry.outputs)))
    try:
        return serialize_executable.deserialize_and_load(entry.executable, tree, results)
    except Exception:  # Whatever the runtime says of an entry that it cannot read, the function can be compiled.
        lowered, _ = _lower(make(), arguments, options)
        return lowered.compile()


def _write(path: pathlib.Path, entry: _Entry) -> None:
    """Writes an entry whole; one that a loss of power damages is found to be damaged."""
    content = pickle.dumps(entry)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_bytes(zlib.compress(hashlib.blake2b(content, digest_size=16).digest() + content, 1))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: pathlib.Path) -> _Entry | None:
    """The entry; None where there is none, or a damaged one."""
    try:
        content = zlib.decompress(path.read_bytes())
        if hashlib.blake2b(content[16:], digest_size=16).digest() != content[:16]:
            return None
        os.utime(path)
        return pickle.loads(content[16:])
    except (OSError, zlib.error, pickle.UnpicklingError, AttributeError, ImportError, EOFError, IndexError, TypeError):
        return None
