"""How programs that hold networks are best compiled."""

import functools
from collections.abc import Mapping

import jax

# XLA's CPU backend has two libraries of kernels. YNNPACK is faster at narrow convolutions and Eigen at matrix products;
# by default (JAX 0.10) YNNPACK gets the products too. One after the other is tried: names have changed with releases.
_CANDIDATES: Mapping[str, tuple[dict[str, str], ...]] = {
    "cpu": (
        {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"},
        {"xla_cpu_experimental_ynn_fusion_type": ""},
    )
}


def _compiles(options: dict[str, str], platform: str) -> bool:
    with jax.default_device(jax.local_devices(backend=platform)[0]):
        try:
            jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
        except (jax.errors.JaxRuntimeError, ValueError):
            return False
    return True


@functools.cache
def _chosen(platform: str) -> tuple[tuple[str, str], ...]:
    options = next((found for found in _CANDIDATES.get(platform, ()) if _compiles(found, platform)), {})
    return tuple(options.items())


def compiler_options(platform: str) -> dict[str, str]:
    """Returns the options under which programs with networks run fastest, for `jax.jit(..., compiler_options=...)`.

    They change which kernels compute a convolution or a product, so results agree to rounding. Only the outermost
    `jax.jit` may have options.

    Args:
      platform: of the devices the program is for, e.g. `jax.local_devices()[0].platform`.

    Returns:
      Options that the installed XLA takes; empty where it takes none of those known here, and on accelerators.
    """
    return dict(_chosen(platform))
