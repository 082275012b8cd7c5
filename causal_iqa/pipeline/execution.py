"""How a study runs: devices, memory and batch. Nothing here changes a number by more than rounding."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import jax

from causal_iqa import _checks
from causal_iqa._arrays import Device
from causal_iqa.pipeline import program
from causal_iqa.pipeline.views import View

# Room for the images of all conditions twice, and for the arrays of one degradation and of the networks' first layers.
_COPIES, _SCRATCH_IMAGES = 2, 120


class Execution(NamedTuple):
    """How a study runs; nothing here changes a number by more than rounding.

    The number of devices, and a memory limit that makes blocks smaller, have XLA compile another program, whose sums
    may go in another order: scores then differ by rounding, at most 7.9e-5 of their size where measured. Batch
    size, workers and download change nothing.

    Attributes:
      batch_size: images per step over all devices, worked off in blocks that fit memory_gb.
      memory_gb: what a block may use per device; None: a quarter of the machine's memory (half of it shared out among
        more than two CPU devices), or 60 % of an accelerator's.
      num_devices: number of the local devices; None: all.
      workers: decoding threads.
      download: whether TFDS may download.
    """

    batch_size: int | None = None
    memory_gb: float | None = None
    num_devices: int | None = None
    workers: int = 2
    download: bool = False


DEFAULT_EXECUTION = Execution()


def _memory_bytes(device: Device, memory_gb: float | None) -> float:
    if memory_gb is not None:
        return memory_gb * 1e9
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return 0.6 * stats["bytes_limit"]
    # The devices of a CPU share one memory.
    share = min(0.25, 0.5 / len(jax.local_devices(backend=device.platform)))
    return share * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def choose_block(
    image_size: int, views: Sequence[View], num_conditions: int, execution: Execution, device: Device
) -> int:
    """Chooses how many images a device works on at a time: program.BLOCK_IMAGES unless memory demands fewer.

    Args:
      image_size: side in pixels of the images that are degraded.
      views: resolutions at which quality is scored.
      num_conditions: conditions of every image.
      execution: gives memory_gb.
      device: whose memory it is.

    Returns:
      Images per block.

    Raises:
      InputError: when not even one image fits the memory.
    """
    sides = [image_size]
    for view in views:
        sides += [view.side, *view.backbone_sides.values(), *(s for glances in view.glances.values() for s in glances)]
    largest = max(sides)
    per_image = 12 * (_COPIES * num_conditions * image_size**2 + _SCRATCH_IMAGES * largest**2)
    budget = _memory_bytes(device, execution.memory_gb)
    block = program.BLOCK_IMAGES
    while block > 1 and block * per_image > budget:
        block //= 2
    if block * per_image > budget:
        raise _checks.InputError(
            f"memory_gb: one image of {image_size} pixels under {num_conditions} conditions takes "
            f"{per_image / 1e9:.1f} GB, {budget / 1e9:.1f} are allowed; give more, fewer conditions or --image_size"
        )
    return block


def local_devices(execution: Execution) -> list[Device]:
    """Returns the devices to work on; InputError when there are fewer than asked for."""
    devices = jax.local_devices()
    if execution.num_devices is not None and execution.num_devices > len(devices):
        raise _checks.InputError(f"num_devices: {execution.num_devices} asked for, {len(devices)} here")
    return devices[: execution.num_devices]


def check_execution(execution: Execution) -> None:
    """Raises InputError unless every count is positive and so many devices are here."""
    for name in ("batch_size", "memory_gb", "num_devices", "workers"):
        value = getattr(execution, name)
        if value is not None and value <= 0:
            raise _checks.InputError(f"{name}: expected a positive number, got {value}")
    local_devices(execution)
