"""Observational data with a known truth, drawn from a finished score table.

The table holds every image under every condition: all potential outcomes. `observe` lets scene factors decide which one
condition each image is seen under, as in the field, where dark scenes meet the long exposures; the others are hidden
from the estimators, and remain as the truth they are compared with.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa import _checks


class Overlap(NamedTuple):
    """Whether the arms can be compared.

    Attributes:
      smallest: smallest propensity of the arm an image was in.
      effective_share: effective over actual number of images in each arm [K], Kish's (sum w)^2 / sum w^2 with weights
        1 / propensity; 1 when nothing confounds.
      imbalance: largest absolute standardised difference of a covariate between an arm and all images, before
        weighting.
      imbalance_weighted: the imbalance after weighting.
    """

    smallest: float
    effective_share: np.ndarray
    imbalance: float
    imbalance_weighted: float


class Design(NamedTuple):
    """The covariates of an adjustment.

    Attributes:
      x: float64 [N, F], first column ones, the others of mean 0 and variance 1.
      groups: int [F], the covariate that each column is of, -1 for the ones: the columns of the labels are one
        covariate, a factor and its square another.
      names: names of the covariates, in the order of their numbers.
    """

    x: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]


def severity_propensities(
    hardness: np.ndarray, severities: Sequence[float] | np.ndarray, *, strength: float
) -> np.ndarray:
    """P(condition | image) where hard scenes meet severe conditions.

    The severity s has logit strength h (2 s / max s - 1) for an image of standardised hardness h; the conditions of one
    severity are equally likely.

    Args:
      hardness: hardness of each image [N], any unit: a scene factor, or a combination of factors.
      severities: severities of each condition [C], 0 for clean.
      strength: strength of the confounding; 0 is a randomised trial, 1 strong.

    Returns:
      [C, N], columns sum to 1.

    Raises:
      ValueError: for a value that is not finite.

    Examples:
      >>> causal.severity_propensities(np.array([-1.0, 1.0]), [0.0, 5.0], strength=1.0).round(2).tolist()
      [[0.88, 0.12], [0.12, 0.88]]
    """
    hardness, severities = np.asarray(hardness, np.float64), np.asarray(severities, np.float64)
    if not (np.isfinite(hardness).all() and np.isfinite(severities).all()):
        raise ValueError("hardness, severities: expected finite numbers")
    spread = hardness.std()
    h = (hardness - hardness.mean()) / (spread if spread > 0 else 1.0)
    levels, arm = np.unique(severities, return_inverse=True)
    dose = 2 * levels / (levels.max() or 1.0) - 1
    logits = strength * dose[:, None] * h
    share = np.exp(logits - logits.max(axis=0))
    share /= share.sum(axis=0)
    return (share / np.bincount(arm)[:, None])[arm]


def observe(key: jax.Array, propensities: np.ndarray) -> np.ndarray:
    """Draws the condition under which each image is seen.

    Args:
      key: random key.
      propensities: P(condition | image) [C, N], columns sum to 1.

    Returns:
      int [N], rows of the table.

    Raises:
      ValueError: for negative probabilities, or columns that do not sum to 1.

    Examples:
      >>> causal.observe(jax.random.key(0), np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
      [0, 1]
    """
    propensities = np.asarray(propensities, np.float64)
    if propensities.ndim != 2 or (propensities < 0).any() or not np.allclose(propensities.sum(axis=0), 1):
        raise ValueError("propensities: expected [C, N], not negative, columns that sum to 1")
    draw = np.asarray(jax.random.uniform(key, (propensities.shape[1],)), np.float64)
    below = np.cumsum(propensities, axis=0) < draw
    return np.minimum(below.sum(axis=0), len(propensities) - 1)


def nearest_conditions(
    drawn: Sequence[str],
    drawn_severities: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """Rows of the table that stand for conditions drawn elsewhere, e.g. by `degradations.structural.sample`.

    Args:
      drawn: degradation of each image, N of them (`structural.columns(...)["degradation"]`).
      drawn_severities: [N]; the nearest severity of the table stands for it, the clean condition for 0.
      degradations: degradations of each condition of the table, C of them.
      severities: severities of each condition of the table, C of them.

    Returns:
      int [N].

    Raises:
      InputError: when the table lacks a degradation.

    Examples:
      >>> drawn, severities = ["fog", "clean"], np.array([2.2, 0.0])
      >>> causal.nearest_conditions(drawn, severities, ["fog", "fog", "clean"], [1, 3, 0]).tolist()
      [1, 2]
    """
    names, doses = np.asarray(degradations), np.asarray(severities, np.float64)
    rows = []
    for name, severity in zip(drawn, drawn_severities, strict=True):
        if name not in names:
            raise _checks.InputError(f"drawn: the table has no {name!r}; {_checks.closest(name, set(names.tolist()))}")
        candidates = np.flatnonzero((names == name) | (doses == 0))
        rows.append(candidates[np.argmin(np.abs(doses[candidates] - severity))])
    return np.asarray(rows, int)


def true_means(values: np.ndarray, arms: np.ndarray) -> np.ndarray:
    """E[value | do(arm)] over these very images: every image under every condition of the arm.

    Args:
      values: potential outcomes [C, N].
      arms: int [C], arm of each condition, from 0.

    Returns:
      [K].

    Examples:
      >>> causal.true_means(np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0, 1, 1])).tolist()
      [1.0, 0.25]
    """
    return np.array([np.mean(values[arms == arm]) for arm in range(int(arms.max()) + 1)])


def covariates(labels: np.ndarray | None, factors: Sequence[np.ndarray] = ()) -> np.ndarray:
    """The matrix of the adjustment: `design` without the names.

    Args:
      labels: int [N], or None when they are not adjusted for.
      factors: numbers [N] each.

    Returns:
      float64 [N, F], first column ones, the others of mean 0 and variance 1 where they vary.

    Raises:
      ValueError: for values that are not finite, or when no argument determines N.

    Examples:
      >>> causal.covariates(np.array([0, 1, 1, 0]), [np.array([1.0, 2.0, 3.0, 4.0])]).shape
      (4, 4)
    """
    return design(labels, {str(place): factor for place, factor in enumerate(factors)}).x


def design(labels: np.ndarray | None, factors: Mapping[str, np.ndarray]) -> Design:
    """The design of the adjustment: a constant, the labels one-hot, each factor standardised and its square.

    Args:
      labels: int [N], or None when they are not adjusted for.
      factors: name -> numbers [N].

    Returns:
      `Design`; columns that never vary are left out. The labels are called "Y".

    Raises:
      ValueError: for values that are not finite, or when no argument determines N.

    Examples:
      >>> causal.design(np.array([0, 1, 1, 0]), {"light": np.array([1.0, 2.0, 3.0, 4.0])}).names
      ('Y', 'light')
    """
    parts: list[np.ndarray] = []
    groups, names = [-1], []
    if labels is not None:
        own = (np.asarray(labels)[:, None] == np.unique(labels)[None, 1:]).T.astype(np.float64)
        parts, groups, names = [*own], groups + [0] * len(own), ["Y"]
    for name, factor in factors.items():
        if not np.isfinite(factor).all():
            raise ValueError("factors: expected finite numbers")
        z = _standardised(np.asarray(factor, np.float64))
        parts += [z, z**2]
        groups += [len(names)] * 2
        names.append(name)
    if not parts:
        raise ValueError("labels, factors: expected at least one that varies")
    x = np.stack([_standardised(part) for part in parts], axis=1)
    kept = np.r_[True, x.std(axis=0) > 0]
    whole = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    return Design(whole[:, kept], np.array(groups)[kept], tuple(names))


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def overlap(treatment: np.ndarray, propensity: np.ndarray, x: np.ndarray) -> Overlap:
    """Diagnoses weights.

    Args:
      treatment: arm of each image [N].
      propensity: estimated P(arm | image) [K, N].
      x: covariates [N, F] from `covariates`.

    Returns:
      `Overlap`.

    References:
      [1] P. Austin, E. Stuart (2015), Moving towards best practice when using inverse probability of treatment
        weighting, Statistics in Medicine 34.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> assigned = causal.assign(jax.random.key(0), treatment, x, 2, num_resamples=10)
      >>> causal.overlap(treatment, assigned.propensity[0], x)._fields[0]
      'smallest'
    """
    shares, before, after = [], [0.0], [0.0]
    own = propensity[treatment, np.arange(len(treatment))]
    for arm in range(len(propensity)):
        at = treatment == arm
        if not at.any():
            shares.append(np.nan)
            continue
        weight = 1 / own[at]
        shares.append(weight.sum() ** 2 / (weight**2).sum() / at.sum())
        before.append(np.abs(x[at].mean(axis=0) - x.mean(axis=0)).max())
        after.append(np.abs(weight @ x[at] / weight.sum() - x.mean(axis=0)).max())
    return Overlap(float(own.min()), np.array(shares), float(max(before)), float(max(after)))
