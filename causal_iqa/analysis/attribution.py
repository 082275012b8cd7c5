"""Why one set of images fares worse than another: the difference of expected accuracy by cause and by composition.

With groups g (classes, cameras, folders), the expected accuracy of a set is sum_g w(g) [b(g) + sum_c D_c(g)]: w the
shares of the groups, b what images of either set without a cause reach, and D_c(g), at most 0 for a harmful cause, the
mean over the group's images of the probability of cause c times what the image lacks to b(g); "none" counts among the
causes, for images without a cause may fare better in one set. The players of a game are the shares of the groups
together, and each cause: each may be as in the first set or as in the second. The value of the game is the expected
accuracy, which is bilinear, so Shapley's values have a closed form and sum to the difference.

References:
  [1] Shapley. A value for n-person games. 1953.
  [2] Shorrocks. Decomposition procedures for distributional analysis: a unified framework based on the Shapley value.
      Journal of Economic Inequality 2013.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import total

GROUPS, REST = "composition of groups", "images without a cause"
# A group's accuracy without a cause leans on the set's as much as on so many images.
_PRIOR_IMAGES = 2.0
_RARE = 1e-3
_MOST_RESAMPLED = 4000


class Attribution(NamedTuple):
    """Shapley's values of the difference of expected accuracy, second set less first."""

    names: tuple[str, ...]  # the causes without "none", "other" where given, then REST and GROUPS
    values: np.ndarray  # float64 [players], sum to the difference
    prevalence: (
        np.ndarray
    )  # float64 [players], the part of a cause's value that comes from its frequency; NaN for others
    low: np.ndarray  # float64 [players], ends of bootstrap intervals
    high: np.ndarray
    first: float  # expected accuracy of the first set
    second: float  # of the second

    @property
    def difference(self) -> float:
        """Expected accuracy of the second set minus that of the first."""
        return self.second - self.first


class SetOfImages(NamedTuple):
    """Scores, causes and correctness of the n images of one set."""

    expected: np.ndarray  # float [n], expected (or measured) correctness, in [0, 1]
    causes: np.ndarray  # float [n, causes], probabilities that sum to 1; "none" first
    groups: np.ndarray | None = None  # [n], labels of any kind, or None


def _checked(images: SetOfImages, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    expected, causes = np.asarray(images.expected, np.float64), np.asarray(images.causes, np.float64)
    if expected.ndim != 1 or not len(expected) or causes.ndim != 2 or len(causes) != len(expected):
        raise ValueError(f"{name}: expected [n] and [n, causes], got {expected.shape} and {causes.shape}")
    if not (np.isfinite(expected).all() and expected.min() >= 0 and expected.max() <= 1):
        raise ValueError(f"{name}: expected accuracies are in [0, 1] and finite")
    if not np.isfinite(causes).all() or causes.min() < 0 or np.abs(causes.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(f"{name}: probabilities of the causes are from 0 on and sum to 1 (diagnosis.adapted)")
    groups = np.zeros(len(expected), int) if images.groups is None else np.asarray(images.groups)
    if groups.shape != expected.shape:
        raise ValueError(f"{name}: expected one group per image, got shape {groups.shape}")
    return expected, causes, groups


def _reference(sets, codes, count: int, weights) -> np.ndarray:
    """What images without a cause reach in each group, [G], both sets together."""
    clean = [c[:, 0] * w for (_, c), w in zip(sets, weights, strict=True)]
    expected = [e for e, _ in sets]
    level = sum(w @ e for w, e in zip(clean, expected, strict=True)) / max(sum(w.sum() for w in clean), 1e-12)
    reached = total(np.bincount(k, w * e, count) for k, w, e in zip(codes, clean, expected, strict=True))
    there = total(np.bincount(k, w, count) for k, w in zip(codes, clean, strict=True))
    return (reached + _PRIOR_IMAGES * level) / (there + _PRIOR_IMAGES)


def _means(expected: np.ndarray, causes: np.ndarray, codes: np.ndarray, base: np.ndarray, weights: np.ndarray):
    """Shares w [G], deficits D and prevalence [C, G] of one set, its images weighted, and which groups it has."""

    def summed(x):
        return np.bincount(codes, x * weights, len(base))

    size = summed(np.ones(len(codes)))
    there = np.maximum(size, 1e-12)
    lack = expected - base[codes]
    deficits = np.stack([summed(causes[:, c] * lack) for c in range(causes.shape[1])]) / there
    prevalence = np.stack([summed(causes[:, c]) for c in range(causes.shape[1])]) / there
    return size / size.sum(), deficits, prevalence, size > 0


def _values(sets, codes, count, weights) -> tuple[np.ndarray, np.ndarray]:
    base = _reference(sets, codes, count, weights)
    first, second = (list(_means(e, c, code, base, w)) for (e, c), code, w in zip(sets, codes, weights, strict=True))
    for own, other in ((first, second), (second, first)):
        missing = (
            own[3] == 0
        )  # A group that one set lacks counts there as it is in the other: its share is what differs.
        own[1], own[2] = np.where(missing, other[1], own[1]), np.where(missing, other[2], own[2])
    mean_share = 0.5 * (first[0] + second[0])
    by_cause = (second[1] - first[1]) @ mean_share
    levels = [base + one[1].sum(axis=0) for one in (first, second)]
    groups = (second[0] - first[0]) @ (0.5 * (levels[0] + levels[1]))
    # D = prevalence x harm: a product of two, each half of the way. A set that hardly has a cause does not say how much
    # it harms, so harms lean on those of both sets together.
    joint = (first[1] + second[1]) / np.maximum(first[2] + second[2], 1e-12)
    harm = [(one[1] + _RARE * joint) / (one[2] + _RARE) for one in (first, second)]
    prevalence = ((second[2] - first[2]) * 0.5 * (harm[0] + harm[1])) @ mean_share
    return np.concatenate([by_cause[1:], by_cause[:1], [groups]]), np.concatenate([prevalence[1:], [np.nan, np.nan]])


def attribute(
    first: SetOfImages,
    second: SetOfImages,
    causes: Sequence[str],
    *,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Attribution:
    """Attributes the difference of expected accuracy between two sets to causes and to the composition of groups.

    Args:
      first: the set that one compares with, for instance the training images.
      second: the set whose difference is explained.
      causes: names of the columns of `causes` of both, "none" first.
      resamples: resamples of the images of both sets, for the intervals; of at most 4000 images of each, with
        deviations shrunk to the size of the larger share that they are of.
      level: confidence level of the intervals, which hold for other images of the two sources, given the diagnosis and
        the map.
      seed: seed of the resamples.

    Returns:
      The values, negative where the second set loses by a player. They sum to the difference.

    Raises:
      ValueError: when shapes disagree, or numbers are no accuracies or probabilities.
      InputError: when only one set has groups, or level or resamples are none.

    Examples:
      >>> clean = SetOfImages(np.full(4, 0.9), np.repeat([[1.0, 0.0]], 4, axis=0))
      >>> mixed = SetOfImages(np.array([0.9, 0.9, 0.5, 0.5]), np.eye(2)[[0, 0, 1, 1]])
      >>> found = attribute(clean, mixed, ("none", "fog"))
      >>> found.names[0], round(float(found.values[0]), 3)
      ('fog', -0.2)
    """
    if (first.groups is None) != (second.groups is None):
        raise _checks.InputError("groups: expected in both sets or in none")
    if not 0 < level < 1 or resamples < 2:
        raise _checks.InputError("level, resamples: expected a number between 0 and 1, and at least 2")
    checked = [_checked(first, "first"), _checked(second, "second")]
    for _, one, _ in checked:
        if one.shape[1] != len(causes):
            raise ValueError(f"causes: expected {one.shape[1]} names, got {len(causes)}")
    _, codes = np.unique(np.concatenate([one[2] for one in checked]), return_inverse=True)
    split = np.split(codes, [len(checked[0][0])])
    count, sets = int(codes.max()) + 1, [one[:2] for one in checked]
    sizes = [len(one[0]) for one in checked]
    values, prevalence = _values(sets, split, count, [np.ones(n) for n in sizes])
    draw = np.random.default_rng(seed)
    # Large sets: resamples of some of the images, whose deviations are larger by the square root of the ratio.
    some = [draw.permutation(n)[:_MOST_RESAMPLED] for n in sizes]
    kept = [tuple(x[rows] for x in one) for one, rows in zip(sets, some, strict=True)]
    codes_kept = [code[rows] for code, rows in zip(split, some, strict=True)]
    found = []
    for _ in range(resamples):
        weights = [np.bincount(draw.integers(0, len(rows), len(rows)), minlength=len(rows)) for rows in some]
        found.append(_values(kept, codes_kept, count, [w.astype(float) for w in weights])[0])
    centre = _values(kept, codes_kept, count, [np.ones(len(rows)) for rows in some])[0]
    shrink = np.sqrt(max(len(rows) / n for rows, n in zip(some, sizes, strict=True)))
    low, high = values + shrink * (np.quantile(found, ((1 - level) / 2, (1 + level) / 2), axis=0) - centre)
    means = [float(one[0].mean()) for one in checked]
    return Attribution((*causes[1:], REST, GROUPS), values, prevalence, low, high, *means)
