"""How strong an unobserved confounder would have to be to explain an effect away."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class Robustness(NamedTuple):
    """Sensitivity of a linear effect estimate to an unobserved confounder.

    effect: coefficient of the treatment, in units of the outcome.
    standard_error: its classical standard error.
    value: robustness value: a confounder that explains this share of the residual variance of both treatment and
      outcome brings the effect to 0; weaker ones cannot.
    value_significance: the share that brings it to the edge of significance.
    benchmark: largest share of the residual variance of the treatment, and of the outcome, that one observed covariate
      explains: a confounder as strong as the strongest observed one.
    benchmark_bias: largest bias from a confounder with these two shares, in units of the outcome.
    """

    effect: float
    standard_error: float
    value: float
    value_significance: float
    benchmark: tuple[float, float]
    benchmark_bias: float


def robustness(treated: np.ndarray, x: np.ndarray, outcome: np.ndarray, *, alpha: float = 0.05) -> Robustness:
    """Robustness value of the coefficient of a binary treatment in a linear regression on covariates.

    RV = (sqrt(f^4 + 4 f^2) - f^2) / 2 with f = |t| / sqrt(degrees of freedom), t the coefficient's t statistic.

    Args:
      treated: bool [N].
      x: covariates [N, F], the first column ones; a confounder that is left out of them is unobserved.
      outcome: [N].
      alpha: level of significance.

    Returns:
      `Robustness`; shares in [0, 1], larger values more robust.

    Raises:
      ValueError: when shapes do not fit or there are no degrees of freedom.

    References:
      [1] C. Cinelli, C. Hazlett (2020), Making sense of sensitivity: extending omitted variable bias, JRSS B 82,
        sections 4.1 to 4.4.
    """
    treated, outcome = np.asarray(treated, np.float64), np.asarray(outcome, np.float64)
    if x.ndim != 2 or not len(x) == len(treated) == len(outcome):
        raise ValueError(
            f"treated, x, outcome: expected [N], [N, F], [N], got {treated.shape}, {x.shape}, {outcome.shape}"
        )
    # Columns that never vary among these images say nothing.
    x = x[:, np.r_[True, x[:, 1:].std(axis=0) > 1e-9]]
    whole = np.column_stack([treated, x])
    freedom = len(x) - np.linalg.matrix_rank(whole)
    if freedom < 2:
        raise ValueError(f"x: expected more images than covariates, got {len(x)} images and {x.shape[1]} covariates")
    d, y = _residuals(treated, x), _residuals(outcome, x)
    effect = float(d @ y / (d @ d))
    left = y - effect * d
    error = math.sqrt(left @ left / freedom / (d @ d))
    f = abs(effect / error) / math.sqrt(freedom)
    critical = stats.t.ppf(1 - alpha / 2, freedom - 1) / math.sqrt(freedom - 1)
    shares = [
        (_share(treated, x, j), _share(outcome, np.column_stack([treated, x]), j + 1)) for j in range(1, x.shape[1])
    ]
    of_d, of_y = (max((share[i] for share in shares), default=0.0) for i in (0, 1))
    bias = error * math.sqrt(freedom * of_y * of_d / (1 - of_d))
    return Robustness(effect, error, _value(f), _value(f - critical), (of_d, of_y), bias)


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
    """
    if not (risk_treated > 0 and risk_untreated > 0):
        return math.nan
    ratio = risk_treated / risk_untreated
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def _value(f: float) -> float:
    return 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2) if f > 0 else 0.0


def _residuals(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return y - x @ np.linalg.lstsq(x, y, rcond=None)[0]


def _share(y: np.ndarray, x: np.ndarray, column: int) -> float:
    """Partial R^2 of y with one column of x, given the others."""
    without = _residuals(y, np.delete(x, column, axis=1))
    return float(1 - (_residuals(y, x) ** 2).sum() / (without**2).sum())
