"""How programs that hold networks are best compiled."""

import functools
import os
from collections.abc import Mapping

import jax

Options = dict[str, str | bool]

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
def _chosen(platform: str) -> tuple[tuple[str, str | bool], ...]:
    options = next((found for found in _CANDIDATES.get(platform, ()) if _compiles(found, platform)), {})
    return tuple(options.items())


@functools.cache
def _one_thread() -> tuple[tuple[str, str | bool], ...]:
    return tuple(_ONE_THREAD.items()) if _compiles(_ONE_THREAD, "cpu") else ()


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
