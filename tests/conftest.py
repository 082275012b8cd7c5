"""Strict settings for every test: eight forced CPU devices, no silent rank promotion."""

import atexit
import gc
import importlib.metadata
import os
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# There are as many workers as cores: threads of BLAS in each would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

if "xla_backend_optimization_level" not in os.environ["XLA_FLAGS"]:
    # Tests compile far more than they compute: machine code without LLVM's optimisations takes two fifths less time.
    os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0"

if importlib.metadata.version("jaxlib").startswith("0.10.") and "fusion_emitters" not in os.environ["XLA_FLAGS"]:
    # The older emitters compile in a third of the time, and in one part instead of many in two thirds of that. Other
    # releases may not know the flags, and XLA ends the process over one that it does not know.
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # Shared by the workers and the processes that tests start: many compile the same programs. Gone with the session.
    # Of small programs, too: one that is read takes half as long as one that is compiled.
    _CACHE = tempfile.TemporaryDirectory(prefix="jax-compilations-")
    atexit.register(_CACHE.cleanup)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import pytest

import tests.shared as shared

# Tracing makes a great many objects that live as long as the worker; looking through them takes a tenth of the time.
gc.set_threshold(200_000, 50, 100)

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key() -> jax.Array:
    """A fixed key; tests that need several split it."""
    return jax.random.key(20260101)


@pytest.fixture
def shared_data():
    """Returns the path of a file of the shared folder, or skips with the reason."""
    return shared.path_or_skip
