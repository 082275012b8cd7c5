"""Why did the mean performance change between two data sets? An attribution to the mechanisms that changed.

Both sets come from one graph: scene covariates, then binary imaging factors in order, each with its parents among
covariates and earlier factors, then performance, which depends on all of them. The mean performance factorises into
the distribution of scenes, the mechanism of every factor and that of performance; each may differ between the sets.
Replacing the mechanisms of the first set by those of the second, one after the other and averaged over all orders,
gives every mechanism its Shapley value, and the values sum to the whole change.

References:
  [1] K. Budhathoki, D. Janzing, P. Bloebaum, H. Ng (2021), Why did the distribution change? AISTATS.
  [2] L. S. Shapley (1953), A value for n-person games.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy import special

from causal_iqa import _checks
from causal_iqa.causal.observational import covariates as design_of
from causal_iqa.causal.resamples import from_resamples, resample_rows
from causal_iqa.estimates import Estimate, check_level

SCENES, PERFORMANCE = "scenes", "performance"
_MOST_FACTORS = 8
_RIDGE, _NEWTON = 1e-3, 12
# Images with and without a factor that a set needs, for its mechanism of performance to know what the factor does.
_LEAST_OF_EACH = 10


class ObservedSet(NamedTuple):
    """Images of one set, each seen once.

    factors: bool or 0/1 [k, n], the imaging factors in the order in which the graph makes them.
    covariates: [n, F] numbers of the scenes, F may be 0.
    performance: [n] in [0, 1].
    clusters: int [n] of images that are drawn together; None treats each image as its own cluster.
    """

    factors: np.ndarray
    covariates: np.ndarray
    performance: np.ndarray
    clusters: np.ndarray | None = None


class ChangeAttribution(NamedTuple):
    """What each mechanism contributes to a change of the mean performance.

    names: "scenes", the factors, "performance" (the mechanism that makes it from scene and factors).
    values: contributions, fields [k + 2]; they sum to `explained`.
    change: mean performance of the second set minus that of the first.
    explained: the change as the fitted mechanisms have it; the rest of `change` is their misfit.
    """

    names: tuple[str, ...]
    values: Estimate
    change: float
    explained: float


def _checked(name: str, one: ObservedSet, parents: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, ...]:
    factors = np.asarray(one.factors, np.float64)
    performance, own = np.asarray(one.performance, np.float64), np.asarray(one.covariates, np.float64)
    n = len(performance) if performance.ndim == 1 else -1
    if factors.shape != (len(parents), n) or own.ndim != 2 or len(own) != n:
        raise ValueError(
            f"{name}: expected factors [{len(parents)}, n], covariates [n, F] and performance [n], got "
            f"{factors.shape}, {own.shape} and {performance.shape}"
        )
    if not np.isin(factors, (0.0, 1.0)).all():
        raise ValueError(f"{name}: factors are 0 or 1, absent or present")
    if not (np.isfinite(performance).all() and performance.min() >= 0 and performance.max() <= 1):
        raise ValueError(f"{name}: performance is finite and in [0, 1]")
    if not np.isfinite(own).all():
        raise ValueError(f"{name}: covariates are finite")
    if one.clusters is not None and np.shape(one.clusters) != (n,):
        raise ValueError(f"{name}: expected clusters [{n}], one for each image, got {np.shape(one.clusters)}")
    return factors, own, performance


def _logistic(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of the weighted logistic regression of y in [0, 1] on x [n, F], slightly shrunk."""
    penalty = _RIDGE * weights.sum() * np.diag(np.r_[0.0, np.ones(x.shape[1] - 1)])
    found = np.zeros(x.shape[1])
    found[0] = special.logit(np.clip(np.average(y, weights=weights), 1e-3, 1 - 1e-3))
    for _ in range(_NEWTON):
        p = special.expit(x @ found)
        w = weights * np.maximum(p * (1 - p), 1e-6)
        step = np.linalg.solve((x.T * w) @ x + penalty + 1e-9 * np.eye(len(found)),
                               x.T @ (weights * (y - p)) - penalty @ found)  # fmt: skip
        found = found + np.clip(step, -4, 4)
        if np.abs(step).max() < 1e-8:
            break
    return found


def _interactions(factors: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The design of performance [n, P]: covariates, factors, products of two factors, and of factors and covariates."""
    rows = factors.T
    crossed = [rows[:, [i]] * x[:, 1:] for i in range(len(factors))]
    return np.concatenate([x, rows, _pairs(rows), *crossed], axis=1)


def _pairs(rows: np.ndarray) -> np.ndarray:
    """Products of two columns [n, k (k - 1) / 2] of rows [n, k]."""
    first, second = np.tril_indices(rows.shape[1], -1)
    return rows[:, first] * rows[:, second]


class _Mechanisms(NamedTuple):
    """Fitted mechanisms of one set: coefficients of every factor, and of performance."""

    factors: list[np.ndarray]
    performance: np.ndarray


class _Game:
    """The value of every coalition, for weighted images of both sets."""

    def __init__(
        self,
        sets: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
        places: Sequence[Sequence[int]],
        same_performance: bool,
    ):
        """Keeps (factors, design of the scenes, performance) of both sets; `places` are the parents of each factor."""
        self.sets, self.places, self.same_performance = sets, places, same_performance
        count = len(places)
        self.combinations = ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.float64)
        self.designs = [
            ([np.concatenate([x, f[list(own)].T], axis=1) for own in places], _interactions(f, x)) for f, x, _ in sets
        ]

    def contributions(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Shapley values of scenes, factors and performance, [k + 2]."""
        fits = [self._fitted(which, w) for which, w in enumerate(weights)]
        if self.same_performance:
            x = np.concatenate([of_performance for _, of_performance in self.designs])
            joint = _logistic(x, np.concatenate([m for *_, m in self.sets]), np.concatenate(weights))
            fits = [one._replace(performance=joint) for one in fits]
        count = len(self.places)
        values = np.empty((2, 2**count, 2))
        for scene, (_, x, _) in enumerate(self.sets):
            share = weights[scene] / weights[scene].sum()
            chance = np.stack([self._chances(one.factors, x) for one in fits])
            mean = np.stack([self._performance(one.performance, x) for one in fits])
            for coalition in range(2**count):
                weight = np.prod([chance[(coalition >> i) & 1, i] for i in range(count)], axis=0)
                values[scene, coalition] = (weight * mean).sum(axis=1) @ share
        return _shapley(values, count)

    def _fitted(self, which: int, weights: np.ndarray) -> _Mechanisms:
        factors, _, performance = self.sets[which]
        of_factors, of_performance = self.designs[which]
        mechanisms = [_logistic(x, y, weights) for x, y in zip(of_factors, factors, strict=True)]
        return _Mechanisms(mechanisms, _logistic(of_performance, performance, weights))

    def _chances(self, fitted: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
        """Chance of the value that each factor has in each combination, [k, combinations, n]."""
        found = []
        for place, (own, coefficients) in enumerate(zip(self.places, fitted, strict=True)):
            scene, parents = coefficients[: x.shape[1]], coefficients[x.shape[1] :]
            present = special.expit(x @ scene + (self.combinations[:, list(own)] @ parents)[:, None])
            found.append(np.where(self.combinations[:, place, None] > 0, present, 1 - present))
        return np.stack(found)

    def _performance(self, coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Mean performance in each combination, [combinations, n]."""
        count, size = len(self.places), x.shape[1]
        pairs = count * (count - 1) // 2
        scene, alone, together, crossed = np.split(coefficients, np.cumsum([size, count, pairs]))
        by_scene = crossed.reshape(count, size - 1) @ x[:, 1:].T
        constant = self.combinations @ alone + _pairs(self.combinations) @ together
        return special.expit(x @ scene + constant[:, None] + self.combinations @ by_scene)


def _shapley(values: np.ndarray, count: int) -> np.ndarray:
    players = count + 2

    def value(mask: int) -> float:
        return values[mask & 1, (mask >> 1) & (2**count - 1), (mask >> (count + 1)) & 1]

    found = np.zeros(players)
    for mask in range(2**players):
        size = mask.bit_count()
        for player in range(players):
            if not (mask >> player) & 1:
                weight = math.factorial(size) * math.factorial(players - size - 1) / math.factorial(players)
                found[player] += weight * (value(mask | (1 << player)) - value(mask))
    return found


def _check_seen(names: Sequence[str], checked: Sequence[tuple[np.ndarray, ...]], same_performance: bool) -> None:
    """Refuses factors whose effect on performance a set cannot tell: a fit would take it for none, without a word."""
    of_sets = [("first", checked[0][0]), ("second", checked[1][0])]
    if same_performance:
        of_sets = [("both sets", np.concatenate([factors for _, factors in of_sets], axis=1))]
    for which, factors in of_sets:
        for name, row in zip(names, factors, strict=True):
            present, absent = int(row.sum()), int((1 - row).sum())
            if min(present, absent) < _LEAST_OF_EACH:
                mend = "" if same_performance else "; with same_performance=True both sets serve together"
                raise _checks.InputError(
                    f"{which}: {name!r} is present in {present} and absent in {absent} images, and {_LEAST_OF_EACH} of "
                    f"each are needed to know what it does{mend}"
                )


def attribute_change(
    key: jax.Array,
    first: ObservedSet,
    second: ObservedSet,
    parents: Mapping[str, Sequence[str]],
    *,
    same_performance: bool = False,
    num_resamples: int = 50,
    level: float = 0.95,
) -> ChangeAttribution:
    """Attributes the change of the mean performance between two sets to the mechanisms of their graph.

    Mechanisms of the factors are logistic regressions on covariates and parents; the mechanism of performance is one on
    covariates, factors and their products. Each is fitted on its own set, from observed draws alone.

    Args:
      key: random key of the resamples.
      first: the set that one starts from.
      second: the set whose difference is explained; the same columns.
      parents: factor -> the earlier factors that it depends on, in the order of the rows of `factors`. Every factor
        may depend on all covariates.
      same_performance: whether performance follows from scene and factors alike in both sets. Its one mechanism is then
        fitted on both together, so that a factor may be missing in one of them, and contributes nothing.
      num_resamples: resamples of the images of both sets, for the intervals; none for sets of fewer than
        `LEAST_IMAGES` images, or clusters.
      level: confidence level of the intervals.

    Returns:
      The contributions, negative where a mechanism of the second set lowers the mean performance.

    Raises:
      ValueError: when shapes disagree or numbers are out of range.
      InputError: for more than eight factors, a parent that does not come before its factor, fewer than 2 resamples,
        or a factor that too few images have or lack for its effect to be known.

    References:
      [1] for the attribution to mechanisms, [2] for the values.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> def draw(chance):
      ...     blur = rng.random(400) < chance
      ...     right = rng.random(400) < 0.9 - 0.5 * blur
      ...     return causal.ObservedSet(blur[None], np.zeros((400, 0)), right)
      >>> found = causal.attribute_change(jax.random.key(0), draw(0.1), draw(0.7), {"blur": ()}, num_resamples=5)
      >>> found.names
      ('scenes', 'blur', 'performance')
      >>> bool(found.values.value[1] < -0.2)
      True
    """
    check_level(level)
    if len(parents) > _MOST_FACTORS or not parents:
        raise _checks.InputError(f"parents: expected 1 to {_MOST_FACTORS} factors, got {len(parents)}")
    if num_resamples < 2:
        raise _checks.InputError(f"num_resamples: expected at least 2, got {num_resamples}")
    names = list(parents)
    places = []
    for place, (name, own) in enumerate(parents.items()):
        late = [p for p in own if p not in names[:place]]
        if late:
            raise _checks.InputError(f"parents: {late[0]!r} of {name!r} is not among the factors before it")
        places.append([names.index(p) for p in own])
    checked = [_checked("first", first, parents), _checked("second", second, parents)]
    if checked[0][1].shape[1] != checked[1][1].shape[1]:
        raise ValueError(
            f"covariates: expected the same columns in both sets, got {checked[0][1].shape[1]} and "
            f"{checked[1][1].shape[1]}"
        )
    _check_seen(names, checked, same_performance)
    split = len(checked[0][2])
    joint = design_of(None, list(np.concatenate([checked[0][1], checked[1][1]]).T)) if checked[0][1].shape[1] else (
        np.ones((split + len(checked[1][2]), 1))
    )  # fmt: skip
    sets = [(f, x, m) for (f, _, m), x in zip(checked, (joint[:split], joint[split:]), strict=True)]
    game = _Game(sets, places, same_performance)
    keys = jax.random.split(key)
    counts = [
        resample_rows(k, len(m), num_resamples, one.clusters)
        for k, (*_, m), one in zip(keys, sets, (first, second), strict=True)
    ]
    rows = np.stack([game.contributions(pair) for pair in zip(*counts, strict=False)])
    values = from_resamples(rows, level=level)
    means = [float(m.mean()) for *_, m in checked]
    return ChangeAttribution((SCENES, *names, PERFORMANCE), values, means[1] - means[0], float(rows[0].sum()))
