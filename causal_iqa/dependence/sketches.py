"""HSIC and CKA of a stream, in one pass: sufficient statistics of explicit features that are updated and merged.

`init` with a feature map a variable (`feature_maps`), then `update` with chunks or `merge` of parts seen elsewhere, in
any order, and `finalize`. A sketch is a pytree of fixed shape; all four run inside `jit` and `lax.scan`.

Every chunk is centred on its own mean and joined by the parallel formula of Chan et al., and every sum is kept in two
floats, so neither an offset of the features nor 10^8 rows cost digits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

_PRECISION = jax.lax.Precision.HIGHEST
# Centred features below so many rounding units of their norm are rounding.
_ROUNDING_UNITS = 8


class Pair(NamedTuple):
    """A sum held as two floats, high + low."""

    high: jax.Array
    low: jax.Array


class Moments(NamedTuple):
    """Sufficient statistics of a sample, each map's features followed by their squared norm.

    Attributes:
      count: samples seen.
      mean_x: [D_x + 1].
      mean_y: [D_y + 1].
      cross: sum of products of centred features [D_x + 1, D_y + 1].
      within_x: the same sum for x with itself [D_x + 1, D_x + 1], or None.
      within_y: the same sum for y with itself [D_y + 1, D_y + 1], or None.
    """

    count: Pair
    mean_x: Pair
    mean_y: Pair
    cross: Pair
    within_x: Pair | None
    within_y: Pair | None


class Sketch(NamedTuple):
    """What was seen of a stream under two feature maps.

    Attributes:
      map_x: features of the first variable.
      map_y: features of the second variable.
      moments: the sufficient statistics.
    """

    map_x: Partial
    map_y: Partial
    moments: Moments


class SketchEstimate(NamedTuple):
    """What `finalize` reads off a sketch; every field a scalar.

    Attributes:
      count: samples n.
      hsic_biased: biased HSIC of the features' kernels.
      hsic_unbiased: unbiased HSIC of the features' kernels.
      cka: normalised biased HSIC, None unless the sketch holds the terms within.
      cka_debiased: ratio of the unbiased estimates, None unless the sketch holds the terms within.
      residual_x: 1 - mean |phi(x)|^2, the part of a kernel with k(x, x) = 1 that the map leaves out.
      residual_y: the same for y.
    """

    count: jax.Array
    hsic_biased: jax.Array
    hsic_unbiased: jax.Array
    cka: jax.Array | None
    cka_debiased: jax.Array | None
    residual_x: jax.Array
    residual_y: jax.Array


def _zeros(*shape: int) -> Pair:
    return Pair(jnp.zeros(shape), jnp.zeros(shape))


def _add(pair: Pair, value: jax.Array) -> Pair:
    """Adds with the rounding error kept (Knuth's two-sum)."""
    total = pair.high + value
    back = total - pair.high
    error = (pair.high - (total - back)) + (value - back)
    low = pair.low + error
    high = total + low
    return Pair(high, low - (high - total))


def _join(a: Pair, b: Pair) -> Pair:
    return _add(_add(a, b.high), b.low)


def _value(pair: Pair) -> jax.Array:
    return pair.high + pair.low


def values(sketch: Sketch) -> Moments:
    """The statistics of a sketch as single floats.

    Args:
      sketch: sketch of n samples.

    Returns:
      `Moments` of arrays in place of pairs.
    """
    return jax.tree.map(_value, sketch.moments, is_leaf=lambda node: isinstance(node, Pair))


def _features(feature_map: Partial, x: jax.Array) -> jax.Array:
    features = feature_map(x)
    return jnp.concatenate([features, jnp.sum(features * features, axis=1, keepdims=True)], axis=1)


def init(map_x: Partial, map_y: Partial, x: jax.ShapeDtypeStruct, y: jax.ShapeDtypeStruct, *, within: bool) -> Sketch:
    """An empty sketch.

    Args:
      map_x: feature map of the first variable.
      map_y: feature map of the second variable.
      x: shape and dtype of a chunk of the first variable, or such a chunk; its number of rows does not matter.
      y: the same for the second variable.
      within: whether to keep the terms CKA needs, which triples the largest product, static bool.

    Returns:
      `Sketch` of no samples.
    """
    width_x = jax.eval_shape(map_x, x).shape[1] + 1
    width_y = jax.eval_shape(map_y, y).shape[1] + 1
    inner = [_zeros(width, width) if within else None for width in (width_x, width_y)]
    cross = _zeros(width_x, width_y)
    return Sketch(map_x, map_y, Moments(_zeros(), _zeros(width_x), _zeros(width_y), cross, *inner))


def _centred(features: jax.Array, weight: jax.Array, count: jax.Array) -> tuple[Pair, jax.Array]:
    mean = jnp.matmul(weight, features, precision=_PRECISION) / count
    centred = (features - mean[None, :]) * weight[:, None]
    # What rounding left of the mean is part of it.
    return Pair(mean, jnp.sum(centred, axis=0) / count), centred


def update(sketch: Sketch, x: jax.Array, y: jax.Array, mask: jax.Array | None = None) -> Sketch:
    """Adds a chunk of samples.

    Args:
      sketch: what was seen so far.
      x: chunk of the first variable [b, d]; some thousand rows a chunk are fastest.
      y: chunk of the second variable, b rows.
      mask: [b] bool, False for rows that are padding; all count when None. Padding must be finite.

    Returns:
      `Sketch`.

    Raises:
      ValueError: when the chunks or the mask differ in length.

    References:
      [1] Chan, Golub, LeVeque, "Algorithms for computing the sample variance", American Statistician 1983.
    """
    rows = x.shape[0]
    if y.shape[0] != rows or (mask is not None and jnp.shape(mask) != (rows,)):
        shown = "" if mask is None else f" and a mask of shape {jnp.shape(mask)}"
        raise ValueError(f"x, y: expected the same samples, got {rows} and {y.shape[0]}{shown}")
    weight = jnp.ones(rows) if mask is None else mask.astype(jnp.float32)
    count = jnp.sum(weight)
    divisor = jnp.maximum(count, 1.0)
    mean_x, phi = _centred(_features(sketch.map_x, x), weight, divisor)
    mean_y, psi = _centred(_features(sketch.map_y, y), weight, divisor)

    def product(a: jax.Array, b: jax.Array) -> Pair:
        value = jnp.matmul(a.T, b, precision=_PRECISION)
        return Pair(value, jnp.zeros_like(value))

    within = sketch.moments.within_x is not None
    chunk = Moments(
        count=Pair(count, jnp.zeros_like(count)),
        mean_x=mean_x,
        mean_y=mean_y,
        cross=product(phi, psi),
        within_x=product(phi, phi) if within else None,
        within_y=product(psi, psi) if within else None,
    )
    return sketch._replace(moments=merge_moments(sketch.moments, chunk))


def merge(a: Sketch, b: Sketch) -> Sketch:
    """Joins the sketches of two parts of a sample; associative and commutative up to rounding.

    Args:
      a: sketch of one part.
      b: sketch of the other, with the same maps (those of `a` are kept).

    Returns:
      `Sketch` of both.

    References:
      [1] Chan, Golub, LeVeque, "Algorithms for computing the sample variance", American Statistician 1983, eq. 1.5.
    """
    return a._replace(moments=merge_moments(a.moments, b.moments))


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Joins the statistics of two parts of a sample; see `merge`."""
    count = _join(a.count, b.count)
    total = jnp.maximum(_value(count), 1.0)
    share = _value(b.count) / total
    weight = _value(a.count) * share

    def difference(before: Pair, after: Pair) -> jax.Array:
        return (after.high - before.high) + (after.low - before.low)

    step_x, step_y = difference(a.mean_x, b.mean_x), difference(a.mean_y, b.mean_y)

    def products(before: Pair, after: Pair, left: jax.Array, right: jax.Array) -> Pair:
        return _add(_join(before, after), weight * left[:, None] * right[None, :])

    def within(before: Pair | None, after: Pair | None, step: jax.Array) -> Pair | None:
        return None if before is None or after is None else products(before, after, step, step)

    return Moments(
        count,
        _add(a.mean_x, share * step_x),
        _add(a.mean_y, share * step_y),
        products(a.cross, b.cross, step_x, step_y),
        within(a.within_x, b.within_x, step_x),
        within(a.within_y, b.within_y, step_y),
    )


def update_all(sketch: Sketch, x: jax.Array, y: jax.Array, mask: jax.Array | None = None, *, chunk: int) -> Sketch:
    """Adds many samples, a chunk at a time; the last may be short.

    Args:
      sketch: what was seen so far.
      x: first variable, n rows.
      y: second variable, n rows.
      mask: [n] bool, False for rows that are padding; all count when None.
      chunk: rows a step, static int, at least 1.

    Returns:
      `Sketch`.

    Raises:
      ValueError: when lengths differ or the chunk is below 1.
    """
    if chunk < 1:
        raise ValueError(f"chunk: expected at least 1, got {chunk}")
    n = x.shape[0]
    whole = n // chunk * chunk

    def step(sketch: Sketch, part: tuple[jax.Array, ...]) -> tuple[Sketch, None]:
        return update(sketch, *part), None

    parts = (x, y) if mask is None else (x, y, mask)
    if len({part.shape[0] for part in parts}) != 1:
        raise ValueError(f"x, y, mask: expected the same samples, got {[part.shape[0] for part in parts]}")
    if whole:
        stacked = tuple(part[:whole].reshape(-1, chunk, *part.shape[1:]) for part in parts)
        sketch, _ = jax.lax.scan(step, sketch, stacked)
    return update(sketch, *(part[whole:] for part in parts)) if n > whole else sketch


def _hsic(moments: Pair, mean_a: Pair, mean_b: Pair, count: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Biased and unbiased HSIC, from features centred on the sample mean so that rows of the Gram matrix sum to zero.

    With d_i and e_i the squared norms of the centred features, the unbiased numerator is the sum of K L over all pairs,
    less sum d e, plus sum d sum e / ((n-1)(n-2)), less 2 sum d e / (n-2).
    """
    covariance = _value(moments) / count
    biased = jnp.sum(jnp.square(covariance[:-1, :-1]))

    def norms(mean: Pair) -> tuple[jax.Array, jax.Array]:
        features, square = _value(mean)[:-1], _value(mean)[-1]
        # |phi - mu|^2 = |phi|^2 - 2 phi . mu + |mu|^2: linear in the features and their squared norm.
        return jnp.append(-2.0 * features, 1.0), square - jnp.sum(features * features)

    (a, mean_d), (b, mean_e) = norms(mean_a), norms(mean_b)
    products = count * (jnp.einsum("i,ij,j->", a, covariance, b, precision=_PRECISION) + mean_d * mean_e)
    correction = mean_d * mean_e * (count / (count - 1.0)) * (count / (count - 2.0))
    numerator = count * biased * count - products * (1.0 + 2.0 / (count - 2.0)) + correction
    return biased, numerator / count / (count - 3.0)


def finalize(sketch: Sketch) -> SketchEstimate:
    """Reads the estimates off a sketch.

    They are exact for the kernels phi . phi and psi . psi. As estimates for the kernels k and l the maps stand for:
    - Fourier: `hsic_unbiased` has the expectation of the exact unbiased HSIC, over frequencies too, since the two maps
      are independent. For m frequencies on each side the biased HSIC is off by more than t with probability at most
      2 exp(-2 m t^2); `frequency_error` measures the spread.
    - Nystrom, k(x, x) = 1: 0 <= HSIC_b - hsic_biased <= residual_x + residual_y, with no chance in it.
    - Linear and delta: no error.

    Args:
      sketch: sketch of n samples, n at least 4 for the unbiased estimates.

    Returns:
      `SketchEstimate`; larger is more dependent. The ratios are NaN for a constant variable.

    References:
      [1] Song, Smola, Gretton, Bedo, Borgwardt, "Feature selection via dependence maximization", JMLR 2012, eq. 5.
      [2] Zhang, Filippi, Gretton, Sejdinovic, "Large-scale kernel methods for independence testing", Statistics and
          Computing 2018, sections 3 and 4.
      [3] Hoeffding, "Probability inequalities for sums of bounded random variables", JASA 1963, section 5b.
    """
    moments = sketch.moments
    count = _value(moments.count)
    biased, unbiased = _hsic(moments.cross, moments.mean_x, moments.mean_y, count)
    cka = cka_debiased = None
    if moments.within_x is not None and moments.within_y is not None:
        biased_x, unbiased_x = _hsic(moments.within_x, moments.mean_x, moments.mean_x, count)
        biased_y, unbiased_y = _hsic(moments.within_y, moments.mean_y, moments.mean_y, count)
        varies = jnp.array(True)
        for own, mean in ((biased_x, moments.mean_x), (biased_y, moments.mean_y)):
            # Rounding is no variation; the mean squared norm is the unit of both.
            varies &= own > jnp.square(_ROUNDING_UNITS * jnp.finfo(own.dtype).eps * _value(mean)[-1])
        cka = _ratio(varies, biased, biased_x, biased_y)
        cka_debiased = _ratio(varies, unbiased, unbiased_x, unbiased_y)
    residuals = (1.0 - _value(mean)[-1] for mean in (moments.mean_x, moments.mean_y))
    return SketchEstimate(count, biased, unbiased, cka, cka_debiased, *residuals)


def _ratio(varies: jax.Array, value: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    defined = varies & (x > 0) & (y > 0)
    x, y = jnp.where(defined, x, 1.0), jnp.where(defined, y, 1.0)
    return jnp.where(defined, value / jnp.sqrt(x) / jnp.sqrt(y), jnp.nan)


def frequency_error(sketch: Sketch) -> jax.Array:
    """Standard error of HSIC over the random frequencies of two Fourier maps, estimated from this one draw of them.

    HSIC is a mean over pairs of frequencies, one of each map, of a squared covariance; its variance is at most that of
    the means over one map's frequencies divided by their number, plus the same term for the other map.

    Args:
      sketch: a sketch with a Fourier map for either variable, 2 frequencies or more.

    Returns:
      Scalar, in the unit of HSIC. It leaves out the sampling error of the n samples.

    Raises:
      ValueError: when a map has not an even number of at least 4 features.

    References:
      [1] Hoeffding, "A class of statistics with asymptotically normal distribution", Annals of Mathematical Statistics
          1948, section 5.
    """
    covariance = (_value(sketch.moments.cross) / _value(sketch.moments.count))[:-1, :-1]
    rows, columns = covariance.shape
    if rows % 2 or columns % 2 or min(rows, columns) < 4:
        raise ValueError(f"sketch: expected two Fourier maps of 2 frequencies or more, got {rows} x {columns} features")
    squares = jnp.sum(jnp.square(covariance).reshape(2, rows // 2, 2, columns // 2), axis=(0, 2))
    squares = squares * (rows // 2) * (columns // 2)
    by_x, by_y = jnp.mean(squares, axis=1), jnp.mean(squares, axis=0)
    return jnp.sqrt(jnp.var(by_x, ddof=1) / by_x.size + jnp.var(by_y, ddof=1) / by_y.size)
