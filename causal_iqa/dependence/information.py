"""Mutual information, in nats: of continuous variables, of a continuous one with labels, and of labels."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from causal_iqa import _checks
from causal_iqa._arrays import total

# Samples whose neighbours are sought at once: columns of distance matrices, which a fold over rows takes abreast.
_COLUMNS = 256
# Number of dimensions that are written out instead of looped over.
_UNROLLED_DIMENSIONS = 8
# Neighbours up to which a fold keeps the nearest in order; beyond, distances are sorted.
_FOLDED_NEIGHBOURS = 16


def _check_pair(x: jax.Array, y: jax.Array, names: str) -> int:
    if jnp.shape(x)[0] != jnp.shape(y)[0]:
        raise ValueError(f"{names}: expected the same samples, got {jnp.shape(x)[0]} and {jnp.shape(y)[0]}")
    return jnp.shape(x)[0]


def _check_neighbours(num_neighbours: int, n: int) -> None:
    if not 1 <= num_neighbours < n:
        raise ValueError(f"num_neighbours: expected 1 to n - 1 = {n - 1}, got {num_neighbours}")


def _chebyshev(row: jax.Array, columns: jax.Array) -> jax.Array:
    """Largest absolute difference of one sample [d] from each of [d, b]."""
    if len(row) > _UNROLLED_DIMENSIONS:
        return jnp.max(jnp.abs(row[:, None] - columns), axis=0)
    return functools.reduce(jnp.maximum, [jnp.abs(row[i] - columns[i]) for i in range(len(row))])


def _fold(update: Callable[..., jax.Array], first: jax.Array, rows: tuple[jax.Array, ...]) -> jax.Array:
    """Folds rows into one; on a CPU several times faster than a reduction of what `update` computes."""
    return jax.lax.scan(lambda carry, row: (update(carry, *row), None), first, rows)[0]


def _nearest(distances: jax.Array, num_neighbours: int) -> jax.Array:
    """The smallest values of every column [n, b], in order [num_neighbours, b]."""
    if num_neighbours > _FOLDED_NEIGHBOURS:
        return jnp.sort(distances, axis=0)[:num_neighbours]

    def insert(nearest: jax.Array, row: jax.Array) -> jax.Array:
        kept = []
        for i in range(num_neighbours):
            kept.append(jnp.minimum(nearest[i], row))
            row = jnp.maximum(nearest[i], row)
        return jnp.stack(kept)

    return _fold(insert, jnp.full((num_neighbours, distances.shape[1]), jnp.inf, distances.dtype), (distances,))


def _distances(x: jax.Array, columns: jax.Array, own: jax.Array) -> jax.Array:
    """Distances of samples [n, d] from some of them [b, d], [n, b]; infinite of each from itself."""
    columns = columns.T
    rows = jax.lax.map(lambda row: _chebyshev(row, columns), x)
    return jnp.where(jnp.arange(len(x))[:, None] == own[None, :], jnp.inf, rows)


def _over_samples(fn: Callable[[jax.Array], jax.Array], n: int) -> jax.Array:
    """Applies fn to the indices of some samples at a time [b], and returns its results for all samples [n]."""
    b = min(n, _COLUMNS)
    own = jnp.pad(jnp.arange(n), (0, -n % b)).reshape(-1, b)
    return jax.lax.map(fn, own).reshape(-1)[:n]


def mutual_information_ksg(x: jax.Array, y: jax.Array, *, num_neighbours: int) -> jax.Array:
    """Mutual information of continuous variables by nearest neighbours: the first estimator of Kraskov et al.

    psi(k) + psi(n) - mean_i [psi(n_x(i) + 1) + psi(n_y(i) + 1)], n_x(i) the number of samples strictly closer to i in x
    than its k-th neighbour is in the joint space, with the largest of both distances. Distances within a variable are
    the largest coordinate difference: bring coordinates to one unit first; between variables no common unit is needed.

    Args:
      x: samples [n, d], without ties.
      y: samples [n, e], without ties.
      num_neighbours: k, static int, 1 to n - 1; 3 to 5 is usual, larger is smoother and more biased.

    Returns:
      Scalar in nats; near 0 for independent variables, for which it is often negative. It is not differentiable.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, or k is out of range.

    References:
      [1] Kraskov, Stoegbauer, Grassberger, "Estimating mutual information", Physical Review E 2004, eq. 8.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> bool(dependence.mutual_information_ksg(x, x, num_neighbours=3) > 1)
      True
    """
    x, y = jnp.asarray(_checks.as_samples(x)), jnp.asarray(_checks.as_samples(y, "y"))
    n = _check_pair(x, y, "x, y")
    _check_neighbours(num_neighbours, n)

    def terms(own: jax.Array) -> jax.Array:
        in_x, in_y = _distances(x, x[own], own), _distances(y, y[own], own)
        radius = _nearest(jnp.maximum(in_x, in_y), num_neighbours)[-1]
        none = jnp.zeros(own.shape, jnp.int32)
        counts = [_fold(lambda count, row: count + (row < radius).astype(jnp.int32), none, (d,)) for d in (in_x, in_y)]
        return total(digamma(count + 1.0) for count in counts)

    mean = jnp.mean(_over_samples(terms, n))
    return digamma(float(num_neighbours)) + digamma(float(n)) - mean


def mutual_information_mixed(x: jax.Array, labels: jax.Array, *, num_neighbours: int) -> jax.Array:
    """Mutual information of a continuous variable with a categorical one by nearest neighbours (Ross).

    psi(n) + mean psi(k_i) - mean psi(n_i) - mean psi(m_i): n_i samples share the label of i, k_i = min(k, n_i - 1), and
    m_i others of any label are at most as far as its k_i-th neighbour of that label. Samples whose label occurs once
    are left out.

    Args:
      x: samples [n, d], without ties, coordinates in one unit.
      labels: integers [n].
      num_neighbours: k, static int, 1 to n - 1.

    Returns:
      Scalar in nats; near 0 for independent variables, for which it is often negative. NaN when no label occurs twice.

    Raises:
      ValueError: when x is not [n, d], labels are not [n], or k is out of range.
      TypeError: when labels are not integers.

    References:
      [1] Ross, "Mutual information between discrete and continuous data sets", PLoS ONE 2014, eq. 2.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> bool(dependence.mutual_information_mixed(x, (x[:, 0] > 0).astype(int), num_neighbours=3) > 0.4)
      True
    """
    x, labels = jnp.asarray(_checks.as_samples(x)), jnp.asarray(_checks.as_labels(labels))
    n = _check_pair(x, labels, "x, labels")
    _check_neighbours(num_neighbours, n)

    alike = jnp.sum(labels[:, None] == labels[None, :], axis=1)
    used = alike > 1

    def terms(own: jax.Array) -> jax.Array:
        distance = jnp.where(used[:, None], _distances(x, x[own], own), jnp.inf)
        same = jnp.where(labels[:, None] == labels[own][None, :], distance, jnp.inf)
        neighbours = jnp.clip(alike[own] - 1, 1, num_neighbours)
        radius = _nearest(same, num_neighbours)[neighbours - 1, jnp.arange(len(own))]
        none = jnp.zeros(own.shape, jnp.int32)
        within = _fold(lambda count, row: count + (row <= radius).astype(jnp.int32), none, (distance,))
        return digamma(neighbours * 1.0) - digamma(alike[own] * 1.0) - digamma(within * 1.0)

    value = jnp.where(used, _over_samples(terms, n), 0.0)
    count = jnp.sum(used)
    return jnp.where(count > 0, digamma(count * 1.0) + jnp.sum(value) / jnp.maximum(count, 1), jnp.nan)


def _joint_counts(labels_x: jax.Array, labels_y: jax.Array, num_x: int, num_y: int) -> jax.Array:
    labels_x, labels_y = _checks.as_labels(labels_x, "labels_x"), _checks.as_labels(labels_y, "labels_y")
    _check_pair(labels_x, labels_y, "labels_x, labels_y")
    for count, name in ((num_x, "num_x"), (num_y, "num_y")):
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count}")
    # A negative index counts from the end.
    inside_x, inside_y = (jnp.where(v < 0, count, v) for v, count in ((labels_x, num_x), (labels_y, num_y)))
    return jnp.zeros((num_x, num_y), jnp.int32).at[inside_x, inside_y].add(1, mode="drop")


def _plug_in(counts: jax.Array) -> jax.Array:
    joint = counts / jnp.maximum(jnp.sum(counts), 1)
    independent = jnp.sum(joint, axis=1, keepdims=True) * jnp.sum(joint, axis=0, keepdims=True)
    occurs = joint > 0
    ratio = jnp.where(occurs, joint / jnp.where(occurs, independent, 1.0), 1.0)
    return jnp.sum(joint * jnp.log(ratio))


def mutual_information_plug_in(labels_x: jax.Array, labels_y: jax.Array, *, num_x: int, num_y: int) -> jax.Array:
    """Mutual information of the empirical distribution of two labels, sum p(x, y) log(p(x, y) / (p(x) p(y))).

    Args:
      labels_x: integers [n] in [0, num_x); pairs with a label outside are not counted.
      labels_y: integers [n] in [0, num_y).
      num_x: static int, at least 1.
      num_y: static int, at least 1.

    Returns:
      Scalar in nats, not negative; its bias under independence is near (num_x - 1) (num_y - 1) / (2 n).

    Raises:
      ValueError: when labels are not [n] of one length, or a number is below 1.
      TypeError: when labels are not integers.

    References:
      [1] Cover, Thomas, "Elements of Information Theory", 2nd edition, eq. 2.28.

    Examples:
      >>> labels = np.array([0, 1, 0, 1])
      >>> round(float(dependence.mutual_information_plug_in(labels, labels, num_x=2, num_y=2)), 3)
      0.693
    """
    return _plug_in(_joint_counts(labels_x, labels_y, num_x, num_y))


def mutual_information_miller_madow(labels_x: jax.Array, labels_y: jax.Array, *, num_x: int, num_y: int) -> jax.Array:
    """`mutual_information_plug_in` minus its leading bias, (cells - rows - columns + 1) / (2 n) of those that occur.

    Args:
      labels_x: integers [n] in [0, num_x); pairs with a label outside are not counted.
      labels_y: integers [n] in [0, num_y).
      num_x: static int, at least 1.
      num_y: static int, at least 1.

    Returns:
      Scalar in nats, near 0 for independent labels, for which it is often negative.

    Raises:
      ValueError: when labels are not [n] of one length, or a number is below 1.
      TypeError: when labels are not integers.

    References:
      [1] Miller, "Note on the bias of information estimates", in Information Theory in Psychology, 1955.
      [2] Roulston, "Estimating the errors on measured entropy and mutual information", Physica D 1999, eq. 20.

    Examples:
      >>> labels = np.arange(8) % 2
      >>> round(float(dependence.mutual_information_miller_madow(labels, labels, num_x=2, num_y=2)), 3)
      0.756
    """
    counts = _joint_counts(labels_x, labels_y, num_x, num_y)
    occurring = [jnp.sum(c > 0) for c in (counts, jnp.sum(counts, axis=1), jnp.sum(counts, axis=0))]
    excess = occurring[0] - occurring[1] - occurring[2] + 1
    return _plug_in(counts) - excess / (2.0 * jnp.maximum(jnp.sum(counts), 1))
