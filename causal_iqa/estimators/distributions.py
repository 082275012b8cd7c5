"""Scores of a whole unlabelled set from the outputs of a network: norms, dispersion, gradients, optimal transport.

Leading axes run over sets of images of one size, which are scored together.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize

# Smoothing of the largest gain in the dual of optimal transport, one after the other.
_SMOOTHINGS = (0.1, 0.02, 0.004, 0.001)


class Transport(NamedTuple):
    """accuracy: predicted, in [0, 1]. rows: [N], what each image adds; accuracy is their mean.

    A row is the image's probability of the label it is given, minus that label's price, plus the mean price: how the
    accuracy changes with the weight of the image, as a resample needs it.
    """

    accuracy: float
    rows: np.ndarray


def dense(top: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Probabilities of all classes from the largest few; the others are 0.

    Args:
      top: [..., N, T] probabilities.
      classes: int [..., N, T], their classes.
      num_classes: K.

    Returns:
      float64 [..., N, K].

    Raises:
      ValueError: when shapes differ or a class is not below K.

    Examples:
      >>> estimators.dense(np.array([[0.7, 0.2]]), np.array([[2, 0]]), 4).tolist()
      [[0.2, 0.0, 0.7, 0.0]]
    """
    top, classes = np.asarray(top, np.float64), np.asarray(classes)
    if top.ndim < 2 or top.shape != classes.shape or classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"top, classes: expected [..., N, T] both and classes in 0..{num_classes - 1}, got {top.shape}, "
            f"{classes.shape}"
        )
    out = np.zeros((*top.shape[:-1], num_classes))
    np.put_along_axis(out, classes.astype(np.int64), top, axis=-1)
    return out


def nuclear_norm(probabilities: np.ndarray) -> float | np.ndarray:
    """Sum of the singular values of the predictions over its largest possible value, sqrt(N min(N, K)).

    Large when predictions are confident and spread over the classes.

    Args:
      probabilities: [..., N, K], rows sum to 1 at most.

    Returns:
      [...] in (0, 1], higher is better.

    Raises:
      ValueError: for another rank.

    References:
      [1] W. Deng et al. (2023), Confidence and dispersity speak: characterising prediction matrix for unsupervised
        accuracy estimation.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> round(float(estimators.nuclear_norm(np.eye(2))), 2)
      1.0
      >>> round(float(estimators.nuclear_norm(probabilities)), 2)
      0.79
    """
    p = _probabilities(probabilities)
    n, k = p.shape[-2:]
    # Singular values by the smaller Gram matrix: exact to 10^-8 of the largest, and several times as quick.
    gram = p @ p.swapaxes(-1, -2) if n < k else p.swapaxes(-1, -2) @ p
    norm = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum(axis=-1)
    return _shaped(norm / np.sqrt(n * min(n, k)))


def optimal_transport(probabilities: np.ndarray, marginal: np.ndarray) -> Transport:
    """COT: accuracy = 1 - least mean cost of moving the predictions onto labels with the given marginal.

    The cost of giving an image of predictions p the label y is |p - e_y|_inf = 1 - p_y. The dual problem has one price
    v_y per label: the accuracy is the least value of sum_y marginal_y v_y + mean_i max_y (p_iy - v_y). It is solved by
    quasi-Newton steps with a smoothed maximum and ever less smoothing. The result is the value without smoothing, which
    exceeds the least value by some 10^-6 at most.

    Args:
      probabilities: [N, K], rows sum to 1 at most.
      marginal: [K] shares of the labels in the clean data, sum 1.

    Returns:
      The predicted accuracy, and the contribution of every image to it.

    Raises:
      ValueError: when shapes do not fit or the marginal does not sum to 1.

    References:
      [1] Y. Lu et al. (2023), Characterizing out-of-distribution error via optimal transport.
      [2] G. Peyré, M. Cuturi (2019), Computational optimal transport, section 5.3.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> round(float(estimators.optimal_transport(probabilities, np.array([0.6, 0.4])).accuracy), 2)
      0.75
    """
    p, marginal = _probabilities(probabilities, most=2), np.asarray(marginal, np.float64)
    if marginal.shape != p.shape[1:] or (marginal < 0).any() or not np.isclose(marginal.sum(), 1, atol=1e-6):
        raise ValueError(f"marginal: expected shares [{p.shape[1]}] that sum to 1, got {marginal.shape}")
    prices = np.zeros(len(marginal))
    # By label first: sums over the labels then go through whole rows of images.
    by_label = np.ascontiguousarray(p.T)
    for smoothing in _SMOOTHINGS:

        def dual(v: np.ndarray, smoothing: float = smoothing) -> tuple[float, np.ndarray]:
            z = by_label - v[:, None]
            z /= smoothing
            top = z.max(axis=0)
            z -= top
            weight = np.exp(z, out=z)
            total = weight.sum(axis=0)
            value = float(marginal @ v) + smoothing * float((top + np.log(total)).mean())
            return value, marginal - weight @ (1 / total) / len(p)

        # Gains lie in [0, 1], and so do the prices of some optimum.
        found = optimize.minimize(dual, prices, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(prices))
        prices = found.x
    rows = marginal @ prices + (p - prices).max(axis=1)
    return Transport(float(rows.mean()), rows)


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
        return _shaped(np.where(predicted < 2, np.nan, np.log(scatter / np.maximum(predicted - 1, 1))))


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
        return _shaped(np.full(f.shape[:-2], np.nan))
    f = f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-12)
    # |x - y|^2 = 2 - 2 x'y on the sphere; the pairs of an image with itself are taken away.
    kernel = np.exp(np.minimum(4 * (f @ f.swapaxes(-1, -2)) - 4, 0.0))
    own = np.trace(kernel, axis1=-2, axis2=-1)
    return _shaped(0.0 - np.log((kernel.sum(axis=(-1, -2)) - own) / (n * (n - 1))))


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
        return _shaped(np.full(x.shape[:-2], np.nan))
    mean = x.mean(axis=-2)
    centred = x - mean[..., None, :]
    values = np.linalg.eigvalsh(centred.swapaxes(-1, -2) @ centred / x.shape[-2])
    deviations = np.sqrt(np.maximum(values, 0.0))
    return _shaped(-np.square(mean).sum(axis=-1) - np.square(deviations - 1).sum(axis=-1))


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
    p = _probabilities(probabilities)
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
    f, p, labels = np.asarray(features, np.float64), _probabilities(probabilities), np.asarray(labels)
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
    return _shaped(-largest * (scaled**order).sum(axis=(-1, -2)) ** (1 / order))


def _shaped(values: np.ndarray) -> float | np.ndarray:
    return values if np.ndim(values) else float(values)


def _probabilities(probabilities: np.ndarray, most: int | None = None) -> np.ndarray:
    p = np.asarray(probabilities, np.float64)
    if p.ndim < 2 or p.ndim > (most or p.ndim) or p.size == 0:
        raise ValueError(f"probabilities: expected [{'' if most else '..., '}N, K], got shape {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or (p.sum(axis=-1) > 1 + 1e-2).any():
        raise ValueError("probabilities: expected rows of non-negative numbers that sum to 1 at most")
    return p
