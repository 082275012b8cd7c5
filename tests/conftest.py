"""Strict settings for every test: eight forced CPU devices, no silent rank promotion."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax
import pytest

import tests.shared as shared

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key() -> jax.Array:
    """A fixed key; tests that need several split it."""
    return jax.random.key(20260101)


@pytest.fixture
def shared_data():
    """Returns the path of a file of the shared folder, or skips with the reason."""
    return shared.path_or_skip
