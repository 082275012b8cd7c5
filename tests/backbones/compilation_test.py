"""Options of the compiler."""

import jax
import pytest

from causal_iqa import backbones
from causal_iqa.backbones import compilation


def test_compiler_options_are_those_this_xla_takes(monkeypatch):
    assert backbones.compiler_options("tpu") == {}
    options = backbones.compiler_options("cpu")
    assert jax.jit(lambda x: x + 1, compiler_options=options)(1) == 2
    alone = backbones.compiler_options("cpu", num_devices=max(2, compilation.cores()))
    assert alone == {**options, "xla_cpu_multi_thread_eigen": False}
    assert jax.jit(lambda x: x + 2, compiler_options=alone)(1) == 3
    assert backbones.compiler_options("tpu", num_devices=64) == {}
    unknown, known = {"xla_no_such_option": "1"}, {"xla_cpu_experimental_ynn_fusion_type": ""}
    compilation._chosen.cache_clear()
    monkeypatch.setattr(compilation, "_CANDIDATES", {"cpu": (unknown, known)})
    assert backbones.compiler_options("cpu") == known
    compilation._chosen.cache_clear()
    monkeypatch.setattr(compilation, "_CANDIDATES", {"cpu": (unknown,)})
    assert backbones.compiler_options("cpu") == {}
    compilation._chosen.cache_clear()  # Of the patched table.


def test_quick_options_are_those_this_xla_takes_and_nobody_named(monkeypatch):
    assert backbones.quick_options("tpu") == {}
    compilation._quick.cache_clear()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=true")
    monkeypatch.setattr(compilation, "_QUICK", {"xla_no_such_option": 1, **compilation._QUICK})
    options, gathers = backbones.quick_options("cpu"), backbones.quick_options("cpu", gathers=True)
    quick = {"xla_backend_optimization_level": 1, "xla_cpu_parallel_codegen_split_count": 1}
    assert options == gathers == {**backbones.compiler_options("cpu"), **quick}
    compilation._quick.cache_clear()
    monkeypatch.delenv("XLA_FLAGS")
    assert backbones.quick_options("cpu") == {**options, "xla_cpu_use_fusion_emitters": False}
    assert backbones.quick_options("cpu", gathers=True) == gathers
    assert jax.jit(lambda x: x + 3, compiler_options=options)(1) == 4
    compilation._quick.cache_clear()  # Of the patched table.


def test_only_a_refused_option_counts_as_refused(monkeypatch):
    def broken(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(compilation.jax, "jit", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        compilation._compiles({}, "cpu")
