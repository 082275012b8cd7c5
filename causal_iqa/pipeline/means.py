"""Means that leave out what is undefined: over images, and over networks."""

from collections.abc import Mapping

import numpy as np


def mean_over_images(values: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis.

    Args:
      values: [..., N], not finite where undefined.

    Returns:
      [...]; NaN where nothing is defined.

    Examples:
      >>> pipeline.mean_over_images(np.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
      [0.5, 1.0]
    """
    values = np.asarray(values)
    defined = np.isfinite(values)
    if defined.all():
        return values.mean(axis=-1)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0).sum(axis=-1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_over_networks(by_network: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the mean over networks of one shape.

    Args:
      by_network: network -> values, not finite where undefined.

    Returns:
      The mean over the networks that are defined anywhere; NaN where one of these is undefined, for a mean over fewer
      would not be comparable with its neighbours.

    Examples:
      >>> pipeline.mean_over_networks({"a": np.array([1.0, 0.0]), "b": np.array([1.0, 1.0])}).tolist()
      [1.0, 0.5]
    """
    values = [np.asarray(one) for one in by_network.values()]
    some = [one for one in values if np.isfinite(one).any()] or values
    return np.mean(some, axis=0)
