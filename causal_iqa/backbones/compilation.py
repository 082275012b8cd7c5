"""How programs that hold networks are best compiled."""

import functools
import os
from collections.abc import Mapping

import jax

Options = dict[str, str | bool | int]

# XLA's CPU backend has two libraries of kernels. YNNPACK is faster at narrow convolutions and Eigen at matrix products;
# by default (JAX 0.10) YNNPACK gets the products too. One after the other is tried: names have changed with releases.
_CANDIDATES: Mapping[str, tuple[Options, ...]] = {
    "cpu": (
        {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"},
        {"xla_cpu_experimental_ynn_fusion_type": ""},
    )
}
# Where every core is a device of its own, sharing out the work of one among all cores only costs.
_ONE_THREAD: Options = {"xla_cpu_multi_thread_eigen": False}
# LLVM's first level of optimisation, and one part for LLVM instead of many, take a third off the compilation of
# degradations and metrics, which run as fast (docs/performance.md).
_QUICK: Options = {"xla_backend_optimization_level": 1, "xla_cpu_parallel_codegen_split_count": 1}
# XLA's older code for loops takes another half off. Transformers run a sixth slower with it, and what gathers pixels of
# large images, as motion blur does, three times slower.
_OLD_LOOPS: Options = {"xla_cpu_use_fusion_emitters": False}


def _compiles(options: Options, platform: str) -> bool:
    with jax.default_device(jax.local_devices(backend=platform)[0]):
        try:
            jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
        except jax.errors.JaxRuntimeError as error:
            if str(error).startswith("INVALID_ARGUMENT"):  # No such option, or no such value of it.
                return False
            raise
    return True


@functools.cache
def _chosen(platform: str) -> tuple[tuple[str, str | bool | int], ...]:
    options = next((found for found in _CANDIDATES.get(platform, ()) if _compiles(found, platform)), {})
    return tuple(options.items())


@functools.cache
def _one_thread() -> tuple[tuple[str, str | bool | int], ...]:
    return tuple(_ONE_THREAD.items()) if _compiles(_ONE_THREAD, "cpu") else ()


@functools.cache
def _quick(old_loops: bool) -> tuple[tuple[str, str | bool | int], ...]:
    said = os.environ.get("XLA_FLAGS", "")
    wanted = {**_QUICK, **(_OLD_LOOPS if old_loops else {})}
    return tuple(one for one in wanted.items() if one[0] not in said and _compiles(dict([one]), "cpu"))


def cores() -> int:
    """Number of CPU cores this process may use.

    Examples:
      >>> backbones.cores() >= 1
      True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compiler_options(platform: str, *, num_devices: int = 1) -> Options:
    """Returns the options under which programs with networks run fastest, for `jax.jit(..., compiler_options=...)`.

    They change which kernels compute a convolution or a product, so results agree to rounding. Only the outermost
    `jax.jit` may have options.

    XLA shares out the matrix products and loops of a program among the cores, not its convolutions. A program over many
    images is faster where each core is a device (the environment variable JAX_NUM_CPU_DEVICES) and has its own images.

    Args:
      platform: platform of the devices the program is for, e.g. `jax.local_devices()[0].platform`.
      num_devices: over which the program spreads its images.

    Returns:
      Options that the installed XLA takes; empty where it takes none of those known here, and on accelerators.

    Examples:
      >>> options = backbones.compiler_options(jax.local_devices()[0].platform)
      >>> program = jax.jit(lambda x: x @ x, compiler_options=options)
      >>> float(program(jnp.eye(2))[0, 0])
      1.0
    """
    own_core = platform == "cpu" and num_devices > 1 and num_devices >= cores()
    return dict(_chosen(platform) + (_one_thread() if own_core else ()))


def quick_options(platform: str, *, num_devices: int = 1, gathers: bool = False) -> Options:
    """Returns the options under which programs without networks compile fastest, and run as fast as with others.

    Args:
      platform: platform of the devices.
      num_devices: over which the program spreads its images.
      gathers: whether the program reads pixels of large images from computed places, as warps do.

    Returns:
      `compiler_options`, and on CPUs those that the installed XLA takes and the environment variable XLA_FLAGS does not
      name.

    Examples:
      >>> options = backbones.quick_options(jax.local_devices()[0].platform)
      >>> program = jax.jit(lambda x: jnp.sin(x).sum(), compiler_options=options)
      >>> float(program(jnp.zeros(2)))
      0.0
    """
    options = compiler_options(platform, num_devices=num_devices)
    return {**options, **dict(_quick(not gathers) if platform == "cpu" else ())}
