"""What the binaries share."""

import os
import subprocess
import sys

import pytest

from causal_iqa import backbones

_COUNT = "from causal_iqa.cli import common; common.one_device_per_core(); import jax; print(jax.local_device_count())"


@pytest.mark.parametrize(
    "said, expected",
    [
        ({}, min(backbones.cores(), 8)),
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
    ],
)
def test_every_core_is_a_device_unless_the_environment_says_otherwise(said, expected):
    inherited = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    command = [sys.executable, "-c", _COUNT]
    done = subprocess.run(command, env=inherited | said, capture_output=True, text=True, check=True)
    assert int(done.stdout) == expected
