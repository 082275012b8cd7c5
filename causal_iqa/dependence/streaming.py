"""Exact HSIC and CKA of many samples: Gram matrices a pair of blocks at a time, never whole.

Memory is O(n + block^2) in addition to the samples. `gram_sums` makes one pass over the block pairs on or above the
diagonal, and the estimators are read off its sums. Differentiable in the samples; blocks are computed again on the way
back.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import pair

# Root mean squares of centred kernel values below so many rounding units of the largest value are rounding.
_ROUNDING_UNITS = 8

Kernel = Callable[[jax.Array, jax.Array], jax.Array]


class GramSums(NamedTuple):
    """Sums over the Gram matrices K and L of n samples, each first centred on the anchors.

    Attributes:
      count: samples n.
      rows_x: row sums of K off the diagonal [n].
      rows_y: row sums of L off the diagonal [n].
      diagonal_x: [n].
      diagonal_y: [n].
      cross: sum of K L over pairs off the diagonal.
      within_x: sum of K^2 over pairs off the diagonal.
      within_y: sum of L^2 over pairs off the diagonal.
      scale_x: largest kernel value among the anchors, the unit of rounding.
      scale_y: the same for the second variable.
    """

    count: jax.Array
    rows_x: jax.Array
    rows_y: jax.Array
    diagonal_x: jax.Array
    diagonal_y: jax.Array
    cross: jax.Array
    within_x: jax.Array
    within_y: jax.Array
    scale_x: jax.Array
    scale_y: jax.Array


class StreamedHSIC(NamedTuple):
    """Exact estimates; every field a scalar, the same numbers as of the estimators on whole Gram matrices."""

    hsic_biased: jax.Array
    hsic_unbiased: jax.Array
    cka: jax.Array
    cka_debiased: jax.Array


class Prepared(NamedTuple):
    """Samples in blocks, with each sample's mean kernel value with the anchors."""

    x: jax.Array  # [blocks, block, ...]
    y: jax.Array
    offset_x: jax.Array  # [blocks, block]
    offset_y: jax.Array
    mask: jax.Array  # [blocks, block] of 0 and 1
    scale_x: jax.Array
    scale_y: jax.Array


class _Block(NamedTuple):
    x: jax.Array
    y: jax.Array
    offset_x: jax.Array
    offset_y: jax.Array
    mask: jax.Array


def block_pairs(num_blocks: int) -> np.ndarray:
    """Returns the pairs (i, j) of blocks with i <= j, [num_blocks (num_blocks + 1) / 2, 2]."""
    return np.stack(np.triu_indices(num_blocks), axis=1).astype(np.int32)


def _check(x: jax.Array, y: jax.Array, mask: jax.Array | None, block: int, num_anchors: int) -> None:
    n = x.shape[0]
    if y.shape[0] != n or (mask is not None and jnp.shape(mask) != (n,)):
        shown = "" if mask is None else f" and a mask of shape {jnp.shape(mask)}"
        raise ValueError(f"x, y: expected the same samples, got {n} and {y.shape[0]}{shown}")
    if block < 1:
        raise ValueError(f"block: expected at least 1, got {block}")
    if not 1 <= num_anchors <= n:
        raise ValueError(f"num_anchors: expected 1 to n = {n}, got {num_anchors}")


def _offsets(kernel: Kernel, blocks: jax.Array, anchors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean kernel value with the anchors, less half of the anchors' own mean, [blocks, block]; and their largest."""
    among = kernel(anchors, anchors)
    offsets = jax.lax.map(lambda block: jnp.mean(kernel(block, anchors), axis=1) - jnp.mean(among) / 2, blocks)
    return offsets, jax.lax.stop_gradient(jnp.max(jnp.abs(among)))


def prepare(
    x: jax.Array,
    y: jax.Array,
    kernel_x: Kernel,
    kernel_y: Kernel,
    mask: jax.Array | None,
    *,
    block: int,
    num_anchors: int,
) -> Prepared:
    """Pads to whole blocks and centres on anchors; see `gram_sums` for the arguments."""
    _check(x, y, mask, block, num_anchors)
    n = x.shape[0]
    block = min(block, n)
    mask = jnp.ones(n, bool) if mask is None else mask
    padding = -n % block

    def blocks(values: jax.Array) -> jax.Array:
        # Repeating a sample keeps padding inside the kernel's domain.
        padded = jnp.concatenate([values, jnp.broadcast_to(values[:1], (padding, *values.shape[1:]))])
        return padded.reshape(-1, block, *values.shape[1:])

    # Spread evenly over the samples; any set will do, for the results do not depend on it.
    chosen = np.linspace(0, n - 1, num_anchors).astype(np.int32)
    x_blocks, y_blocks = blocks(x), blocks(y)
    weights = jnp.pad(mask, (0, padding)).reshape(-1, block)
    offset_x, scale_x = _offsets(kernel_x, x_blocks, x[chosen])
    offset_y, scale_y = _offsets(kernel_y, y_blocks, y[chosen])
    return Prepared(x_blocks, y_blocks, offset_x, offset_y, weights.astype(offset_x.dtype), scale_x, scale_y)


class _PairSums(NamedTuple):
    rows_x: jax.Array  # [2, block], sums over the columns and over the rows of the pair's matrix
    rows_y: jax.Array
    scalars: jax.Array  # [3], cross and within


def _pair_sums(prepared: Prepared, kernel_x: Kernel, kernel_y: Kernel, i: jax.Array, j: jax.Array) -> _PairSums:
    first, second = (_Block(*(part[k] for part in prepared[:5])) for k in (i, j))
    # Each pair of blocks stands for its mirror image too; a block with itself holds every pair of samples twice.
    twice = jnp.where(i == j, 0.5, 1.0).astype(first.mask.dtype)
    K = kernel_x(first.x, second.x) - first.offset_x[:, None] - second.offset_x[None, :]
    L = kernel_y(first.y, second.y) - first.offset_y[:, None] - second.offset_y[None, :]
    K, L = (gram * first.mask[:, None] for gram in (K, L))
    # Sums down the columns and matrix-vector products: sums along rows are several times slower on a CPU.
    products = [jnp.sum(jnp.sum(a * b, axis=0) * second.mask) for a, b in ((K, L), (K, K), (L, L))]

    def margins(gram: jax.Array) -> jax.Array:
        along = jnp.matmul(gram, second.mask, precision=jax.lax.Precision.HIGHEST)
        return twice * jnp.stack([along, jnp.sum(gram, axis=0) * second.mask])

    return _PairSums(margins(K), margins(L), twice * jnp.stack(products))


def _two_sum(high: jax.Array, low: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
    total = high + value
    back = total - high
    return total, low + ((high - (total - back)) + (value - back))


def accumulate(prepared: Prepared, kernel_x: Kernel, kernel_y: Kernel, pairs: jax.Array, valid: jax.Array) -> GramSums:
    """Sums over some pairs of blocks; the sums over all of `block_pairs` make `gram_sums`.

    Args:
      prepared: result of `prepare`.
      kernel_x: kernel of the first variable.
      kernel_y: kernel of the second variable.
      pairs: [p, 2] pairs of blocks.
      valid: [p] bool, False for pairs to leave out.

    Returns:
      `GramSums` over padded samples with the diagonal still in every sum; count, diagonals and scales zero.
    """
    sums = jax.checkpoint(functools.partial(_pair_sums, kernel_x=kernel_x, kernel_y=kernel_y))
    shape = prepared.mask.shape

    def step(carry: tuple, item: tuple[jax.Array, jax.Array]) -> tuple[tuple, None]:
        (i, j), keep = item[0], item[1].astype(prepared.mask.dtype)
        part = jax.tree.map(lambda value: value * keep, sums(prepared, i=i, j=j))

        def add(rows: tuple[jax.Array, jax.Array], values: jax.Array) -> tuple[jax.Array, jax.Array]:
            for block, value in ((i, values[0]), (j, values[1])):
                updated = _two_sum(rows[0][block], rows[1][block], value)
                rows = pair(whole.at[block].set(row) for whole, row in zip(rows, updated, strict=True))
            return rows

        rows_x, rows_y, (high, low) = carry
        return (
            add(rows_x, part.rows_x),
            add(rows_y, part.rows_y),
            _two_sum(high, low, part.scalars),
        ), None

    dtype = prepared.mask.dtype
    start = tuple((jnp.zeros(size, dtype), jnp.zeros(size, dtype)) for size in (shape, shape, 3))
    totals, _ = jax.lax.scan(step, start, (pairs, valid))
    rows_x, rows_y, scalars = (high + low for high, low in totals)
    nothing = jnp.zeros(rows_x.size, dtype)
    cross, within_x, within_y = 2.0 * scalars
    zero = jnp.zeros((), dtype)
    rows_x, rows_y = rows_x.reshape(-1), rows_y.reshape(-1)
    return GramSums(zero, rows_x, rows_y, nothing, nothing, cross, within_x, within_y, zero, zero)


def complete(sums: GramSums, prepared: Prepared, kernel_x: Kernel, kernel_y: Kernel) -> GramSums:
    """Adds the count, the diagonals and the scales, which need no pairs, and takes the diagonals off the sums."""

    def diagonal(kernel: Kernel, blocks: jax.Array, offsets: jax.Array) -> jax.Array:
        own = jax.vmap(lambda sample: kernel(sample[None], sample[None])[0, 0])
        values = jax.lax.map(own, blocks) - 2.0 * offsets
        return (values * prepared.mask).reshape(-1)

    own_x = diagonal(kernel_x, prepared.x, prepared.offset_x)
    own_y = diagonal(kernel_y, prepared.y, prepared.offset_y)
    return GramSums(
        count=jnp.sum(prepared.mask),
        rows_x=sums.rows_x - own_x,
        rows_y=sums.rows_y - own_y,
        diagonal_x=own_x,
        diagonal_y=own_y,
        cross=sums.cross - jnp.sum(own_x * own_y),
        within_x=sums.within_x - jnp.sum(own_x * own_x),
        within_y=sums.within_y - jnp.sum(own_y * own_y),
        scale_x=prepared.scale_x,
        scale_y=prepared.scale_y,
    )


def gram_sums(
    x: jax.Array,
    y: jax.Array,
    kernel_x: Kernel,
    kernel_y: Kernel,
    mask: jax.Array | None = None,
    *,
    block: int,
    num_anchors: int,
) -> GramSums:
    """The sums over two Gram matrices that every HSIC estimator is made of, a pair of blocks at a time.

    Kernel values are first centred on a few of the samples, as in `centre_against`. No centred measure moves, and the
    sums that later cancel become small; all are compensated.

    Args:
      x: first variable, n samples: [n, d], or [n] labels.
      y: second variable, n samples.
      kernel_x: `k(a, b)`, cross-Gram matrix of two sample sets, symmetric; parameters bound, static callable.
      kernel_y: the same for the second variable.
      mask: [n] bool, False for samples that are padding; all count when None. Padding must be finite.
      block: samples a block, static int; 1024 to 2048 are fastest. block^2 entries of each matrix exist at a time.
      num_anchors: samples to centre on, static int, 1 to n; some hundred do.

    Returns:
      `GramSums`, rows in the order of the samples, padded to whole blocks.

    Raises:
      ValueError: when lengths differ or a number is out of range.

    References:
      [1] Song, Smola, Gretton, Bedo, Borgwardt, "Feature selection via dependence maximization", JMLR 2012, eq. 5.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> kernel = dependence.linear
      >>> sums = dependence.gram_sums(x, x**2, kernel, kernel, block=8, num_anchors=4)
      >>> int(sums.count)
      20
    """
    prepared = prepare(x, y, kernel_x, kernel_y, mask, block=block, num_anchors=num_anchors)
    pairs = block_pairs(prepared.mask.shape[0])
    sums = accumulate(prepared, kernel_x, kernel_y, jnp.asarray(pairs), jnp.ones(len(pairs), bool))
    return complete(sums, prepared, kernel_x, kernel_y)


def _biased(
    count: jax.Array, cross: jax.Array, rows: tuple[jax.Array, jax.Array], diagonal: tuple[jax.Array, jax.Array]
) -> jax.Array:
    row_means = [(row + own) / count for row, own in zip(rows, diagonal, strict=True)]
    means = [jnp.sum(row) / count for row in row_means]
    total = (cross + jnp.sum(diagonal[0] * diagonal[1])) / count / count
    return total - 2.0 * jnp.sum(row_means[0] * row_means[1]) / count + means[0] * means[1]


def _unbiased(count: jax.Array, cross: jax.Array, rows: tuple[jax.Array, jax.Array]) -> jax.Array:
    sums = [jnp.sum(row) / (count - 1.0) for row in rows]
    shared = jnp.sum((rows[0] / (count - 2.0)) * rows[1])
    return (cross + sums[0] * sums[1] * ((count - 1.0) / (count - 2.0)) - 2.0 * shared) / count / (count - 3.0)


def estimates(sums: GramSums) -> StreamedHSIC:
    """Reads the estimators off the sums.

    Args:
      sums: result of `gram_sums`.

    Returns:
      `StreamedHSIC`; larger is more dependent. Unbiased values need 4 samples; ratios of a constant variable are NaN.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, eq. 4.
      [2] Song, Smola, Gretton, Bedo, Borgwardt, JMLR 2012, eq. 5.
      [3] Kornblith, Norouzi, Lee, Hinton, "Similarity of neural network representations revisited", ICML 2019, eq. 4.
    """
    n, x, y = sums.count, sums.rows_x, sums.rows_y
    own_x, own_y = sums.diagonal_x, sums.diagonal_y
    biased, biased_x, biased_y = (
        _biased(n, cross, rows, own)
        for cross, rows, own in (
            (sums.cross, (x, y), (own_x, own_y)),
            (sums.within_x, (x, x), (own_x, own_x)),
            (sums.within_y, (y, y), (own_y, own_y)),
        )
    )
    unbiased, unbiased_x, unbiased_y = (
        _unbiased(n, cross, rows)
        for cross, rows in ((sums.cross, (x, y)), (sums.within_x, (x, x)), (sums.within_y, (y, y)))
    )
    # Rounding is no variation.
    varies = jnp.array(True)
    for own, scale in ((biased_x, sums.scale_x), (biased_y, sums.scale_y)):
        varies &= own > jnp.square(_ROUNDING_UNITS * jnp.finfo(own.dtype).eps * scale)
    cka, debiased = _ratio(varies, biased, biased_x, biased_y), _ratio(varies, unbiased, unbiased_x, unbiased_y)
    return StreamedHSIC(biased, unbiased, cka, debiased)


def _ratio(varies: jax.Array, value: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    defined = varies & (x > 0) & (y > 0)
    x, y = jnp.where(defined, x, 1.0), jnp.where(defined, y, 1.0)
    return jnp.where(defined, value / jnp.sqrt(x) / jnp.sqrt(y), jnp.nan)


def hsic_streamed(
    x: jax.Array,
    y: jax.Array,
    kernel_x: Kernel,
    kernel_y: Kernel,
    mask: jax.Array | None = None,
    *,
    block: int,
    num_anchors: int,
) -> StreamedHSIC:
    """Exact HSIC and CKA without whole Gram matrices: `estimates` of `gram_sums`, which has the arguments.

    Returns:
      `StreamedHSIC`; larger is more dependent.

    Raises:
      ValueError: when lengths differ or a number is out of range.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> kernel = dependence.linear
      >>> round(float(dependence.hsic_streamed(x, x, kernel, kernel, block=8, num_anchors=4).cka), 3)
      1.0
    """
    return estimates(gram_sums(x, y, kernel_x, kernel_y, mask, block=block, num_anchors=num_anchors))
