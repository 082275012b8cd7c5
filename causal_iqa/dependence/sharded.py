"""Exact HSIC and sketches over the devices of a mesh, of one process or of several.

With several processes, every one calls `jax.distributed.initialize` first, then runs the same program on arrays that
span them: `global_rows` makes such an array of each process's own samples. Results are the same on every device.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from causal_iqa.dependence import sketches, streaming


def _automatic(mesh: Mesh, axis: str) -> Mesh:
    """The same devices with axes along which the compiler lays out arrays by itself, whatever the mesh's types."""
    if axis not in mesh.shape:
        raise ValueError(f"axis: expected one of {', '.join(mesh.axis_names)}, got {axis!r}")
    return Mesh(mesh.devices, mesh.axis_names)


def global_rows(rows: np.ndarray, *, mesh: Mesh, axis: str) -> jax.Array:
    """One array of the rows that each process holds, split over the mesh axis.

    Args:
      rows: this process's samples [n, ...]; as many on every process, and a multiple of its devices.
      mesh: over all devices of all processes.
      axis: name of the mesh axis the rows are split over.

    Returns:
      [n * processes, ...], in the order of the processes.

    Raises:
      ValueError: when the mesh has no such axis.

    Examples:
      >>> mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("rows",))
      >>> dependence.global_rows(np.ones((6, 2), np.float32), mesh=mesh, axis="rows").shape
      (6, 2)
    """
    sharding = NamedSharding(_automatic(mesh, axis), PartitionSpec(axis))
    return jax.make_array_from_process_local_data(sharding, rows)


def sketch_sharded(
    sketch: sketches.Sketch,
    x: jax.Array,
    y: jax.Array,
    mask: jax.Array | None = None,
    *,
    mesh: Mesh,
    axis: str,
    chunk: int,
) -> sketches.Sketch:
    """`sketches.update_all` with the rows split over devices; each passes over its own once and the parts are merged.

    Args:
      sketch: what was seen so far, the same on every device.
      x: first variable, n rows.
      y: second variable, n rows.
      mask: [n] bool, False for rows that are padding; all count when None.
      mesh: mesh of devices.
      axis: name of the mesh axis to split over.
      chunk: rows a step on each device, static int.

    Returns:
      `Sketch`, on every device; the same up to rounding whatever the number of devices.

    Raises:
      ValueError: when lengths differ, the chunk is below 1 or the mesh has no such axis.

    Examples:
      >>> from causal_iqa.dependence import sketches
      >>> x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
      >>> mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("rows",))
      >>> sketch = sketches.init(dependence.linear_map(), dependence.linear_map(), x, x, within=False)
      >>> sketch = dependence.sketch_sharded(sketch, x, x, mesh=mesh, axis="rows", chunk=4)
      >>> bool(sketches.finalize(sketch).hsic_unbiased > 0)
      True
    """
    mesh = _automatic(mesh, axis)
    devices = mesh.shape[axis]
    n = x.shape[0]
    if y.shape[0] != n or (mask is not None and jnp.shape(mask) != (n,)):
        shown = "no mask" if mask is None else f"a mask of shape {jnp.shape(mask)}"
        raise ValueError(f"x, y, mask: expected the same samples, got {n}, {y.shape[0]} and {shown}")
    mask = jnp.ones(n, bool) if mask is None else mask
    padding = -n % devices

    def padded(rows: jax.Array) -> jax.Array:
        return jnp.concatenate([rows, jnp.broadcast_to(rows[:1], (padding, *rows.shape[1:]))]) if padding else rows

    mask = jnp.pad(mask, (0, padding)) if padding else mask

    def part(sketch: sketches.Sketch, x: jax.Array, y: jax.Array, mask: jax.Array) -> sketches.Sketch:
        empty = jax.tree.map(jnp.zeros_like, sketch.moments)
        own = sketches.update_all(sketch._replace(moments=empty), x, y, mask, chunk=chunk)

        def join(joined: sketches.Moments, one: sketches.Moments) -> tuple[sketches.Moments, None]:
            return sketches.merge_moments(joined, one), None

        gathered = jax.lax.all_gather(own.moments, axis)
        return sketch._replace(moments=jax.lax.scan(join, sketch.moments, gathered)[0])

    rows = PartitionSpec(axis)
    # The merged sketch is the same on all devices, which the checker cannot see through a gather.
    run = jax.shard_map(
        part, mesh=mesh, in_specs=(PartitionSpec(), rows, rows, rows), out_specs=PartitionSpec(), check_vma=False
    )
    return run(sketch, padded(x), padded(y), mask)


def gram_sums_sharded(
    x: jax.Array,
    y: jax.Array,
    kernel_x: streaming.Kernel,
    kernel_y: streaming.Kernel,
    mask: jax.Array | None = None,
    *,
    mesh: Mesh,
    axis: str,
    block: int,
    num_anchors: int,
) -> streaming.GramSums:
    """`streaming.gram_sums` with the pairs of blocks dealt out over devices; each holds all samples.

    Args:
      x: first variable, n samples.
      y: second variable, n samples.
      kernel_x: `k(a, b)`, as in `streaming.gram_sums`.
      kernel_y: the same for the second variable.
      mask: [n] bool, False for samples that are padding; all count when None.
      mesh: mesh of devices.
      axis: name of the mesh axis to split over.
      block: samples a block, static int.
      num_anchors: samples to centre on, static int.

    Returns:
      `GramSums`, on every device; the same up to rounding whatever the number of devices.

    Raises:
      ValueError: when lengths differ, a number is out of range or the mesh has no such axis.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("rows",))
      >>> kernel, options = dependence.linear, {"mesh": mesh, "axis": "rows", "block": 8, "num_anchors": 4}
      >>> int(dependence.gram_sums_sharded(x, x**2, kernel, kernel, **options).count)
      20
    """
    mesh = _automatic(mesh, axis)
    devices = mesh.shape[axis]
    prepared = streaming.prepare(x, y, kernel_x, kernel_y, mask, block=block, num_anchors=num_anchors)
    pairs = streaming.block_pairs(prepared.mask.shape[0])
    valid = np.arange(-(-len(pairs) // devices) * devices) < len(pairs)
    pairs = np.resize(pairs, (len(valid), 2))

    def part(prepared: streaming.Prepared, pairs: jax.Array, valid: jax.Array) -> streaming.GramSums:
        sums = streaming.accumulate(prepared, kernel_x, kernel_y, pairs, valid)
        return jax.tree.map(functools.partial(jax.lax.psum, axis_name=axis), sums)

    rows = PartitionSpec(axis)
    run = jax.shard_map(
        part, mesh=mesh, in_specs=(PartitionSpec(), rows, rows), out_specs=PartitionSpec(), check_vma=False
    )
    return streaming.complete(run(prepared, jnp.asarray(pairs), jnp.asarray(valid)), prepared, kernel_x, kernel_y)


def hsic_sharded(
    x: jax.Array,
    y: jax.Array,
    kernel_x: streaming.Kernel,
    kernel_y: streaming.Kernel,
    mask: jax.Array | None = None,
    *,
    mesh: Mesh,
    axis: str,
    block: int,
    num_anchors: int,
) -> streaming.StreamedHSIC:
    """Exact HSIC and CKA over devices: `streaming.estimates` of `gram_sums_sharded`, which has the arguments.

    Returns:
      `StreamedHSIC`; larger is more dependent.

    Raises:
      ValueError: when lengths differ, a number is out of range or the mesh has no such axis.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("rows",))
      >>> kernel, options = dependence.linear, {"mesh": mesh, "axis": "rows", "block": 8, "num_anchors": 4}
      >>> found = jax.eval_shape(lambda: dependence.hsic_sharded(x, x, kernel, kernel, **options))  # traced, not run
      >>> found._fields
      ('hsic_biased', 'hsic_unbiased', 'cka', 'cka_debiased')
    """
    sums = gram_sums_sharded(x, y, kernel_x, kernel_y, mask, mesh=mesh, axis=axis, block=block, num_anchors=num_anchors)
    return streaming.estimates(sums)
