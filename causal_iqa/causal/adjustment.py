"""Estimates of E[outcome | do(arm)] from observational data: five ways, one bootstrap.

All are written over counts of images, [R, N] with the sample itself in the first row, so that every resample refits
propensity and outcome models. Multinomial logistic propensities come from Newton's method over all resamples at once.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.causal.resamples import from_resamples, resample_rows
from causal_iqa.estimates import Estimate, check_level

METHODS = ("naive", "stratification", "regression", "weighting", "doubly_robust")
# That of the smallest error from 128 to 1000 images in six arms (benchmarks.observational_estimators).
DEFAULT_METHOD = "regression"
_STRATA = 5
# Penalty on the standardised coefficients, in the unit of one image: keeps separated classes finite.
_RIDGE = 0.1
# That on how far the slopes of an arm lie from those that all arms share.
_OWN_SLOPES_RIDGE = 10.0
_LEAST_PROPENSITY = 0.01
_NEWTON_FIRST, _NEWTON_MORE = 12, 3
# Resamples whose propensities are in memory at once.
_BLOCK = 64


class Assignment(NamedTuple):
    """What treatment and covariates say, shared by all outcomes.

    Attributes:
      treatment: int [N], arm of each image.
      x: covariates [N, F], the first column ones.
      counts: [R, N], the sample and its resamples.
      propensity: P(arm | x) [R, K, N], fitted on each row of counts.
      grams: x^T W x over the images of every arm [K, R, F, F], which all outcomes share.
    """

    treatment: np.ndarray
    x: np.ndarray
    counts: np.ndarray
    propensity: np.ndarray
    grams: np.ndarray


class ArmMeans(NamedTuple):
    """Estimates for K arms.

    Attributes:
      mean: mean of E[outcome | do(arm)], fields [K].
      effect: E[outcome | do(arm)] - E[outcome | do(arm 0)], fields [K], 0 for arm 0.
    """

    mean: Estimate
    effect: Estimate


def assign(
    key: jax.Array,
    treatment: np.ndarray,
    x: np.ndarray,
    num_arms: int,
    *,
    num_resamples: int = 200,
    clusters: np.ndarray | None = None,
) -> Assignment:
    """Fits the propensities of all resamples.

    Args:
      key: random key of the resamples.
      treatment: int [N], from 0.
      x: covariates [N, F] that block the back doors, the first column ones (`observational.covariates`).
      num_arms: K.
      num_resamples: B; 0 for estimates without intervals.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.

    Returns:
      `Assignment`; propensities are at least 0.01. No resamples are drawn of fewer than `LEAST_IMAGES` images, or
      clusters.

    Raises:
      ValueError: when shapes do not fit or an arm is empty.

    References:
      [1] G. Imbens (2000), The role of the propensity score in estimating dose-response functions, Biometrika 87.
      [2] A. Cameron, D. Miller (2015), A practitioner's guide to cluster-robust inference, J. Human Resources 50:
        resamples of whole clusters.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> causal.assign(jax.random.key(0), treatment, x, 2, num_resamples=10).propensity.shape
      (11, 2, 200)
    """
    treatment, x = np.asarray(treatment, int), np.asarray(x, np.float64)
    n = len(treatment)
    if x.ndim != 2 or len(x) != n or not (x[:, 0] == 1).all():
        raise ValueError(f"treatment, x: expected [N] and [N, F] with a first column of ones, got {n} and {x.shape}")
    if treatment.min() < 0 or (np.bincount(treatment, minlength=num_arms) == 0).any() or treatment.max() >= num_arms:
        raise ValueError(f"treatment: expected every arm from 0 to {num_arms - 1}, got {np.unique(treatment)}")
    if clusters is not None and np.shape(clusters) != (n,):
        raise ValueError(f"clusters: expected [{n}], one for each image, got {np.shape(clusters)}")
    counts = resample_rows(key, n, num_resamples, clusters) if num_resamples else np.ones((1, n))
    start = _fit(np.zeros((1, num_arms - 1, x.shape[1])), treatment, x, np.ones((1, n)), _NEWTON_FIRST)
    propensity = np.empty((len(counts), num_arms, n))
    for first in range(0, len(counts), _BLOCK):
        block = slice(first, first + _BLOCK)
        propensity[block] = _probabilities(_refit(start, treatment, x, counts[block]), x)
    products = _products(x)
    grams = np.array([_gram(counts * (treatment == arm), products) for arm in range(num_arms)])
    return Assignment(treatment, x, counts, np.clip(propensity, _LEAST_PROPENSITY, 1.0), grams)


def estimate_arms(assignment: Assignment, outcome: np.ndarray, *, level: float = 0.95) -> dict[str, ArmMeans]:
    """Estimates E[outcome | do(arm)] for every arm by every method.

    - naive: mean of the images in the arm.
    - stratification: mean over quintiles of the arm's propensity of the means within them (quintiles without the arm
      are left out).
    - regression: linear regression of the outcome on the covariates, averaged over all images (standardisation, the
      back-door formula). All arms share their slopes but for a penalised difference: an arm has few images.
    - weighting: inverse propensity weights, normalised (Hajek).
    - doubly_robust: AIPW with normalised weights and these two models; right when either is. They have few parameters,
      so that fitting and averaging over the same images costs less than folds would.

    Args:
      assignment: result of `assign`.
      outcome: [N], finite.
      level: confidence level of the intervals.

    Returns:
      method -> `ArmMeans`. Intervals are for the population that the images, or their clusters, are drawn from, wider
      than those for these very images would be.

    Raises:
      ValueError: when the outcome is not finite [N].

    References:
      [1] J. Robins (1986), A new approach to causal inference in mortality studies: standardisation.
      [2] P. Rosenbaum, D. Rubin (1984), Reducing bias in observational studies using subclassification, JASA 79.
      [3] J. Hajek (1971), comment in Foundations of statistical inference: normalised weights.
      [4] J. Robins, A. Rotnitzky, L. Zhao (1994), Estimation of regression coefficients when some regressors are not
        always observed, JASA 89: doubly robust.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> assigned = causal.assign(jax.random.key(0), treatment, x, 2, num_resamples=10)
      >>> estimates = causal.estimate_arms(assigned, outcome)
      >>> bool(abs(estimates["doubly_robust"].effect.value[1] - 1) < 0.5)
      True
    """
    check_level(level)
    outcome = np.asarray(outcome, np.float64)
    if outcome.shape != assignment.treatment.shape or not np.isfinite(outcome).all():
        raise ValueError(f"outcome: expected finite numbers [{len(assignment.treatment)}], got shape {outcome.shape}")
    return {name: _arm_means(rows, level) for name, rows in arm_means(assignment, outcome).items()}


def arm_means(assignment: Assignment, outcome: np.ndarray) -> dict[str, np.ndarray]:
    """Means of every arm by every method in every resample, method -> [R, K]; NaN where an arm is empty.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> assigned = causal.assign(jax.random.key(0), treatment, x, 2, num_resamples=10)
      >>> causal.arm_means(assigned, outcome)["naive"].shape[1]
      2
    """
    treatment, x, counts, propensity, grams = assignment
    insides = [counts * (treatment == arm) for arm in range(propensity.shape[1])]
    coefficients = _regressions(grams, np.array([inside @ (x * outcome[:, None]) for inside in insides]))
    rows: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    total = counts.sum(axis=1)
    # A mean of the outcome lies in its range, which a straight line and a few large weights do not know.
    lowest, highest = outcome.min(), outcome.max()
    with np.errstate(invalid="ignore", divide="ignore"):
        for arm, inside in enumerate(insides):
            rows["naive"].append(inside @ outcome / inside.sum(axis=1))
            rows["stratification"].append(_stratified(inside, counts, propensity[0, arm], outcome))
            standardised = (counts @ x * coefficients[arm]).sum(axis=1) / total
            rows["regression"].append(np.clip(standardised, lowest, highest))
            weights = inside / propensity[:, arm]
            rows["weighting"].append(weights @ outcome / weights.sum(axis=1))
            predicted = np.clip(coefficients[arm] @ x.T, lowest, highest)
            correction = (weights * (outcome - predicted)).sum(axis=1) / weights.sum(axis=1)
            corrected = (counts * predicted).sum(axis=1) / total + correction
            rows["doubly_robust"].append(np.clip(corrected, lowest, highest))
            empty = inside.sum(axis=1) == 0
            for values in rows.values():
                values[-1] = np.where(empty, np.nan, values[-1])
    return {name: np.stack(values, axis=1) for name, values in rows.items()}


def _arm_means(rows: np.ndarray, level: float) -> ArmMeans:
    return ArmMeans(from_resamples(rows, level=level), from_resamples(rows - rows[:, :1], level=level))


def _stratified(inside: np.ndarray, counts: np.ndarray, propensity: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    edges = np.quantile(propensity, np.linspace(0, 1, _STRATA + 1)[1:-1])
    member = (np.searchsorted(edges, propensity)[:, None] == np.arange(_STRATA)).astype(np.float64)
    size, weight = inside @ member, counts @ member
    means = inside * outcome @ member / size
    weight = np.where(size > 0, weight, 0.0)
    return (np.where(size > 0, means, 0.0) * weight).sum(axis=1) / weight.sum(axis=1)


def _products(x: np.ndarray) -> np.ndarray:
    """Products of all pairs of covariates [N, F (F + 1) / 2]."""
    first, second = np.triu_indices(x.shape[1])
    return x[:, first] * x[:, second]


def _gram(weights: np.ndarray, products: np.ndarray) -> np.ndarray:
    """x^T W x for every row of weights [..., N], from `_products` of x: [..., F, F]."""
    f = math.isqrt(2 * products.shape[1])
    first, second = np.triu_indices(f)
    out = np.empty((*weights.shape[:-1], f, f))
    out[..., first, second] = out[..., second, first] = weights @ products
    return out


def _regressions(grams: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Coefficients [K, R, F] of every arm: slopes that all arms share, and each arm's own difference from them.

    Args:
      grams: x^T W x of every arm [K, R, F, F].
      products: x^T W y of every arm [K, R, F].
    """
    f = grams.shape[-1]
    # Within the arms: products of deviations from every arm's means.
    size = np.maximum(grams[..., :1, :1], 1.0)
    within = (grams[..., 1:, 1:] - grams[..., 1:, :1] * grams[..., :1, 1:] / size).sum(axis=0)
    slopes = (products[..., 1:] - grams[..., 1:, 0] * products[..., :1] / size[..., 0]).sum(axis=0)
    shared = np.zeros(products.shape[1:])
    shared[:, 1:] = np.linalg.solve(within + _RIDGE * np.eye(f - 1), slopes[..., None])[..., 0]
    penalty = _OWN_SLOPES_RIDGE * np.eye(f)
    # The constant is not penalised.
    penalty[0, 0] = 1e-9
    left = products - (grams @ shared[..., None])[..., 0]
    return shared + np.linalg.solve(grams + penalty, left[..., None])[..., 0]


def _probabilities(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(arm | x) [R, K, N] from coefficients [R, K - 1, F] of the arms after the first."""
    logits = np.clip(coefficients @ x.T, -30, 30)
    logits = np.concatenate([np.zeros_like(logits[:, :1]), logits], axis=1)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def _refit(start: np.ndarray, treatment: np.ndarray, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return _fit(np.repeat(start, len(weights), axis=0), treatment, x, weights, _NEWTON_MORE)


def _fit(
    coefficients: np.ndarray, treatment: np.ndarray, x: np.ndarray, weights: np.ndarray, num_steps: int
) -> np.ndarray:
    """Newton steps of penalised multinomial logistic regression, one problem for each row of weights [R, N]."""
    rows, arms, f = coefficients.shape
    penalty = np.full(f, _RIDGE)
    penalty[0] = 1e-6
    member = (treatment == np.arange(1, arms + 1)[:, None]).astype(np.float64)
    products = _products(x)
    upper, lower = np.tril_indices(arms)
    same = (upper == lower)[:, None]
    for _ in range(num_steps):
        share = _probabilities(coefficients, x)[:, 1:]
        slope = (weights[:, None] * (member - share)) @ x - penalty * coefficients
        curvature = np.empty((rows, arms, f, arms, f))
        blocks = _gram(weights[:, None] * share[:, upper] * (same - share[:, lower]), products).swapaxes(0, 1)
        curvature[:, upper, :, lower] = curvature[:, lower, :, upper] = blocks
        curvature = curvature.reshape(rows, arms * f, arms * f)
        curvature[:, np.arange(arms * f), np.arange(arms * f)] += np.tile(penalty, arms)
        step = np.linalg.solve(curvature, slope.reshape(rows, -1, 1)).reshape(coefficients.shape)
        # A long step leaves the region where the quadratic model holds.
        longest = np.abs(step).max(axis=(1, 2), keepdims=True)
        coefficients = coefficients + step / np.maximum(longest, 1.0)
    return coefficients
