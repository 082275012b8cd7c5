"""A map from score to accuracy learned on one dataset and applied to another."""

from collections.abc import Sequence

import numpy as np

from causal_iqa.alignment.predicted_accuracy import HeldOut, fit_accuracy_map, held_out_accuracy, predict_accuracy
from causal_iqa.estimates import Estimate, check_level


def transferred_accuracy(
    q: np.ndarray,
    m: np.ndarray,
    groups: Sequence[str | None],
    folds: np.ndarray,
    target_q: np.ndarray,
    target_m: np.ndarray,
    *,
    scale: float = 1.0,
    level: float = 0.9,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> HeldOut:
    """Learns the map on all conditions of one dataset and predicts the accuracy of the conditions of another.

    The interval is the predicted accuracy plus and minus the quantile of the absolute errors that the same procedure
    makes on the degradations of the first dataset, each left out in turn. It holds the truth as often as it says only
    if the second dataset is to the first as one degradation is to the others, which nothing here guarantees.

    Args:
      q: scores [C, N] of the first dataset, higher is better; NaN or infinite where undefined.
      m: performance [C, N] of the source dataset.
      groups: C names of degradations of the source dataset; None for clean images.
      folds: int [N], fold of every image of the source dataset, at least two folds.
      target_q: scores [D, L] of the second dataset.
      target_m: performance [D, L] of the target dataset; it is only compared with the predictions.
      scale: factor of the predictions, e.g. the ratio of the clean accuracies.
      level: confidence level of the intervals, in (0, 1).
      bounds: (lowest, highest) that a mean performance can be, within which predictions are kept.

    Returns:
      `HeldOut` of the D conditions; NaN where a condition has no score. Intervals are NaN with fewer than three groups.

    Raises:
      ValueError: when shapes do not fit, scale is not positive or level is out of range.

    References:
      [1] V. Vovk, A. Gammerman, G. Shafer (2005), Algorithmic learning in a random world: intervals from errors.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> degradations = ["fog"] * 4 + ["blur"] * 4
      >>> folds = alignment.image_folds(60)
      >>> alignment.transferred_accuracy(q, m, degradations, folds, q, m).predicted.value.shape
      (8,)
    """
    check_level(level)
    target_q, target_m = np.asarray(target_q, np.float64), np.asarray(target_m, np.float64)
    if target_q.shape != target_m.shape or target_q.ndim != 2:
        raise ValueError(f"target_q, target_m: expected [D, L] both, got {target_q.shape} and {target_m.shape}")
    if not scale > 0:
        raise ValueError(f"scale: expected a positive number, got {scale!r}")
    predicted = np.clip(scale * predict_accuracy(fit_accuracy_map(q, m), target_q), *bounds)
    half = np.nan
    if len({group for group in groups if group is not None}) > 2:
        held = held_out_accuracy(q, m, groups, folds, level=level, bounds=bounds)
        errors = np.sort(np.abs(held.predicted.value - held.truth)[np.isfinite(held.predicted.value)])
        place = min(len(errors), int(np.ceil((len(errors) + 1) * level))) - 1
        half = scale * errors[place] if len(errors) else np.nan
    known = np.isfinite(target_m)
    with np.errstate(invalid="ignore"):
        truth = np.where(known, target_m, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    return HeldOut(Estimate(predicted, np.clip(predicted - half, *bounds), np.clip(predicted + half, *bounds)), truth)


def relative_to_clean(q: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Scores in the unit of their dataset: (q - mean of the clean scores) / their standard deviation.

    What is ordinary differs between datasets and backbones, how far a condition moves a score against that less so.

    Args:
      q: scores [..., N], NaN or infinite where undefined.
      clean: scores of the clean images [N].

    Returns:
      Of the shape of q; NaN throughout where fewer than two clean scores are defined or they are all alike but for
      rounding (SSIM of an image with itself).

    Examples:
      >>> alignment.relative_to_clean(np.array([[3.0, 5.0]]), np.array([1.0, 3.0])).tolist()
      [[1.0, 3.0]]
    """
    q, clean = np.asarray(q, np.float64), np.asarray(clean, np.float64)
    known = clean[np.isfinite(clean)]
    spread = known.std() if known.size > 1 else 0.0
    finite = np.isfinite(q)
    if not finite.any() or not spread > 1e-3 * q[finite].std():
        return np.full(q.shape, np.nan)
    return np.where(finite, (q - known.mean()) / spread, np.nan)
