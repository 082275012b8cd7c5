"""Programs that are compiled separately, side by side, and chained on the devices; each depends on its own code alone.

A piece is a function of one device's share, mapped over the devices. Pieces are traced one after the other, while
earlier ones are compiled in threads; the first images run through a piece as soon as it is compiled.
"""

import concurrent.futures
import dataclasses
import enum
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from causal_iqa import _kept_programs, backbones
from causal_iqa._arrays import Device

_AXIS = "images"
Spec = jax.sharding.PartitionSpec
# The same on every device; split along the first axis, images; along the second, behind the conditions of a run.
SHARED, IMAGES, RUNS = Spec(), Spec(_AXIS), Spec(None, _AXIS)
# Compilations at a time; each also has threads of its own.
_MOST_THREADS = 8


class Content(enum.Enum):
    """What a piece is made of: networks, sums over pixels near each other, or pixels gathered from large images."""

    NETWORK = enum.auto()
    PIXELS = enum.auto()
    GATHERS = enum.auto()


class Piece:
    """One compiled function of arrays on the devices.

    Attributes:
      outputs: outputs of it, shapes with shardings.
    """

    def __init__(self, program: _kept_programs.Program, outputs: Any):
        self.outputs, self._program = outputs, program

    def __call__(self, *arguments: Any) -> Any:
        """Runs; waits until it is compiled."""
        return self._program(*arguments)


class Devices:
    """The devices that share the images, and the threads that compile for them.

    Attributes:
      pool: pool of the threads.
    """

    def __init__(self, devices: Sequence[Device]):
        """Makes a mesh of the devices.

        Args:
          devices: one or more of a kind.
        """
        self.mesh = jax.sharding.Mesh(np.asarray(devices), (_AXIS,))
        self.pool = concurrent.futures.ThreadPoolExecutor(
            min(backbones.cores(), _MOST_THREADS), thread_name_prefix="causal_iqa-compile"
        )
        self._options = {
            Content.NETWORK: backbones.compiler_options(devices[0].platform, num_devices=len(devices)),
            Content.PIXELS: backbones.quick_options(devices[0].platform, num_devices=len(devices)),
            Content.GATHERS: backbones.quick_options(devices[0].platform, num_devices=len(devices), gathers=True),
        }

    def put(self, values: Any, spec: Spec) -> Any:
        """Puts arrays on the devices, split as `spec` says."""
        return jax.device_put(values, jax.sharding.NamedSharding(self.mesh, spec))

    def shapes(self, values: Any, spec: Spec) -> Any:
        """Returns what arrays, or their shapes, are when they lie on the devices."""
        sharding = jax.sharding.NamedSharding(self.mesh, spec)
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), values)

    def piece(
        self, function: Callable, specs: Sequence[Spec], out: Spec, *arguments: Any, content: Content = Content.PIXELS
    ) -> Piece:
        """Traces a function of one device's share, and has it compiled.

        Args:
          function: function of arrays.
          specs: how each of its arguments is split.
          out: how its results are.
          *arguments: arrays or shapes on the devices.
          content: what it is made of, which decides on how it is best compiled.

        Returns:
          The piece.
        """

        def mapped() -> Callable:
            return jax.shard_map(function, mesh=self.mesh, in_specs=tuple(specs), out_specs=out, check_vma=False)

        split = [str(spec) for spec in (*specs, out)]
        program = _kept_programs.compiled(
            mapped, arguments, (function, split), self._options[content] or {}, list(self.mesh.devices.flat), self.pool
        )
        return Piece(program, self.shapes(program.outputs, out))


@functools.partial(jax.tree_util.register_dataclass, data_fields=["scalars", "vectors"], meta_fields=["names"])
@dataclasses.dataclass(frozen=True)
class Packed:
    """Rows of one piece.

    Attributes:
      scalars: float32 [n, B, F].
      vectors: name -> [n, B, K].
      names: F names of the scalars.
    """

    scalars: Any
    vectors: Any
    names: tuple[str, ...]


class Found:
    """What the devices compute of one batch; `fetch` waits for it."""

    def __init__(self, num_conditions: int, parts: Sequence[Sequence[Packed]]):
        """Takes the results.

        Args:
          num_conditions: C; entries after them are left out.
          parts: for every piece, a result for every run of conditions.
        """
        self._num_conditions, self._parts = num_conditions, parts

    def fetch(self) -> dict[str, np.ndarray]:
        """Returns column -> [C, B], and vectors [C, B, K]."""
        columns = {}
        for runs in self._parts:
            scalars = self._joined([run.scalars for run in runs])
            columns |= {name: scalars[..., i] for i, name in enumerate(runs[0].names)}
            columns |= {name: self._joined([run.vectors[name] for run in runs]) for name in runs[0].vectors}
        return columns

    def _joined(self, runs: Sequence[jax.Array]) -> np.ndarray:
        return np.concatenate([np.asarray(run) for run in runs])[: self._num_conditions]
