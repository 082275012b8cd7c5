"""How much of the labels a network's features or outputs hold, as transfer learning measures it: labels are read."""

import numpy as np

# Iterations and relative change at which the evidence counts as maximised.
_STEPS, _TOLERANCE = 200, 1e-10
# Share of the largest eigenvalue below which the features have no direction, and what keeps a ratio finite.
_RANK, _SMALLEST = 1e-12, 1e-12


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """Log evidence per image of a Bayesian linear model of the one-hot labels, mean over the classes present.

    For one class, y ~ N(F w, 1 / beta) and w ~ N(0, 1 / alpha); alpha and beta maximise the evidence by MacKay's fixed
    point.

    Args:
      features: [N, D].
      labels: int [N].

    Returns:
      Nats per image, unbounded, higher is better. NaN when all images have one label: there is nothing to tell.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] K. You et al. (2021), LogME: practical assessment of pre-trained models for transfer learning.
      [2] D. MacKay (1992), Bayesian interpolation.
    """
    f, labels = _check(features, labels)
    present = np.unique(labels)
    if len(present) < 2:
        return np.nan
    y = (labels[:, None] == present).astype(np.float64)
    sigma, basis = np.linalg.eigh(f.T @ f)
    some = sigma > _RANK * sigma[-1]
    sigma, basis = sigma[some], basis[:, some]
    projected = (basis.T @ (f.T @ y)) ** 2 / sigma[:, None]
    return float(_evidence(sigma, projected, y.sum(axis=0), *f.shape).mean())


def _evidence(sigma: np.ndarray, projected: np.ndarray, squares: np.ndarray, n: int, d: int) -> np.ndarray:
    """Largest log evidence per image of every class [K]; projected: [R, K], squares: [K]."""
    rest = np.maximum(squares - projected.sum(axis=0), 0.0)
    alpha, beta, last = np.ones_like(rest), np.ones_like(rest), np.full_like(rest, -np.inf)
    for _ in range(_STEPS):
        scale = alpha + beta * sigma[:, None]
        norm = (beta**2 * sigma[:, None] * projected / scale**2).sum(axis=0)  # |m|^2
        residual = (alpha**2 * projected / scale**2).sum(axis=0) + rest
        evidence = 0.5 * (
            len(sigma) * np.log(alpha)
            + n * np.log(beta)
            - np.log(scale).sum(axis=0)
            - beta * residual
            - alpha * norm
            - n * np.log(2 * np.pi)
        )
        if (np.abs(evidence - last) <= _TOLERANCE * np.abs(evidence)).all():
            break
        last = evidence
        gamma = (beta * sigma[:, None] / scale).sum(axis=0)
        alpha = np.maximum(gamma, _SMALLEST) / np.maximum(norm, _SMALLEST)
        beta = np.maximum(n - gamma, _SMALLEST) / np.maximum(residual, _SMALLEST)
    return evidence / n


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Log expected empirical prediction: mean over images of log sum_z P(y | z) p(z | x).

    P(y | z) is the empirical share of label y in what the network predicts as class z.

    Args:
      probabilities: [N, Z] of the network's own classes, which need not be the labels.
      labels: int [N].

    Returns:
      Nats per image, at most 0, higher is better.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] C. Nguyen et al. (2020), LEEP: a new measure to evaluate transferability of learned representations.
    """
    p, labels = _check(probabilities, labels, "probabilities")
    _, y = np.unique(labels, return_inverse=True)
    joint = np.zeros((y.max() + 1, p.shape[1]))
    np.add.at(joint, y, p)
    mass = joint.sum(axis=0)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    return float(np.log((given[y] * p).sum(axis=1) / p.sum(axis=1)).mean())


def h_score(features: np.ndarray, labels: np.ndarray, *, shrinkage: float = 0.0) -> float:
    """Ratio of between-class to total covariance of the features: tr(cov(f)^-1 cov(E[f | y])).

    Args:
      features: [N, D].
      labels: int [N].
      shrinkage: in [0, 1), weight of the mean variance times the identity in cov(f); the original score has 0 and
        needs many more images than features.

    Returns:
      In [0, min(D, classes - 1)] without shrinkage, higher is better.

    Raises:
      ValueError: when shapes do not fit or shrinkage is out of range.

    References:
      [1] Y. Bao et al. (2019), An information-theoretic approach to transferability in task transfer learning.
      [2] S. Ibrahim et al. (2022), Newer is not always better: rethinking transferability metrics.
    """
    f, labels = _check(features, labels)
    if not 0 <= shrinkage < 1:
        raise ValueError(f"shrinkage: expected a number in [0, 1), got {shrinkage!r}")
    _, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    f = f - f.mean(axis=0)
    means = np.zeros((len(counts), f.shape[1]))
    np.add.at(means, y, f)
    means /= counts[:, None]
    total = f.T @ f / len(f)
    between = (means * counts[:, None]).T @ means / len(f)
    total = (1 - shrinkage) * total + shrinkage * np.trace(total) / len(total) * np.eye(len(total))
    if shrinkage and total.any():
        return float(np.trace(np.linalg.solve(total, between)))
    return float(np.trace(np.linalg.pinv(total, hermitian=True) @ between))


def _check(x: np.ndarray, labels: np.ndarray, name: str = "features") -> tuple[np.ndarray, np.ndarray]:
    x, labels = np.asarray(x, np.float64), np.asarray(labels)
    if x.ndim != 2 or labels.shape != x.shape[:1] or x.size == 0:
        raise ValueError(f"{name}, labels: expected [N, D] and [N], got {x.shape} and {labels.shape}")
    return x, labels
