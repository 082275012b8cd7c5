"""Dataset-level quality: how much of the task, or of the clean images, a whole set of images under one condition keeps.

All are dependence measures between the features of the degraded set and a second variable of the same images, so one
number belongs to a condition and none to an image; `contributions` gives each image its part in it.

References:
  [1] Gretton, Bousquet, Smola, Schoelkopf. Measuring statistical dependence with Hilbert-Schmidt norms. ALT 2005.
  [2] Kornblith, Norouzi, Lee, Hinton. Similarity of neural network representations revisited. ICML 2019.
  [3] Song et al. Feature selection via dependence maximization. JMLR 2012.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, _tables, dependence
from causal_iqa.quality import _compiled

TARGETS = ("labels", "clean")


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One dataset-level metric, on any backbone.

    Attributes:
      name: its key in the table; a report adds `@BACKBONE`.
      target: the second variable: "labels", or "clean", the features of the same images without degradation.
      normalised: whether the dependence is divided by that of each variable with itself (CKA), or not (HSIC).
      family: task_guided (reads labels) or feature_reference (reads the clean images).
      convention: the formula in words.
      reference: where it comes from.
    """

    name: str
    target: str
    normalised: bool
    family: str
    convention: str
    reference: str
    higher_is_better: bool = True

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads in addition to the judged images; the clean ones set the kernel's width in any case."""
        return ("clean_image", "image_label") if self.target == "labels" else ("clean_image",)

    def passport(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return dataclasses.asdict(self)


_KERNELS = "RBF kernel, median heuristic on the clean set"
_SPECS = (
    DatasetSpec("hsic_labels", "labels", False, "task_guided", f"HSIC with the labels (delta); {_KERNELS}", "[1]"),
    DatasetSpec("cka_labels", "labels", True, "task_guided", f"CKA with the labels (delta); {_KERNELS}", "[2]"),
    DatasetSpec("hsic_clean", "clean", False, "feature_reference", f"HSIC with the clean features; {_KERNELS}", "[1]"),
    DatasetSpec("cka_clean", "clean", True, "feature_reference", f"CKA with the clean features; {_KERNELS}", "[2]"),
)

DATASET_TABLE = _tables.Table("dataset metric", _SPECS)


@jax.jit
def _gram(features: jax.Array, bandwidth: jax.Array) -> jax.Array:
    # Centred once: the weighted forms below do not change with it, and lose fewer digits.
    return dependence.centre(dependence.rbf(features, features, bandwidth=bandwidth))


@jax.jit
def _class_gram(labels: jax.Array) -> jax.Array:
    return dependence.centre(dependence.delta(labels, labels))


def _weighted_hsic(K: jax.Array, L: jax.Array, weights: jax.Array) -> jax.Array:
    product = functools.partial(jnp.matmul, precision="highest")
    left, right = product(weights, K), product(weights, L)
    both = (product(weights, K * L) * weights).sum(1)
    return both - 2 * (weights * left * right).sum(1) + (left * weights).sum(1) * (right * weights).sum(1)


@functools.partial(jax.jit, static_argnames="normalised")
def _dependence(K: jax.Array, L: jax.Array, weights: jax.Array, normalised: bool) -> jax.Array:
    found = _weighted_hsic(K, L, weights)
    if not normalised:
        return found
    own = _weighted_hsic(K, K, weights) * _weighted_hsic(L, L, weights)
    return jnp.where(own > 0, found / jnp.sqrt(jnp.where(own > 0, own, 1.0)), jnp.nan)


def evaluate_dataset(
    spec: DatasetSpec,
    features: np.ndarray,
    clean: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Scores a set of images under every condition, and resamples of it.

    With weights w = counts / sum(counts), HSIC = w'(K o L)w - 2 w'(Kw o Lw) + (w'Kw)(w'Lw), which is the V-statistic of
    the resampled set; it is never formed.

    Args:
      spec: a row of DATASET_TABLE.
      features: features of the degraded images [C, n, d].
      clean: features of the same images without degradation [n, d]; they also set the kernel's width.
      labels: int [n].
      counts: how often each image counts [B, n], from a bootstrap; None: once each.

    Returns:
      float64 [B, C], higher is better (B = 1 without counts); NaN where features do not differ or are not finite.

    Raises:
      ValueError: when shapes disagree or n is below 4.
      InputError: when more than half of the pairs of clean features are equal.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> anchors = quality.Anchors(features, labels, 3)
      >>> score = quality.evaluate_dataset(quality.DATASET_TABLE["cka_labels"], features[None], features, labels)
      >>> score.shape
      (1, 1)
    """
    features, clean, labels = np.asarray(features, np.float32), np.asarray(clean, np.float32), np.asarray(labels)
    n = len(clean)
    if features.ndim != 3 or features.shape[1:] != clean.shape or labels.shape != (n,) or n < 4:
        raise ValueError(
            "features, clean, labels: expected [C, n, d], [n, d] and [n] with n of at least 4, "
            f"got {features.shape}, {clean.shape} and {labels.shape}"
        )
    counts = np.ones((1, n)) if counts is None else np.asarray(counts, np.float64)
    if counts.ndim != 2 or counts.shape[1] != n:
        raise ValueError(f"counts: expected [B, {n}], got {counts.shape}")
    weights = np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float32)
    width = bandwidth_of(clean)
    target = _gram(clean, width) if spec.target == "clean" else _label_gram(labels)
    values = []
    for one in features:
        finite = bool(np.isfinite(one).all())
        found = _dependence(_gram(one, width), target, weights, spec.normalised) if finite else [np.nan] * len(counts)
        values.append(np.asarray(found, np.float64))
    return np.stack(values, axis=1)


def contributions(features: np.ndarray, clean: np.ndarray, labels: np.ndarray, *, target: str = "labels") -> np.ndarray:
    """Each image's part in the unbiased HSIC of its set with the labels or with the clean features.

    A score per image that reads the whole set: what an image adds to the dependence of the set it is in.

    Args:
      features: features of the degraded images [C, n, d].
      clean: features of the same images without degradation [n, d]; they also set the kernel's width.
      labels: int [n].
      target: one of TARGETS.

    Returns:
      float64 [C, n], higher is better; a row sums to the unbiased HSIC of its condition.

    Raises:
      ValueError: when shapes disagree, n is below 4, or target is unknown.

    References:
      [3] Song et al. 2012, equation 5, before the outer sum.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(30) % 3
      >>> clean = rng.normal(size=(30, 4)) + 4 * np.eye(3, 4)[labels]
      >>> degraded = clean[None] + rng.normal(size=(2, 30, 4)) * np.array([1.0, 9.0])[:, None, None]
      >>> mild, severe = quality.contributions(degraded, clean, labels).sum(axis=1)
      >>> bool(mild > severe)
      True
    """
    _checks.check_choice(target, TARGETS, "target")
    features, clean = np.asarray(features, np.float32), np.asarray(clean, np.float32)
    if features.ndim != 3 or features.shape[1:] != clean.shape or np.shape(labels) != clean.shape[:1]:
        raise ValueError(
            "features, clean, labels: expected [C, n, d], [n, d] and [n], "
            f"got {features.shape}, {clean.shape} and {np.shape(labels)}"
        )
    if len(clean) < 4:
        raise ValueError(f"clean: expected at least 4 images, got {len(clean)}")
    width = bandwidth_of(clean)
    L = _u_centre(_gram(clean, width) if target == "clean" else _label_gram(labels))
    return np.stack([np.asarray(_shares(one, width, L), np.float64) for one in features])


_u_centre = jax.jit(dependence.u_centre)


@jax.jit
def _shares(features: jax.Array, width: jax.Array, L: jax.Array) -> jax.Array:
    """`dependence.hsic_unbiased_contributions` for a U-centred L, whose rows sum to zero: K then needs no centring."""
    n = len(features)
    K = dependence.rbf(features, features, bandwidth=width)
    # A constant cancels; without it few digits are lost.
    K = jnp.where(jnp.eye(n, dtype=bool), 0.0, K - K.mean())
    means = K.sum(axis=1) / (n - 2)
    return ((K * L).sum(axis=1) - jnp.matmul(L, means, precision="highest")) / (n * (n - 3))


def bandwidth_of(clean: np.ndarray) -> np.float32:
    """Median heuristic on the features [n, d] of the clean images; InputError when they do not differ."""
    width = _compiled.median_distance(np.asarray(clean, np.float32))
    if not width > 0:
        raise _checks.InputError("clean: more than half of the pairs have equal features; the backbone is blind here")
    return np.float32(width)


def _label_gram(labels: np.ndarray) -> jax.Array:
    unlabelled = int((np.asarray(labels) < 0).sum())
    if unlabelled:
        raise _checks.InputError(f"labels: {unlabelled} of {len(labels)} are negative, for unlabelled; leave those out")
    return _class_gram(np.asarray(labels))
