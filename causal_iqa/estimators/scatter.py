"""Scores of a whole unlabelled set from the features of a network: their scatter and gradients.

Leading axes run over sets of images of one size, which are scored together.
"""

import numpy as np

from causal_iqa.estimators import distributions, spec

__all__ = ["dispersion", "frechet_distance", "negative_gradient_norm", "pseudo_labels", "uniformity"]


def dispersion(features: np.ndarray, predictions: np.ndarray) -> float | np.ndarray:
    """Dispersion score: log of the scatter of the predicted classes' mean features, weighted by their sizes.

    log(sum_k n_k |mean_k - mean|^2 / (K - 1)) over the K classes that are predicted.

    Args:
      features: [..., N, D] penultimate features of the network.
      predictions: int [..., N], its classes.

    Returns:
      [...], unbounded, higher is better; -inf when all means agree, NaN when one class is predicted throughout.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] R. Xie et al. (2023), On the importance of feature separability in predicting out-of-distribution error.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = rng.normal(size=(60, 4)) + 3 * np.eye(3, 4)[labels]
      >>> bool(estimators.dispersion(features, labels) > estimators.dispersion(rng.normal(size=(60, 4)), labels))
      True
    """
    f, predictions = np.asarray(features, np.float64), np.asarray(predictions)
    if f.ndim < 2 or not f.size or predictions.shape != f.shape[:-1]:
        raise ValueError(
            f"features, predictions: expected [..., N, D] and [..., N], got {f.shape} and {predictions.shape}"
        )
    y = (predictions[..., None] == np.unique(predictions)).astype(np.float64)
    counts = y.sum(axis=-2)
    means = (y.swapaxes(-1, -2) @ f) / np.maximum(counts, 1.0)[..., None]
    scatter = (counts * np.square(means - f.mean(axis=-2, keepdims=True)).sum(axis=-1)).sum(axis=-1)
    predicted = (counts > 0).sum(axis=-1)
    with np.errstate(divide="ignore"):
        return distributions.shaped(np.where(predicted < 2, np.nan, np.log(scatter / np.maximum(predicted - 1, 1))))


def uniformity(features: np.ndarray) -> float | np.ndarray:
    """Uniformity of embeddings on the sphere: -log of the mean of exp(-2 |x - y|^2) over the pairs of a set.

    Args:
      features: [..., N, D], which are brought to length one.

    Returns:
      [...], in [0, 8], higher for embeddings that are spread out; NaN for fewer than two images.

    Raises:
      ValueError: for another rank.

    References:
      [1] T. Wang, P. Isola (2020), Understanding contrastive representation learning through alignment and uniformity
        on the hypersphere, equation 2 with t = 2, with its sign turned.

    Examples:
      >>> spread, alike = np.eye(4), np.ones((4, 4))
      >>> round(float(estimators.uniformity(spread)), 3), float(estimators.uniformity(alike)) == 0
      (4.0, True)
    """
    f = np.asarray(features, np.float64)
    if f.ndim < 2 or not f.size:
        raise ValueError(f"features: expected [..., N, D], got shape {f.shape}")
    n = f.shape[-2]
    if n < 2:
        return distributions.shaped(np.full(f.shape[:-2], np.nan))
    f = f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-12)
    # |x - y|^2 = 2 - 2 x'y on the sphere; the pairs of an image with itself are taken away.
    kernel = np.exp(np.minimum(4 * (f @ f.swapaxes(-1, -2)) - 4, 0.0))
    own = np.trace(kernel, axis1=-2, axis2=-1)
    return distributions.shaped(0.0 - np.log((kernel.sum(axis=(-1, -2)) - own) / (n * (n - 1))))


def frechet_distance(coordinates: np.ndarray) -> float | np.ndarray:
    """Minus the Frechet distance of a set to the standard normal distribution, both taken as Gaussian.

    In coordinates that whiten the anchors this is the distance to the anchors: |mean|^2 + tr(S + I - 2 S^(1/2)).

    Args:
      coordinates: [..., N, E].

    Returns:
      [...], at most 0, higher is better; NaN for fewer than two images.

    Raises:
      ValueError: for another rank.

    References:
      [1] M. Heusel et al. (2017), GANs trained by a two time-scale update rule converge to a local Nash equilibrium; W.
        Deng, L. Zheng (2021), Are labels always necessary for classifier accuracy evaluation? (as a score of accuracy)

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> anchors = rng.normal(size=(500, 3))
      >>> bool(estimators.frechet_distance(anchors) > estimators.frechet_distance(anchors + 1))
      True
    """
    x = np.asarray(coordinates, np.float64)
    if x.ndim < 2 or not x.size:
        raise ValueError(f"coordinates: expected [..., N, E], got shape {x.shape}")
    if x.shape[-2] < 2:
        return distributions.shaped(np.full(x.shape[:-2], np.nan))
    mean = x.mean(axis=-2)
    centred = x - mean[..., None, :]
    values = np.linalg.eigvalsh(centred.swapaxes(-1, -2) @ centred / x.shape[-2])
    deviations = np.sqrt(np.maximum(values, 0.0))
    return distributions.shaped(-np.square(mean).sum(axis=-1) - np.square(deviations - 1).sum(axis=-1))


def pseudo_labels(seed: int, probabilities: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    """Labels for `negative_gradient_norm`: the predicted class where its probability reaches the threshold, else any.

    Args:
      seed: seed of the random labels, which are the same for every set.
      probabilities: [..., N, K].
      threshold: least probability of a predicted class that is believed.

    Returns:
      int [..., N].

    Raises:
      ValueError: for another rank.

    References:
      [1] R. Xie et al. (2024), Leveraging gradients for unsupervised accuracy estimation under distribution shift.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> estimators.pseudo_labels(0, probabilities).tolist()
      [0, 1, 0]
    """
    p = distributions.as_probabilities(probabilities)
    drawn = np.random.default_rng(seed).integers(0, p.shape[-1], p.shape[-2])
    return np.where(p.max(axis=-1) >= threshold, p.argmax(axis=-1), drawn)


def negative_gradient_norm(
    features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, *, order: float = 0.3
) -> float | np.ndarray:
    """GdScore with its sign turned: what one step on pseudo-labels would change in the last layer.

    The gradient of the mean cross-entropy by the classifier's kernel is G = mean_i f_i (p_i - e_{y_i})'; its norm is
    (sum_dk |G_dk|^order)^(1/order). A network that generalises poorly has a large one.

    Args:
      features: [..., N, D] penultimate features of the network.
      probabilities: [..., N, K].
      labels: int [..., N], from `pseudo_labels`; no true label is read.
      order: order of the norm, above 0.

    Returns:
      [...], at most 0, higher is better.

    Raises:
      ValueError: when shapes do not fit or order is not above 0.

    References:
      [1] R. Xie et al. (2024), Leveraging gradients for unsupervised accuracy estimation under distribution shift.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> features, sure = rng.normal(size=(8, 4)), np.eye(3)[np.arange(8) % 3]
      >>> labels = sure.argmax(axis=1)
      >>> float(estimators.negative_gradient_norm(features, sure, labels)) == 0  # certain outputs would change nothing
      True
    """
    f, p, labels = np.asarray(features, np.float64), distributions.as_probabilities(probabilities), np.asarray(labels)
    if f.shape[:-1] != p.shape[:-1] or labels.shape != p.shape[:-1]:
        raise ValueError(
            f"features, probabilities, labels: expected [..., N, D], [..., N, K] and [..., N], got {f.shape}, "
            f"{p.shape} and {labels.shape}"
        )
    if not order > 0:
        raise ValueError(f"order: expected a number above 0, got {order!r}")
    residual = p - (labels[..., None] == np.arange(p.shape[-1]))
    gradient = np.abs(f.swapaxes(-1, -2) @ residual / p.shape[-2])
    largest = gradient.max(axis=(-1, -2))
    scaled = gradient / np.where(largest > 0, largest, 1.0)[..., None, None]
    return distributions.shaped(-largest * (scaled**order).sum(axis=(-1, -2)) ** (1 / order))


SPECS = (
    spec.EstimatorSpec(
        "dispersion",
        dispersion,
        "dataset",
        ("features", "predictions"),
        False,
        spec.OWN,
        "log of the scatter of the predicted classes' mean features",
        "Xie et al. 2023",
    ),
    spec.EstimatorSpec(
        "uniformity",
        uniformity,
        "dataset",
        ("features",),
        False,
        ("anchor_labels",),
        "of a backbone's features on the sphere: minus log of the mean of exp(-2 |x - y|^2)",
        "Wang, Isola 2020",
    ),
    spec.EstimatorSpec(
        "frechet_early",
        frechet_distance,
        "dataset",
        ("coordinates",),
        False,
        ("anchor_labels",),
        "negative Frechet distance of a backbone's earliest inner stage to the anchors, which whiten it",
        "Heusel et al. 2017; Deng, Zheng 2021",
    ),
    spec.EstimatorSpec(
        "gd_score",
        negative_gradient_norm,
        "dataset",
        ("features", "probabilities", "pseudo_labels"),
        False,
        spec.OWN,
        "negative norm (order .3) of the last layer's gradient on pseudo-labels",
        "Xie et al. 2024 (GdScore)",
    ),
)
