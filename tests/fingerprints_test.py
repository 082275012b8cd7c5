"""Digests of functions change with everything that a trace may read, and nothing else."""

import dataclasses
import enum
import functools
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import _fingerprints, backbones, degradations, metrics


class _Kind(enum.Enum):
    ONE = 1
    TWO = 2


@dataclasses.dataclass
class _Fields:
    size: int
    table: dict
    kind: _Kind = _Kind.ONE


# As if they were the library's own; those of this module would be refused.
for _one in (_Kind, _Fields):
    _one.__module__ = "causal_iqa.made_for_a_test"


def _made(source: str, **given):
    """A function that `make` of a source gives, as if the library had it."""
    module = types.ModuleType("causal_iqa.made_for_a_test")
    exec(source, module.__dict__)
    return module.make(**given)  # pyright: ignore[reportAttributeAccessIssue]


_CLOSURE = "def make(value):\n    def own(x, *, by=2.0):\n        return value, x * by + 1\n    return own"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ("a", b"a"),
        (None, "None"),
        ((1, 2), [1, 2]),
        ((1, 2), (2, 1)),
        (("ab", "c"), ("a", "bc")),
        (((1,), 2), (1, (2,))),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (frozenset({1, 2}), frozenset({1, 3})),
        (slice(1), slice(2)),
        (np.zeros(2), np.zeros(3)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros(2, np.float32), jnp.zeros(2)),
        (np.arange(6), np.arange(6)[::-1]),
        (np.float32(1), 1.0),
        (np.dtype("f4"), np.dtype("f8")),
        (jax.random.key(0), jax.random.key(1)),
        (jax.ShapeDtypeStruct((2,), jnp.float32), jax.ShapeDtypeStruct((2,), jnp.int32)),
        (_Kind.ONE, _Kind.TWO),
        (_Fields(1, {}), _Fields(2, {})),
        (_Fields(1, {"a": np.zeros(1)}), _Fields(1, {"a": np.ones(1)})),
        (_Fields(1, {}), _Fields(1, {}, _Kind.TWO)),
        (jnp.sin, jnp.cos),
        (functools.partial(jnp.clip, max=1.0), functools.partial(jnp.clip, max=2.0)),
        (functools.partial(metrics.ssim), metrics.ssim),
        (degradations.Condition.parse("fog/1"), degradations.Condition.parse("fog/2")),
    ],
)
def test_values_that_differ_have_different_digests(one, other):
    assert _fingerprints.of(one) != _fingerprints.of(other)
    assert _fingerprints.of(one) == _fingerprints.of(one)
    kept = [_made(_CLOSURE, value=value) for value in (one, other, one)]
    first, second, again = (_fingerprints.of(function) for function in kept)
    assert first == again != second  # what a function closes over counts as well


@pytest.mark.parametrize(
    "changed",
    [
        _CLOSURE.replace("+ 1", "+ 2"),
        _CLOSURE.replace("+ 1", "- 1"),
        _CLOSURE.replace("by=2.0", "by=3.0"),
        _CLOSURE.replace("x * by", "max(x, by)"),
        _CLOSURE.replace("return value, x", "return value, (lambda: 1)() + x"),
    ],
)
def test_a_function_counts_by_its_code(changed):
    assert _fingerprints.of(_made(_CLOSURE, value=0)) != _fingerprints.of(_made(changed, value=0))


def test_a_nested_function_counts_by_its_code():
    nested = "def make():\n    def own(x):\n        return (lambda y: y + {})(x)\n    return own"
    digests = {_fingerprints.of(_made(nested.format(value))) for value in (1, 2, 1)}
    assert len(digests) == 2


def test_equal_structures_share_a_digest_whether_or_not_their_parts_are_one_object():
    table = np.arange(3.0)
    for values in ((table, table.copy()), (table, table)):
        assert _fingerprints.of(values) != _fingerprints.of((table, table + 1))
    loop: list = [1]
    loop.append(loop)
    assert _fingerprints.of(loop) == _fingerprints.of(loop)


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        test_values_that_differ_have_different_digests,
        object(),
        np.asarray([object()]),
        iter(()),
        jax.jit(lambda x: x),
        sys.stdout,
    ],
)
def test_what_may_change_without_a_sign_is_refused(value):
    with pytest.raises(_fingerprints.UnknownValueError):
        _fingerprints.of({"deep": (value,)})


def test_what_is_being_traced_is_refused():
    def traced(x):
        with pytest.raises(_fingerprints.UnknownValueError, match="traced"):
            _fingerprints.of(x)
        return x

    jax.make_jaxpr(traced)(1.0)


def test_a_network_counts_by_its_module_and_its_preprocessing():
    network = backbones.open_network("scene_cnn_a")
    again, other = backbones.open_network("scene_cnn_a"), backbones.open_network("scene_cnn_b")
    assert _fingerprints.of(network.apply) == _fingerprints.of(again.apply) != _fingerprints.of(other.apply)
    rough = backbones.with_precision(network, "bfloat16")
    assert _fingerprints.of(network.apply) != _fingerprints.of(rough.apply)


def test_digests_do_not_depend_on_the_process():
    """Names are hashed with another seed in every process, and objects lie elsewhere."""
    program = (
        "import jax, functools; from causal_iqa import _fingerprints, backbones, degradations, metrics;"
        "network = backbones.open_network('scene_cnn_a');"
        "values = (frozenset('abcdef'), network.apply, metrics.TABLE['ssim'], degradations.TABLE['fog'].fn,"
        " functools.partial(jax.numpy.clip, max=1.0), {'b': 1, 'a': {2, 3}});"
        "print(_fingerprints.of(values), _fingerprints.of_code(), hash(_fingerprints.of_settings()) != 0)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=_environment(seed)
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] and len(found[0]) > 60


def _environment(seed: str) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONHASHSEED": seed}


def test_the_settings_that_a_trace_reads_count(monkeypatch):
    before = _fingerprints.of_settings()
    with jax.default_matmul_precision("highest"):
        assert _fingerprints.of_settings() != before
    with jax.debug_nans(True):
        assert _fingerprints.of_settings() != before
    assert _fingerprints.of_settings() == before
    assert not any("cache" in name for name, _ in before)


def test_code_that_changed_after_its_import_has_no_digest(monkeypatch):
    assert _fingerprints.is_code_unchanged()
    for changed in ((), _fingerprints._AT_IMPORT[1:]):
        monkeypatch.setattr(_fingerprints, "_stamp", lambda changed=changed: changed)
        _fingerprints.of_code.cache_clear()
        with pytest.raises(_fingerprints.UnknownValueError, match="changed"):
            _fingerprints.of_code()
    _fingerprints.of_code.cache_clear()
