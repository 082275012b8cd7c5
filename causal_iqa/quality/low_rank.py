"""Witnesses of many anchors: a few landmarks among them carry the kernel, and leave-one-out stays in closed form.

The exact witness solves systems of m x m numbers for m anchors. Nystroem's approximation [1] replaces the kernel by
k(x, L) K_LL^-1 k(L, y) with r landmarks L, which are the features z(x) = K_LL^-1/2 k(L, x); ridge regression on them is
a system of r x r. What it needs of the anchors are sums over them, so they are read once, block by block. The residual
of an anchor when left out is r_i / (1 - H_ii) in the space of features as it is in that of kernels [2]; its mean square
over some thousand anchors chooses width and ridge, and tells whether more landmarks would help.

The result is an ordinary witness whose anchors are the landmarks.

References:
  [1] Williams, Seeger. Using the Nystroem method to speed up kernel machines. NIPS 2000.
  [2] Rasmussen, Williams. Gaussian processes for machine learning. 2006, section 5.4.2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from causal_iqa.quality import _compiled

# Anchors up to which the exact witness is fitted, numbers of landmarks that are tried, how much larger the error of
# fewer may be, anchors whose leave-one-out error is taken, and anchors read at a time.
MOST_EXACT = 4000
RANKS = (256, 512, 1024)
_TOLERATED = 0.01
_TESTED = 8192
_BLOCK = 4096
# Share of the largest eigenvalue of the landmarks' kernel below which a direction is rounding.
_RESOLVED = 1e-6


class Fit(NamedTuple):
    """A fit on landmarks.

    Attributes:
      rank: r landmarks, the first anchors.
      width: number of the width.
      coefficients: float64 [r, C].
      offset: float64 [C]; the prediction at x is k(x, landmarks) @ coefficients + offset.
      ridge: lambda.
      losses: float64 [T], squared leave-one-out errors of some anchors, averaged over the C targets; lower is better.
    """

    rank: int
    width: int
    coefficients: np.ndarray
    offset: np.ndarray
    ridge: float
    losses: np.ndarray


class _Sums(NamedTuple):
    """Over the anchors: of k k' [r, r], of k [r], and of k by class [r, C]."""

    products: np.ndarray
    kernel: np.ndarray
    by_class: np.ndarray


class Landmarks:
    """The sums over all anchors that fits on landmarks need, at several widths, from one reading of the anchors.

    Attributes:
      rank: R, the most landmarks there are.
      labels: int [m].
    """

    def __init__(
        self, statistics: Sequence[np.ndarray], labels: np.ndarray, num_classes: int, rank: int, widths: np.ndarray
    ):
        """Reads the anchors.

        Args:
          statistics: S of float32 [m, d_s]; the kernel is the mean of their RBF kernels.
          labels: int [m].
          num_classes: C.
          rank: R; anchors come classes in turn, and the first R are the landmarks.
          widths: [W, S] of the kernels.
        """
        m = len(labels)
        self.labels, self._num_classes, self._widths = np.asarray(labels), num_classes, np.asarray(widths, np.float32)
        self.rank = min(rank, m)
        self._landmarks = [np.asarray(x[: self.rank], np.float32) for x in statistics]
        self._tested = np.unique(np.linspace(0, m - 1, min(_TESTED, m)).astype(int))
        r = self.rank
        totals = [_Sums(np.zeros((r, r)), np.zeros(r), np.zeros((r, num_classes))) for _ in self._widths]
        self._rows: list[list[np.ndarray]] = [[] for _ in self._widths]
        for start in range(0, m, _BLOCK):
            stop = min(start + _BLOCK, m)
            block = [np.asarray(x[start:stop], np.float32) for x in statistics]
            own = self._tested[(self._tested >= start) & (self._tested < stop)] - start
            classes = sparse.csr_array(
                (np.ones(stop - start), (self.labels[start:stop], np.arange(stop - start))),
                shape=(num_classes, stop - start),
            )
            for total, rows, values in zip(totals, self._rows, self.kernel(block), strict=True):
                # Directions with small eigenvalues are divided by them: sums in float32 would drown there.
                kernel = values.astype(np.float64)
                total.products[...] += kernel.T @ kernel
                total.kernel[...] += kernel.sum(axis=0)
                total.by_class[...] += (classes @ kernel).T
                rows.append(values[own])
        self._sums = totals
        self._own = [(kernel + kernel.T).astype(np.float64) / 2 for kernel in self.kernel(self._landmarks)]

    def kernel(self, block: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Kernel of a block with the landmarks at every width, float32 [b, R]."""
        kernels = [np.zeros((len(block[0]), self.rank), np.float32) for _ in self._widths]
        for s, (x, landmarks) in enumerate(zip(block, self._landmarks, strict=True)):
            squares = np.asarray(_compiled.squared_distances(x, landmarks))
            for kernel, widths in zip(kernels, self._widths, strict=True):
                kernel += np.exp(squares * (np.float32(-0.5) / widths[s] / widths[s])) / np.float32(len(block))
        return kernels

    def ridge(self, width: int, rank: int, ridges: Sequence[float]) -> Fit:
        """Fits ridge regression of the classes with an unpenalised intercept, by the ridge of least error.

        Args:
          width: number of the width.
          rank: landmarks, at most R.
          ridges: lambdas to choose from.

        Returns:
          The fit.
        """
        root, mean, gram, targets = self._features(width, rank)
        m = len(self.labels)
        values, vectors = np.linalg.eigh(gram)
        values, projected = np.maximum(values, 0.0), vectors.T @ targets
        rows = (np.concatenate(self._rows[width])[:, :rank].astype(np.float64) @ root - mean) @ vectors
        shares = self._shares()
        best: Fit | None = None
        for ridge in ridges:
            spread = values + m * ridge
            shrunk = projected / spread[:, None]
            losses = self._losses(rows, spread, shrunk, shares)
            if best is None or losses.mean() < best.losses.mean():
                offset = shares - (mean @ vectors) @ shrunk
                best = Fit(rank, width, root @ (vectors @ shrunk), offset, float(ridge), losses)
        assert best is not None, "fitted with at least one ridge"
        return best

    def mean_embedding(self, width: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Projects the plain witness (1/m) sum_j k~(x, a_j) l~(y, y_j) onto the landmarks.

        Args:
          width: number of the width.
          rank: landmarks, at most R.

        Returns:
          (coefficients [r, C], offset [C]).
        """
        root, mean, _, targets = self._features(width, rank)
        # The labels' kernel is centred over both of its arguments; the features' centring does it for one.
        weights = (targets - (targets @ self._shares())[:, None]) / len(self.labels)
        return root @ weights, -mean @ weights

    def smoothers(self, width: int, rank: int, ridge: float, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What single anchors weigh in the fit of `ridge`.

        Args:
          width: number of the width.
          rank: landmarks, at most R.
          ridge: lambda of the fit.
          kernel: float64 [P, r] of P anchors with the landmarks.

        Returns:
          (coefficients [r, P], offset [P]): the weight of the target of an anchor in the prediction at x is
          k(x, landmarks) @ coefficients + offset.
        """
        root, mean, gram, _ = self._features(width, rank)
        m = len(self.labels)
        weights = np.linalg.solve(gram + m * ridge * np.eye(len(gram)), (kernel @ root - mean).T)
        return root @ weights, 1.0 / m - mean @ weights

    def _shares(self) -> np.ndarray:
        return np.bincount(self.labels, minlength=self._num_classes) / len(self.labels)

    def _features(self, width: int, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """K_LL^-1/2 [r, q], the mean feature [q], sums of products [q, q] and with the labels [q, C], both centred."""
        sums, m = self._sums[width], len(self.labels)
        own = self._own[width][:rank, :rank]
        values, vectors = np.linalg.eigh(own)
        resolved = values > _RESOLVED * values[-1]
        root = vectors[:, resolved] / np.sqrt(values[resolved])
        mean = sums.kernel[:rank] @ root / m
        gram = root.T @ sums.products[:rank, :rank] @ root - m * np.outer(mean, mean)
        targets = root.T @ sums.by_class[:rank] - np.outer(mean, m * self._shares())
        return root, mean, (gram + gram.T) / 2, targets

    def _losses(self, rows: np.ndarray, spread: np.ndarray, shrunk: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Squared leave-one-out errors of the tested anchors: rows [T, q] centred, in the basis of `spread`."""
        labels = self.labels[self._tested]
        leverage = (rows**2) @ (1 / spread) + 1 / len(self.labels)
        # |y - f|^2 without [T, C] numbers: f = shares + rows @ shrunk.
        cross = np.einsum("tq,qt->t", rows, shrunk[:, labels])
        square = np.einsum("tq,tq->t", rows @ (shrunk @ shrunk.T), rows)
        with_shares = rows @ (shrunk @ shares)
        prior = 1 - 2 * shares[labels] + shares @ shares
        residual = np.maximum(prior - 2 * cross + 2 * with_shares + square, 0.0)
        return residual / np.maximum(1 - leverage, 1e-12) ** 2 / self._num_classes


def smallest_sufficient(fits: Sequence[Sequence[Fit]]) -> int:
    """Chooses the number of landmarks by the error it makes.

    Args:
      fits: for every number, ascending, the fits at all widths.

    Returns:
      The place of the smallest number whose least error is within a hundredth of that of the largest.
    """
    errors = [min(fit.losses.mean() for fit in some) for some in fits]
    return next(i for i, error in enumerate(errors) if error <= (1 + _TOLERATED) * errors[-1])
