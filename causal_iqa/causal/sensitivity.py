"""How strong an unobserved confounder would have to be to explain an effect away."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from causal_iqa.causal.resamples import LEAST_IMAGES
from causal_iqa.estimates import Estimate, check_level


class Robustness(NamedTuple):
    """Sensitivity of a linear effect estimate to an unobserved confounder.

    Attributes:
      effect: coefficient of the treatment, in units of the outcome.
      standard_error: its classical standard error, or that of clusters where the images have any.
      value: robustness value: a confounder that explains this share of the residual variance of both treatment and
        outcome brings the effect to 0; weaker ones cannot.
      value_significance: the share that brings it to the edge of significance.
      strongest: the observed covariate whose twin, left out, would bias the effect most, by its number in `groups`; -1
        where there is none.
      benchmark: shares of the residual variance of treatment and of outcome that such a twin can explain; 1 for the
        treatment where no bound exists.
      benchmark_bias: the largest bias from it, in units of the outcome; infinite where no bound exists.
    """

    effect: float
    standard_error: float
    value: float
    value_significance: float
    strongest: int
    benchmark: tuple[float, float]
    benchmark_bias: float


def robustness(
    treated: np.ndarray,
    x: np.ndarray,
    outcome: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    alpha: float = 0.05,
) -> Robustness:
    """Robustness value of the coefficient of a binary treatment in a linear regression on covariates.

    RV = (sqrt(f^4 + 4 f^2) - f^2) / 2 with f = |t| / sqrt(degrees of freedom), t the coefficient's t statistic.

    An unobserved confounder as strong as an observed covariate, with Cohen's f^2 = R^2 / (1 - R^2) of that covariate
    given the others, explains at most R2_D = f2_D of the treatment and R2_Y = eta^2 f2_Y of the outcome,
    eta = (1 + f2_D) / sqrt(1 - f2_D^2). Its bias is at most se sqrt(df R2_Y R2_D / (1 - R2_D)). For f2_D of 1 and more
    there is no bound.

    Images of one cluster are not independent: the standard error is then that of the sums over clusters [2], and
    significance is judged by Student's law with as many degrees of freedom as clusters less one. How much larger this
    error is than the classical one is taken to stay the same when the confounder is adjusted for. The robustness value
    and the bias are shares of variance, which clusters do not change.

    Args:
      treated: bool [N].
      x: covariates [N, F], the first column ones; a confounder that is left out of them is unobserved.
      outcome: [N].
      groups: int [F], the covariate that each column belongs to (`Design.groups`): the columns of a label count as one
        covariate, and those of -1 are adjusted for but no covariate to compare with. By default every column but the
        first is one.
      clusters: int [N] of images that are not independent of each other; None treats each image as its own cluster.
      alpha: level of significance.

    Returns:
      `Robustness`; shares in [0, 1], larger values more robust. With fewer than `LEAST_IMAGES` clusters the standard
      error and the share of significance are NaN.

    Raises:
      ValueError: when shapes do not fit or there are no degrees of freedom.

    References:
      [1] C. Cinelli, C. Hazlett (2020), Making sense of sensitivity: extending omitted variable bias, JRSS B 82,
        sections 4.1 to 4.4; the bound is theirs for k_D = k_Y = 1.
      [2] A. Cameron, D. Miller (2015), A practitioner's guide to cluster-robust inference, J. Human Resources 50,
        section II.B, with the correction of their equation 11.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> bool(causal.robustness(treatment == 1, x, outcome).value > 0.1)
      True
    """
    treated, outcome = np.asarray(treated, np.float64), np.asarray(outcome, np.float64)
    if x.ndim != 2 or not len(x) == len(treated) == len(outcome):
        raise ValueError(
            f"treated, x, outcome: expected [N], [N, F], [N], got {treated.shape}, {x.shape}, {outcome.shape}"
        )
    if clusters is not None and np.shape(clusters) != outcome.shape:
        raise ValueError(f"clusters: expected [{len(x)}], one for each image, got {np.shape(clusters)}")
    groups = np.arange(x.shape[1]) - 1 if groups is None else np.asarray(groups, int)
    if groups.shape != x.shape[1:]:
        raise ValueError(f"groups: expected [{x.shape[1]}], one for each column of x, got {groups.shape}")
    # Columns that never vary among these images say nothing.
    kept = np.r_[True, x[:, 1:].std(axis=0) > 1e-9]
    x, groups = x[:, kept], groups[kept]
    whole = np.column_stack([treated, x])
    freedom = len(x) - np.linalg.matrix_rank(whole)
    if freedom < 2:
        raise ValueError(f"x: expected more images than covariates, got {len(x)} images and {x.shape[1]} covariates")
    d, y = _residuals(treated, x), _residuals(outcome, x)
    effect = float(d @ y / (d @ d))
    left = y - effect * d
    error = math.sqrt(left @ left / freedom / (d @ d))
    f = abs(effect / error) / math.sqrt(freedom)
    inference, critical = error, float(stats.t.ppf(1 - alpha / 2, freedom - 1)) / math.sqrt(freedom - 1)
    if clusters is not None:
        inference, t = _of_clusters(d, left, np.asarray(clusters), whole.shape[1], alpha)
        critical = t * inference / error / math.sqrt(freedom - 1)
    strongest, benchmark, bias = -1, (0.0, 0.0), 0.0
    for group in np.unique(groups[groups >= 0]):
        own = groups == group
        f_d, f_y = _cohens_f2(treated, x, own), _cohens_f2(outcome, whole, np.r_[False, own])
        shares = (f_d, min(1.0, (1 + f_d) ** 2 / (1 - f_d**2) * f_y)) if f_d < 1 else (1.0, 1.0)
        largest = error * math.sqrt(freedom * shares[1] * shares[0] / (1 - shares[0])) if f_d < 1 else math.inf
        if strongest < 0 or largest > bias:
            strongest, benchmark, bias = int(group), shares, largest
    significant = _value(f - critical) if math.isfinite(critical) else math.nan
    return Robustness(effect, inference, _value(f), significant, strongest, benchmark, bias)


def _of_clusters(
    d: np.ndarray, left: np.ndarray, clusters: np.ndarray, num_columns: int, alpha: float
) -> tuple[float, float]:
    """The standard error of the coefficient of d from sums over clusters, and the critical t; NaN for few clusters."""
    own = np.unique(clusters, return_inverse=True)[1]
    count, n = int(own.max()) + 1, len(d)
    if count < LEAST_IMAGES:
        return math.nan, math.nan
    factor = count / (count - 1) * (n - 1) / (n - num_columns)
    error = math.sqrt(factor * np.square(np.bincount(own, d * left)).sum()) / float(d @ d)
    return error, float(stats.t.ppf(1 - alpha / 2, count - 1))


def e_value(risk_treated: float, risk_untreated: float) -> float:
    """E-value of a risk ratio: RR + sqrt(RR (RR - 1)).

    An unobserved confounder must be associated with both treatment and outcome by risk ratios of this size each, beyond
    the covariates, to explain the effect away.

    Args:
      risk_treated: probability of the outcome under treatment, in (0, 1].
      risk_untreated: and without, in (0, 1].

    Returns:
      At least 1, larger is more robust; NaN where a risk is not positive.

    References:
      [1] T. VanderWeele, P. Ding (2017), Sensitivity analysis in observational research: introducing the E-value,
        Annals of Internal Medicine 167.

    Examples:
      >>> round(causal.e_value(0.6, 0.3), 2)
      3.41
    """
    if not (risk_treated > 0 and risk_untreated > 0):
        return math.nan
    return _e_value_of(abs(math.log(risk_treated / risk_untreated)))


def e_value_of_resamples(risk_treated: np.ndarray, risk_untreated: np.ndarray, *, level: float = 0.95) -> Estimate:
    """E-value with an interval, computed from the bounds of the risk ratio.

    Args:
      risk_treated: probability of the outcome under treatment [1 + B], the estimate and its resamples (a column of
        `arm_means`).
      risk_untreated: and without [1 + B].
      level: confidence level of the interval.

    Returns:
      `Estimate`, at least 1. The lower bound is the E-value of that bound of the risk ratio which is nearer to 1, and 1
      where the interval of the ratio holds 1; the upper one may be infinite. NaN where a risk of the estimate is 0.

    References:
      [1] T. VanderWeele, P. Ding (2017), Sensitivity analysis in observational research: introducing the E-value,
        Annals of Internal Medicine 167.

    Examples:
      >>> treated, untreated = np.array([0.6, 0.62, 0.58]), np.array([0.3, 0.31, 0.29])
      >>> round(float(causal.e_value_of_resamples(treated, untreated).value), 2)
      3.41
    """
    check_level(level)
    value = e_value(risk_treated[0], risk_untreated[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(risk_treated) - np.log(risk_untreated)
    drawn = ratio[1:][~np.isnan(ratio[1:])]
    if math.isnan(value) or not len(drawn):
        return Estimate(value, math.nan, math.nan)
    # Not interpolated, as some may be infinite.
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    low, high = min(low, ratio[0]), max(high, ratio[0])
    near, far = sorted((abs(low), abs(high)))
    return Estimate(value, _e_value_of(0.0 if low <= 0 <= high else near), _e_value_of(far))


def _e_value_of(log_ratio: float) -> float:
    ratio = math.exp(log_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def _value(f: float) -> float:
    return 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2) if f > 0 else 0.0


def _residuals(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return y - x @ np.linalg.lstsq(x, y, rcond=None)[0]


def _cohens_f2(y: np.ndarray, x: np.ndarray, columns: np.ndarray) -> float:
    """R^2 / (1 - R^2), R^2 the share of what the other columns of x leave of y that these columns explain."""
    left = (_residuals(y, x) ** 2).sum()
    without = (_residuals(y, x[:, ~columns]) ** 2).sum()
    return float(max(without / left - 1, 0.0)) if left > 0 else math.inf
