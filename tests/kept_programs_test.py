"""Programs that are kept: read by another process, and never a wrong or a broken one."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import _files, _fingerprints, _kept_programs


@pytest.fixture
def folder(tmp_path):
    """An empty folder in which programs are kept, JAX's cache as well, for the time of a test."""
    from jax.experimental.compilation_cache import compilation_cache as own

    before, kept = jax.config.values["jax_compilation_cache_dir"], _kept_programs.folder()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    _kept_programs.keep_in(tmp_path)
    own.reset_cache()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
    _kept_programs.keep_in(kept)
    own.reset_cache()


def _solve(matrix, vectors):
    """A function with LAPACK's routines, and a tree of results."""
    values, _ = jnp.linalg.eigh(matrix)
    return {"solved": jnp.linalg.solve(matrix, vectors["right"]), "values": (values, vectors["count"] + 1)}


_MATRIX = np.diag([1.0, 2.0, 4.0]).astype(np.float32)
_GIVEN = (_MATRIX, {"right": np.ones(3, np.float32), "count": np.int32(2)})


def _run(function=_solve, given=_GIVEN, defined_by="solve", made=None):
    def make():
        if made is not None:
            made.append(1)
        return function

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        program = _kept_programs.compiled(
            make, jax.tree.map(jnp.asarray, given), defined_by, {}, jax.devices()[:1], pool
        )
        return program, program(*jax.tree.map(jnp.asarray, given))


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.glob("causal_iqa-*-cache"))


def test_a_kept_program_is_not_traced_again(folder):
    made = []
    _, first = _run(made=made)
    program, second = _run(made=made)
    assert len(made) == len(_entries(folder)) == 1
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, second))
    np.testing.assert_allclose(second["solved"], [1, 0.5, 0.25])
    assert int(second["values"][1]) == 3
    assert program.outputs["values"][0].shape == (3,)


@pytest.mark.parametrize(
    "changes",
    [
        {"defined_by": "something else"},
        {"given": (np.eye(4, dtype=np.float32), {"right": np.ones(4, np.float32), "count": np.int32(2)})},
        {"given": (_MATRIX, {"right": np.ones(3, np.float32), "count": np.int16(2)})},
        {"given": (_MATRIX, {"right": np.ones((3, 1), np.float32), "count": np.int32(2)})},
    ],
)
def test_another_definition_or_another_shape_is_another_program(folder, changes):
    made = []
    _run(made=made)
    _run(made=made, **changes)
    assert len(made) == len(_entries(folder)) == 2


_OTHER_PROCESS = """
import pathlib
import sys
import jax
from tests import kept_programs_test as own
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
own._kept_programs.keep_in(pathlib.Path(sys.argv[1]))
jax.config.update("jax_numpy_rank_promotion", "raise")  # As all tests.
made = []
print(own._run(made=made)[1]["solved"].tolist(), len(made))
"""


def test_another_process_reads_it_and_finds_what_it_calls_outside_xla(folder):
    _run()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XLA_FLAGS": os.environ["XLA_FLAGS"]}
    done = subprocess.run(
        [sys.executable, "-c", _OTHER_PROCESS, str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[1.0, 0.5, 0.25] 0", done.stderr


@pytest.mark.parametrize(
    "damage", [lambda x: x[:-5], lambda x: b"", lambda x: x[:400] + bytes([x[400] ^ 255]) + x[401:], lambda x: x[:9]]
)
def test_a_damaged_entry_is_compiled_again(folder, damage):
    made = []
    _run(made=made)
    (entry,) = _entries(folder)
    entry.write_bytes(damage(entry.read_bytes()))
    _, found = _run(made=made)
    assert len(made) == 2
    np.testing.assert_allclose(found["solved"], [1, 0.5, 0.25])


def test_an_entry_that_the_runtime_cannot_load_is_compiled_again(folder):
    _run()
    (path,) = _entries(folder)
    entry = _kept_programs._read(path)
    assert entry is not None
    _kept_programs._write(path, entry._replace(executable=b"of another version"))
    made = []
    _, found = _run(made=made)
    assert len(made) == 1
    np.testing.assert_allclose(found["solved"], [1, 0.5, 0.25])


def test_what_jax_read_from_its_own_cache_is_not_written_again(folder):
    """XLA writes such a program without a part of its code, and running it would end the process."""
    _run()
    for path in _entries(folder):
        path.unlink()
    _run()
    assert _entries(folder) == []


def test_a_program_that_calls_python_is_not_kept(folder):
    def calls(x):
        return jax.pure_callback(lambda y: np.asarray(y) + 1, jax.ShapeDtypeStruct((), jnp.float32), x)

    made = []
    for _ in range(2):
        _, found = _run(calls, (np.float32(1),), made=made)
        assert float(found) == 2
    assert len(made) == 2 and _entries(folder) == []


def test_a_definition_without_a_digest_is_traced_and_not_kept(folder):
    made = []
    for _ in range(2):
        _run(defined_by=lambda x: x, made=made)
    assert len(made) == 2 and _entries(folder) == []


def test_nothing_is_kept_unless_a_command_asks_for_it(folder):
    """In a process of the user's, a function of the library may have been exchanged for another."""
    _kept_programs.keep_in(None)
    _, found = _run()
    np.testing.assert_allclose(found["solved"], [1, 0.5, 0.25])
    assert _entries(folder) == []


def test_nothing_is_kept_or_read_once_the_library_has_changed_on_the_disk(folder, monkeypatch):
    made = []
    _run(made=made)
    monkeypatch.setattr(_fingerprints, "_stamp", lambda: (("edited.py", 1, 1),))
    _run(made=made, defined_by="another")
    assert len(_entries(folder)) == 1, "traced by code that no digest stands for"
    _fingerprints.of_code.cache_clear()
    _run(made=made)
    assert len(made) == 3
    _fingerprints.of_code.cache_clear()


def test_a_full_disk_costs_nothing_but_the_entry(folder, monkeypatch):
    def full(*_, **__):
        raise _files.OutputError("no space left on device")

    monkeypatch.setattr(_files, "write_atomically", full)
    _, found = _run()
    np.testing.assert_allclose(found["solved"], [1, 0.5, 0.25])
    assert _entries(folder) == []


def test_a_function_is_compiled_for_every_set_of_shapes_once(folder):
    calls = []

    def function(x, by):
        calls.append(x.shape)
        return {"sum": x.sum() * by["factor"]}

    function.__module__ = "causal_iqa.made_for_a_test"
    kept = _kept_programs.Function(function)
    for size in (2, 3, 2):
        found = kept(np.ones(size, np.float32), {"factor": np.float32(3)})
        assert float(found["sum"]) == 3 * size
    assert calls == [(2,), (3,)]


def test_a_function_of_no_digest_runs_as_well(folder):
    assert float(_kept_programs.Function(lambda x: x + 1)(1.0)) == 2
    assert _entries(folder) == []


def test_an_error_of_a_function_is_its_own(folder):
    def fails(x):
        raise ValueError("of the function")

    with pytest.raises(ValueError, match="of the function"):
        _kept_programs.Function(fails)(1.0)
