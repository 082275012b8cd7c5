"""The three alignment numbers, each a Spearman correlation, computed exactly on the host in float64.

Scores and performances are tables [C, N]: conditions (degradation and severity) by images. A higher score means better
quality, so the direction of a metric is settled before it comes here. An entry that is NaN or infinite (PSNR of equal
images) is undefined and left out; a correlation that cannot be computed is NaN, never 0.
"""

from typing import NamedTuple

import numpy as np

# Two means closer than this, relative to the largest, differ by the order of summation only.
_TIE_DIGITS = 12


class Within(NamedTuple):
    """Mean correlation inside the conditions: rho in [-1, 1], and how many conditions had one."""

    rho: float
    num_conditions: int


def between(q: np.ndarray, m: np.ndarray) -> float:
    """Spearman correlation, over conditions, of mean score and mean performance.

    Each mean runs over the table's own defined entries. Means that agree to 12 digits of the largest are ties.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N] in [0, 1]; NaN where undefined.

    Returns:
      rho in [-1, 1], higher is better; NaN with fewer than two conditions or when either mean is constant.

    Raises:
      ValueError: when the tables are not of one shape [C, N].

    References:
      [1] C. Spearman (1904), The proof and measurement of association between two things.

    Examples:
      >>> q = np.array([[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]])
      >>> m = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
      >>> round(alignment.between(q, m), 3)
      1.0
    """
    q, m = check_tables(q, m)
    ones = np.ones((1, q.shape[1]))
    return float(masked_spearman(condition_means(q, ones), condition_means(m, ones))[0])


def within(q: np.ndarray, m: np.ndarray) -> Within:
    """Mean over conditions of the Spearman correlation, over images, of score and performance.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N] in [0, 1]; NaN where undefined.

    Returns:
      The mean rho in [-1, 1], higher is better, over the conditions where both vary, and their number. NaN and 0 when
      there is none.

    Raises:
      ValueError: when the tables are not of one shape [C, N].

    References:
      [1] C. Spearman (1904), The proof and measurement of association between two things.

    Examples:
      >>> q = np.array([[3.0, 4.0, 5.0], [1.0, 2.0, 0.0]])
      >>> m = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
      >>> round(alignment.within(q, m).rho, 3)
      0.866
    """
    q, m = check_tables(q, m)
    rho = masked_spearman(q, m)
    defined = np.isfinite(rho)
    return Within(float(rho[defined].mean()) if defined.any() else np.nan, int(defined.sum()))


def pooled(q: np.ndarray, m: np.ndarray) -> float:
    """Spearman correlation of score and performance over all rows, one per image and condition.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N] in [0, 1]; NaN where undefined.

    Returns:
      rho in [-1, 1], higher is better; NaN when either is constant or fewer than two rows are defined.

    Raises:
      ValueError: when the tables are not of one shape [C, N].

    References:
      [1] C. Spearman (1904), The proof and measurement of association between two things.

    Examples:
      >>> q = np.array([[3.0, 4.0], [1.0, 2.0]])
      >>> m = np.array([[1.0, 1.0], [0.0, 0.0]])
      >>> round(alignment.pooled(q, m), 3)
      0.894
    """
    q, m = check_tables(q, m)
    return float(masked_spearman(q.reshape(1, -1), m.reshape(1, -1))[0])


def check_tables(q: np.ndarray, m: np.ndarray, names: str = "q, m") -> tuple[np.ndarray, np.ndarray]:
    """Returns both tables as float64 with undefined entries as NaN; raises ValueError unless both are one [C, N]."""
    q, m = np.asarray(q, np.float64), np.asarray(m, np.float64)
    if q.ndim != 2 or q.shape != m.shape or q.size == 0:
        raise ValueError(f"{names}: expected two tables of one shape [C, N], got {q.shape} and {m.shape}")
    return np.where(np.isfinite(q), q, np.nan), np.where(np.isfinite(m), m, np.nan)


def condition_means(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over images of every condition, for each row of weights.

    Args:
      table: [C, N] float64, NaN where undefined.
      weights: [B, N], how often each image counts.

    Returns:
      [B, C], rounded so that sums in another order tie; NaN where no entry is defined.

    Examples:
      >>> q = np.array([[1.0, 3.0], [0.0, np.nan]])
      >>> alignment.condition_means(q, np.array([[1, 1], [0, 2]])).round(6).tolist()
      [[2.0, 0.0], [3.0, nan]]
    """
    defined = np.isfinite(table)
    values = np.where(defined, table, 0.0)
    scale = np.abs(values).max() or 1.0
    weights = np.asarray(weights, np.float64)
    if defined.all():
        mass = np.repeat(weights.sum(axis=1, keepdims=True), len(table), axis=1)
    else:
        mass = weights @ defined.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.round((weights @ (values / scale).T) / mass, _TIE_DIGITS) * scale
    return np.where(mass > 0, means, np.nan)


def masked_ranks(x: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Mid-ranks of every row [B, n] among its defined entries, minus their mean; 0 where undefined."""
    ranks = _midranks(np.where(defined, x, np.inf))
    return np.where(defined, ranks - (defined.sum(axis=1, keepdims=True) + 1) / 2, 0.0)


def _midranks(x: np.ndarray) -> np.ndarray:
    """Mid-ranks of every row [B, n], equal to those of scipy's rankdata and three times as fast."""
    order = np.argsort(x, axis=1)
    values = np.take_along_axis(x, order, axis=1)
    place = np.broadcast_to(np.arange(1.0, x.shape[1] + 1), x.shape)
    new = np.ones(x.shape, bool)
    new[:, 1:] = values[:, 1:] != values[:, :-1]
    tied = ~new.all(axis=1)
    if tied.any():
        # Of a group of ties the mean of its first and its last place.
        place, new = place.copy(), new[tied]
        last = np.ones(new.shape, bool)
        last[:, :-1] = new[:, 1:]
        first = np.maximum.accumulate(np.where(new, place[tied], 0.0), axis=1)
        final = np.minimum.accumulate(np.where(last, place[tied], np.inf)[:, ::-1], axis=1)[:, ::-1]
        place[tied] = (first + final) / 2
    ranks = np.empty(x.shape)
    np.put_along_axis(ranks, order, place, axis=1)
    return ranks


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of centred ranks, row by row: [B, n], [B, n] -> [B], NaN where one is constant."""
    return ratio((a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1))


def ratio(covariance: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """covariance / sqrt(first second), NaN where a variance is zero, kept in [-1, 1] against rounding."""
    variance = np.asarray(first, np.float64) * second
    defined = variance > 0
    return np.where(defined, np.clip(covariance / np.sqrt(np.where(defined, variance, 1.0)), -1.0, 1.0), np.nan)


def masked_spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman correlation of every row over the entries defined in both.

    Args:
      x: [B, n], NaN where undefined.
      y: [B, n], the same.

    Returns:
      [B] in [-1, 1]; NaN where fewer than two entries are defined in both or one of the two is constant.

    Examples:
      >>> x = np.array([[1.0, 2.0, 3.0, np.nan]])
      >>> alignment.masked_spearman(x, np.array([[2.0, 3.0, 9.0, 0.0]])).tolist()
      [1.0]
    """
    defined = np.isfinite(x) & np.isfinite(y)
    return rank_correlation(masked_ranks(x, defined), masked_ranks(y, defined))


class RankedRows:
    """Rows of several numbers [B, n] that are correlated by rank with other rows: ranks are taken once per mask.

    Attributes:
      rows: [B, n], NaN where undefined.
      everywhere: whether all entries are defined.
    """

    def __init__(self, rows: np.ndarray):
        self.rows = np.asarray(rows, np.float64)
        self._defined = np.isfinite(self.rows)
        self.everywhere = bool(self._defined.all())
        self._ranks: np.ndarray | None = None

    def spearman(self, other: "RankedRows") -> np.ndarray:
        """Spearman correlation of every row with the other's over the entries defined in both, [B]."""
        if not (self.everywhere and other.everywhere):
            return masked_spearman(self.rows, other.rows)
        return np.einsum("bn,bn->b", self.unit_ranks(), other.unit_ranks())

    def unit_ranks(self) -> np.ndarray:
        """Centred mid-ranks of every row over their norm, NaN where a row is constant; all entries are defined."""
        if self._ranks is None:
            ranks = masked_ranks(self.rows, self._defined)
            norm = np.linalg.norm(ranks, axis=1, keepdims=True)
            with np.errstate(invalid="ignore"):
                self._ranks = ranks / np.where(norm > 0, norm, np.nan)
        return self._ranks
