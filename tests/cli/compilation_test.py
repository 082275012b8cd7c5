"""Programs that are compiled are told."""

import io

import pytest

from causal_iqa.cli import compilation, progress


class _Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _line(stream=None, **options):
    clock = _Clock()
    watch = compilation.Watch(clock)
    stream = io.StringIO() if stream is None else stream
    return progress.Line("95 conditions", "images", stream=stream, clock=clock, watch=watch, **options), clock, watch


def test_a_stage_says_which_program_is_compiled_since_when_and_how_long_that_takes():
    line, clock, watch = _line(compiles=True)
    line.update(0, 300)
    clock.now = 3.0
    assert line.text() == "95 conditions: 0 of 300 images, building the programs, 3 s"
    watch.hear("/jax/core/compile/jaxpr_trace_duration", 2.5, fun_name="score_block")
    watch.hear("/jax/core/compile/jaxpr_to_mlir_module_duration", 0.5, fun_name="jit(score_block)")
    clock.now = 13.0
    assert line.text() == "95 conditions: 0 of 300 images, compiling, 10 s of about 36 s"
    clock.now = 60.0  # The guess was too low, so it is not repeated.
    assert line.text() == "95 conditions: 0 of 300 images, compiling, 57 s"
    watch.hear("/jax/core/compile/backend_compile_duration", 57.0, fun_name="jit(score_block)")
    line.update(16, 300)
    assert line.text() == "95 conditions: 16 of 300 images"


def test_jax_tells_the_watch_of_its_compilations():
    jax = pytest.importorskip("jax")
    seen = []
    with compilation.Watch() as watch:
        jax.jit(lambda x: seen.append(watch.in_work()) or x * 3 + 0.125)(1.0)
        assert watch.in_work() is None
        watch.hear("/jax/core/compile/jaxpr_to_mlir_module_duration", 0.5, fun_name="jit(f)")
        assert watch.in_work().expected == 6.0
    jax.jit(lambda x: x * 5 + 0.25)(1.0)  # After its end it hears nothing, and nothing breaks.
