"""Tests of the independences that graphs imply, on columns of a table, by the dependence room.

The rows of one image under many conditions are copies of one scene, not independent draws, and a test that counted
them as such would reject everything. So every image gives one row: `one_row_per_image` deals the conditions out to the
images at random, in equal numbers. What a graph implies holds whatever the distribution of the condition.
"""

import dataclasses
import functools
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import dependence
from causal_iqa._arrays import Array
from causal_iqa.causal import permuted_images
from causal_iqa.causal.graphs import Independence

# Fewer rows, or fewer in strata with company, decide nothing.
LEAST_ROWS = 20
# Up to here the kernel test with its Cholesky factor, beyond it random features.
_MOST_KCI_ROWS = 1500
# Below this many rows a gamma law of three moments is worse than permutations.
_LEAST_GAMMA_ROWS = 50
_LEAST_MEDIAN = 0.5
_RIDGE = 1e-3
# Permutations within larger strata take long, and there the regression on their means is as good.
_LARGEST_STRATUM = 64
_FREQUENCIES, _FREQUENCIES_Z = 5, 50


@dataclasses.dataclass(frozen=True)
class Column:
    """A variable over n rows: labels, numbers, or both (a degradation and its severity).

    Attributes:
      labels: integers [n], or None.
      numbers: [n] or None; not finite where undefined.
    """

    labels: np.ndarray | None = None
    numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {np.shape(values) for values in (self.labels, self.numbers) if values is not None}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise ValueError(f"labels, numbers: expected at least one, of one shape [n], got {sorted(lengths)}")

    @property
    def is_discrete(self) -> bool:
        """Whether rows can be grouped by its value."""
        return self.labels is not None

    @property
    def defined(self) -> np.ndarray:
        """Returns bool [n], where it has a value."""
        if self.numbers is not None:
            return np.isfinite(self.numbers)
        assert self.labels is not None, "a column has labels or numbers"
        return np.ones(len(self.labels), bool)

    def take(self, rows: np.ndarray) -> "Column":
        """Returns the column of some rows."""
        return Column(*(None if values is None else np.asarray(values)[rows] for values in (self.labels, self.numbers)))


class IndependenceTest(NamedTuple):
    """Result of testing one independence.

    Attributes:
      p_value: small against it; NaN when it was not tested.
      method: the test of the dependence room.
      num_rows: rows that were used.
      reason: why it was not tested, else empty.
    """

    p_value: float
    method: str
    num_rows: int
    reason: str


def numeric_column(values: np.ndarray, *, most_levels: int = 8) -> Column:
    """A column of numbers; with few distinct values they count as labels too, so that rows can be grouped by them.

    Args:
      values: [n], not finite where undefined.
      most_levels: so many distinct values make labels.

    Returns:
      The column; labels only where no value is missing.

    Examples:
      >>> causal.numeric_column(np.array([0.5, 2.0, 0.5])).labels.tolist()
      [0, 1, 0]
    """
    values = np.asarray(values, np.float64)
    levels, labels = np.unique(values, return_inverse=True)
    if len(levels) <= most_levels and np.isfinite(values).all():
        return Column(labels=labels)
    return Column(numbers=values)


def one_row_per_image(
    key: jax.Array, num_images: int, num_conditions: int, *, per_condition: int = 8, most: int = 4000
) -> tuple[np.ndarray, np.ndarray]:
    """Deals conditions out to images, each image once.

    With few images only some conditions are used, drawn at random, so that each is seen `per_condition` times.

    Args:
      key: random key.
      num_images: N.
      num_conditions: C.
      per_condition: images for each condition, at least, where there are that many.
      most: most of the images, drawn at random.

    Returns:
      (conditions [n], images [n]), places in the table: numbers of images per condition differ by one at most.

    Examples:
      >>> conditions, images = causal.one_row_per_image(jax.random.key(0), 40, 5)
      >>> np.bincount(conditions).tolist(), len(set(images.tolist()))
      ([8, 8, 8, 8, 8], 40)
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    images = rng.permutation(num_images)[:most]
    used = min(num_conditions, max(2, len(images) // per_condition))
    conditions = np.sort(rng.permutation(num_conditions)[:used])
    return conditions[np.arange(len(images)) % used], images


def independence_test(
    key: jax.Array, x: Column, y: Column, given: Sequence[Column] = (), *, num_permutations: int = 1000
) -> IndependenceTest:
    """Tests X _||_ Y | Z on rows that are independent draws.

    The test follows the kinds of columns. Nothing given: HSIC with the permutation law's gamma approximation, or
    permutations below 50 rows and where all but some 40 rows have one label. Labels given: HSIC with permutations
    within strata, exact, where no stratum has more than 64 rows. A number given, or larger strata: KCI up to 1500 rows,
    RCIT on random features beyond. Numbers are seen as normal scores through a Gaussian kernel with the median
    heuristic, labels through the delta kernel, and a pair (degradation d, severity s) through
    (1 + delta(d, d')) k(s, s') / 2.

    Args:
      key: random key of permutations or features.
      x: [n].
      y: [n].
      given: columns [n] conditioned on.
      num_permutations: B; no p-value is below 1 / (1 + B) where permutations are used.

    Returns:
      `IndependenceTest` over the rows where all columns are defined.

    Raises:
      ValueError: when lengths differ.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007.
      [2] Rosenbaum, "Conditional permutation tests and the propensity score in observational studies", JASA 1984.
      [3] Zhang, Peters, Janzing, Schoelkopf, "Kernel-based conditional independence test", UAI 2011.
      [4] Strobl, Zhang, Visweswaran, "Approximate kernel-based conditional independence tests", JCI 2019.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = rng.normal(size=60)
      >>> columns = causal.numeric_column(x), causal.numeric_column(x + rng.normal(size=60))
      >>> bool(causal.independence_test(jax.random.key(0), *columns).p_value < 0.01)
      True
    """
    columns = (x, y, *given)
    lengths = {len(column.defined) for column in columns}
    if len(lengths) != 1:
        raise ValueError(f"x, y, given: expected one number of rows, got {sorted(lengths)}")
    rows = np.flatnonzero(np.logical_and.reduce([column.defined for column in columns]))
    x, y, *given = (column.take(rows) for column in columns)
    n = len(rows)
    if n < LEAST_ROWS:
        return IndependenceTest(math.nan, "", n, f"{n} rows with every value, fewer than {LEAST_ROWS}")
    if any(len(np.unique(_groups([column]))) < 2 for column in (x, y)):
        return IndependenceTest(math.nan, "", n, "a variable never varies")
    if not given:
        return _unconditional(key, x, y, num_permutations)
    if all(column.is_discrete for column in given):
        labels = _groups(given)
        if np.bincount(labels).max() <= _LARGEST_STRATUM:
            return _within_strata(key, x, y, labels, num_permutations)
    return _by_regression(key, x, y, given)


def hsic_gamma_p_value(K: Array, L: Array) -> float:
    """P-value of HSIC by the gamma law of its exact permutation moments.

    Args:
      K: Gram matrix [n, n] of one variable.
      L: L of the other.
    """
    return float(_gamma_test(jnp.asarray(K, jnp.float32), jnp.asarray(L, jnp.float32)).p_value)


def _unconditional(key: jax.Array, x: Column, y: Column, num_permutations: int) -> IndependenceTest:
    K, L = _gram(x), _gram(y)
    for labelled, other in ((x, L), (y, K)):
        if labelled.numbers is None and labelled.labels is not None and _is_scarce(labelled.labels):
            p_value = permuted_images.drawn_kernel_p_value(
                key, other, labelled.labels, num_permutations=num_permutations
            )
            return IndependenceTest(p_value, "HSIC, permutations", len(K), "")
    if len(K) < _LEAST_GAMMA_ROWS:
        found = _permutation_test(key, K, L, num_permutations)
        return IndependenceTest(float(found.p_value), "HSIC, permutations", len(K), "")
    return IndependenceTest(hsic_gamma_p_value(K, L), "HSIC, gamma", len(K), "")


def _is_scarce(labels: np.ndarray) -> bool:
    member = labels[None] == np.unique(labels)[:, None]
    centred = member - member.mean(axis=1, keepdims=True)
    return permuted_images.effective_count(centred[:, None]) < permuted_images.LEAST_OF_RARER


def _within_strata(key: jax.Array, x: Column, y: Column, labels: np.ndarray, num_permutations: int) -> IndependenceTest:
    sizes = np.bincount(labels)
    kept = np.flatnonzero(sizes[labels] >= 3)
    if len(kept) < LEAST_ROWS:
        reason = f"{len(kept)} rows in strata of three or more, fewer than {LEAST_ROWS}"
        return IndependenceTest(math.nan, "", len(kept), reason)
    labels = np.unique(labels[kept], return_inverse=True)[1]
    sizes = np.bincount(labels)
    found = _stratified_test(
        key,
        _gram(x.take(kept)),
        _gram(y.take(kept)),
        jnp.asarray(labels),
        len(sizes),
        int(sizes.max()),
        num_permutations,
    )
    return IndependenceTest(float(found.p_value), "HSIC, permutations within strata", len(kept), "")


def _by_regression(key: jax.Array, x: Column, y: Column, given: Sequence[Column]) -> IndependenceTest:
    n = len(x.defined)
    if n <= _MOST_KCI_ROWS:
        # A narrow kernel of Z follows the curves that a test on residuals must not leave behind.
        numbers = sum(column.numbers is not None for column in given)
        K_z = functools.reduce(jnp.multiply, [_gram(column, width=0.5 * math.sqrt(numbers)) for column in given])
        joint = _gram(x) * functools.reduce(jnp.multiply, [_gram(column, width=2.0) for column in given])
        return IndependenceTest(float(_kci_test(joint, _gram(y), K_z).p_value), "KCI", n, "")
    keys = jax.random.split(key, 3)
    f_x = _features(keys[0], [x], _FREQUENCIES)
    f_y = _features(keys[1], [y, *given], _FREQUENCIES)
    f_z = _features(keys[2], given, _FREQUENCIES_Z, width=0.5 * math.sqrt(len(given)))
    return IndependenceTest(float(_randomised_test(f_x, f_y, f_z).p_value), "RCIT", n, "")


# One compiled program per number of rows serves all columns.
_gamma_test = jax.jit(dependence.hsic_gamma_test)
_permutation_test = jax.jit(
    lambda key, K, L, count: dependence.hsic_permutation_test(key, K, L, num_permutations=count), static_argnums=3
)
_kci_test = jax.jit(functools.partial(dependence.kci_test, ridge=_RIDGE))
_randomised_test = jax.jit(functools.partial(dependence.randomised_test, ridge=_RIDGE))
_delta = jax.jit(dependence.delta)


@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _stratified_test(key, K, L, labels, num_strata, largest, num_permutations):
    sizes = {"num_strata": num_strata, "largest": largest, "num_permutations": num_permutations}
    return dependence.conditional_permutation_test(key, K, L, labels, **sizes)


@jax.jit
def _gaussian(numbers: jax.Array, width: jax.Array) -> jax.Array:
    scores = dependence.normal_scores(numbers[:, None])
    bandwidth = jnp.maximum(dependence.median_heuristic(scores), _LEAST_MEDIAN)
    return dependence.rbf(scores, scores, bandwidth=width * bandwidth)


def _gram(column: Column, *, width: float = 1.0) -> jax.Array:
    """Gram matrix float32 [n, n] of a column; `width` scales the bandwidth of its numbers."""
    same = None if column.labels is None else _delta(*[jnp.asarray(column.labels, jnp.int32)] * 2)
    if column.numbers is None:
        assert same is not None, "a column has labels or numbers"
        return same
    near = _gaussian(jnp.asarray(column.numbers, jnp.float32), jnp.float32(width))
    return near if same is None else (1.0 + same) * near / 2.0


def _features(key: jax.Array, columns: Iterable[Column], num_frequencies: int, *, width: float = 1.0) -> jax.Array:
    """Features [n, m]: one-hot labels, and random Fourier features of all numbers together."""
    parts, numbers = [], []
    for column in columns:
        if column.labels is not None:
            parts.append(jax.nn.one_hot(jnp.asarray(column.labels), int(column.labels.max()) + 1))
        if column.numbers is not None:
            numbers.append(jnp.asarray(column.numbers, jnp.float32))
    if numbers:
        parts.append(_fourier(key, jnp.stack(numbers, axis=1), num_frequencies, jnp.float32(width)))
    return jnp.concatenate(parts, axis=1)


@functools.partial(jax.jit, static_argnums=2)
def _fourier(key: jax.Array, numbers: jax.Array, num_frequencies: int, width: jax.Array) -> jax.Array:
    scores = dependence.normal_scores(numbers)
    bandwidth = width * jnp.maximum(dependence.median_heuristic(scores), _LEAST_MEDIAN)
    to_map = dependence.fourier_map(key, scores.shape[1], num_frequencies=num_frequencies, bandwidth=bandwidth)
    return to_map(scores)


def _groups(columns: Sequence[Column]) -> np.ndarray:
    """Number [n] of the distinct joint value of every row."""
    values = [v for column in columns for v in (column.labels, column.numbers) if v is not None]
    return np.unique(np.stack([np.asarray(v, np.float64) for v in values], axis=1), axis=0, return_inverse=True)[
        1
    ].ravel()


def statement_tests(
    key: jax.Array,
    statements: Iterable[Independence],
    columns: Mapping[str, Column],
    *,
    num_permutations: int = 1000,
) -> dict[Independence, IndependenceTest]:
    """Tests statements about named columns.

    Args:
      key: random key; each statement draws from its own.
      statements: each tested once.
      columns: node -> column over the same independent rows.
      num_permutations: B.

    Returns:
      statement -> result; a statement about a node without a column is not tested.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> columns = {"Q": causal.numeric_column(q[0]), "M": causal.numeric_column(m[0])}
      >>> statement = causal.Independence("Q", "M", frozenset())
      >>> bool(causal.statement_tests(jax.random.key(0), [statement], columns)[statement].p_value < 0.05)
      True
    """
    found = {}
    for one in dict.fromkeys(statements):
        missing = sorted({one.x, one.y, *one.given} - set(columns))
        if missing:
            found[one] = IndependenceTest(math.nan, "", 0, f"no column for {', '.join(missing)}")
            continue
        given = [columns[node] for node in sorted(one.given)]
        own = jax.random.fold_in(key, zlib.crc32(f"{one.x},{one.y},{sorted(one.given)}".encode()))
        found[one] = independence_test(own, columns[one.x], columns[one.y], given, num_permutations=num_permutations)
    return found
