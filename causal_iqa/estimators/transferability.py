"""How much of the labels a network's features or outputs hold, as transfer learning measures it: labels are read.

Leading axes run over sets of images of one size, which are scored together.
"""

import numpy as np

from causal_iqa.estimators import spec

__all__ = ["h_score", "leep", "log_me"]

# Iterations and relative change at which the evidence counts as maximised.
_STEPS, _TOLERANCE = 200, 1e-10
# Share of the largest eigenvalue below which a direction counts as absent, and the term that keeps a ratio finite.
_RANK, _SMALLEST = 1e-12, 1e-12


def log_me(features: np.ndarray, labels: np.ndarray) -> float | np.ndarray:
    """Log evidence per image of a Bayesian linear model of the one-hot labels, mean over the classes present.

    For one class, y ~ N(F w, 1 / beta) and w ~ N(0, 1 / alpha); alpha and beta maximise the evidence by MacKay's fixed
    point.

    Args:
      features: [..., N, D].
      labels: int [..., N].

    Returns:
      Nats per image [...], unbounded, higher is better. NaN when all images have one label: no classes can
      be told apart.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] K. You et al. (2021), LogME: practical assessment of pre-trained models for transfer learning.
      [2] D. MacKay (1992), Bayesian interpolation.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = rng.normal(size=(60, 4)) + 3 * np.eye(3, 4)[labels]
      >>> bool(estimators.log_me(features, labels) > estimators.log_me(rng.normal(size=(60, 4)), labels))
      True
    """
    f, labels = _check(features, labels)
    lead, (n, d) = f.shape[:-2], f.shape[-2:]
    f, labels = f.reshape(-1, n, d), labels.reshape(-1, n)
    y = _one_hot(labels)
    present = y.any(axis=1)
    sigma, basis = np.linalg.eigh(f.swapaxes(1, 2) @ f)
    some = sigma > _RANK * sigma[:, -1:]
    # Directions that are not there add nothing.
    sigma = np.where(some, sigma, 0.0)
    projected = ((y.swapaxes(1, 2) @ f) @ basis) ** 2 / np.where(some, sigma, 1.0)[:, None]
    projected = np.where(some[:, None], projected, 0.0)
    evidence = np.zeros(present.shape)
    sets, classes = np.nonzero(present)
    evidence[sets, classes] = _evidence(sigma[sets], projected[sets, classes], y.sum(axis=1)[sets, classes], n)
    count = present.sum(axis=1)
    return _shaped(np.where(count < 2, np.nan, evidence.sum(axis=1) / count), lead)


def _evidence(sigma: np.ndarray, projected: np.ndarray, squares: np.ndarray, n: int) -> np.ndarray:
    """Largest log evidence per image [P] of every pair of set and class; sigma, projected: [P, R], squares: [P]."""
    found = np.zeros(len(sigma))
    todo = np.arange(len(sigma))
    rest = np.maximum(squares - projected.sum(axis=1), 0.0)
    alpha, beta, last = np.ones_like(rest), np.ones_like(rest), np.full_like(rest, -np.inf)
    for step in range(_STEPS):
        inverse = 1.0 / (alpha[:, None] + beta[:, None] * sigma)
        shares = projected * inverse
        shares *= inverse
        norm = beta**2 * np.einsum("pr,pr->p", sigma, shares)  # |m|^2
        residual = alpha**2 * shares.sum(axis=1) + rest
        evidence = 0.5 * (
            sigma.shape[1] * np.log(alpha)  # Directions that are not there have the scale alpha, which cancels.
            + n * np.log(beta)
            + _sum_of_logs(inverse)
            - beta * residual
            - alpha * norm
            - n * np.log(2 * np.pi)
        )
        found[todo] = evidence
        going = np.abs(evidence - last) > _TOLERANCE * np.abs(evidence)
        if step == _STEPS - 1 or not going.any():
            break
        gamma = beta * np.einsum("pr,pr->p", sigma, inverse)
        alpha = np.maximum(gamma, _SMALLEST) / np.maximum(norm, _SMALLEST)
        beta = np.maximum(n - gamma, _SMALLEST) / np.maximum(residual, _SMALLEST)
        last = evidence
        if 2 * going.sum() < len(going):  # Those that are done cost as much as the others.
            kept = (todo, sigma, projected, rest, alpha, beta, last)
            todo, sigma, projected, rest, alpha, beta, last = (x[going] for x in kept)
    return found / n


def _sum_of_logs(x: np.ndarray) -> np.ndarray:
    """Sums of the logarithms of rows, of eight at a time."""
    whole = x.shape[1] // 8 * 8
    products = x[:, :whole].reshape(len(x), -1, 8).prod(axis=2)
    return np.log(products).sum(axis=1) + np.log(x[:, whole:]).sum(axis=1)


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float | np.ndarray:
    """Log expected empirical prediction: mean over images of log sum_z P(y | z) p(z | x).

    P(y | z) is the empirical share of label y in what the network predicts as class z.

    Args:
      probabilities: [..., N, Z] of the network's own classes, which need not be the labels.
      labels: int [..., N].

    Returns:
      Nats per image [...], at most 0, higher is better.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] C. Nguyen et al. (2020), LEEP: a new measure to evaluate transferability of learned representations.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> round(float(estimators.leep(probabilities, np.array([0, 1, 0]))), 2)
      -0.41
    """
    p, labels = _check(probabilities, labels, "probabilities")
    y = _one_hot(labels)
    joint = y.swapaxes(-1, -2) @ p
    mass = joint.sum(axis=-2, keepdims=True)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    expected = ((y @ given) * p).sum(axis=-1) / p.sum(axis=-1)
    return _shaped(np.log(expected).mean(axis=-1), p.shape[:-2])


def h_score(features: np.ndarray, labels: np.ndarray, *, shrinkage: float = 0.0) -> float | np.ndarray:
    """Ratio of between-class to total covariance of the features: tr(cov(f)^-1 cov(E[f | y])).

    Args:
      features: [..., N, D].
      labels: int [..., N].
      shrinkage: weight, in [0, 1), of the mean variance times the identity in cov(f); the original score has 0 and
        needs many more images than features.

    Returns:
      [...] in [0, min(D, classes - 1)] without shrinkage, higher is better.

    Raises:
      ValueError: when shapes do not fit or shrinkage is out of range.

    References:
      [1] Y. Bao et al. (2019), An information-theoretic approach to transferability in task transfer learning.
      [2] S. Ibrahim et al. (2022), Newer is not always better: rethinking transferability metrics.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = rng.normal(size=(60, 4)) + 3 * np.eye(3, 4)[labels]
      >>> bool(estimators.h_score(features, labels) > 1)
      True
    """
    f, labels = _check(features, labels)
    if not 0 <= shrinkage < 1:
        raise ValueError(f"shrinkage: expected a number in [0, 1), got {shrinkage!r}")
    lead, (n, d) = f.shape[:-2], f.shape[-2:]
    y = _one_hot(labels)
    f = f - f.mean(axis=-2, keepdims=True)
    sums = y.swapaxes(-1, -2) @ f
    means = sums / np.maximum(y.sum(axis=-2), 1.0)[..., None]
    total = f.swapaxes(-1, -2) @ f / n
    average = np.trace(total, axis1=-2, axis2=-1)[..., None, None] / d
    total = (1 - shrinkage) * total + shrinkage * average * np.eye(d)
    # The trace of total^-1 sums' means / n, by one solution per class.
    if shrinkage and (average > 0).all():
        solved = np.linalg.solve(total, sums.swapaxes(-1, -2))
    else:
        solved = np.linalg.pinv(total, hermitian=True) @ sums.swapaxes(-1, -2)
    return _shaped((solved.swapaxes(-1, -2) * means).sum(axis=(-1, -2)) / n, lead)


def _one_hot(labels: np.ndarray) -> np.ndarray:
    """float64 [..., N, K] of the K labels that any set has."""
    return (labels[..., None] == np.unique(labels)).astype(np.float64)


def _shaped(values: np.ndarray, lead: tuple[int, ...]) -> float | np.ndarray:
    return values.reshape(lead) if lead else float(np.reshape(values, ()))


def _check(x: np.ndarray, labels: np.ndarray, name: str = "features") -> tuple[np.ndarray, np.ndarray]:
    x, labels = np.asarray(x, np.float64), np.asarray(labels)
    if x.ndim < 2 or labels.shape != x.shape[:-1] or x.size == 0:
        raise ValueError(f"{name}, labels: expected [..., N, D] and [..., N], got {x.shape} and {labels.shape}")
    return x, labels


SPECS = (
    spec.EstimatorSpec(
        "leep",
        leep,
        "dataset",
        ("probabilities", "labels"),
        False,
        ("image_label", "own_outputs"),
        "log expected empirical prediction of the labels",
        "Nguyen et al. 2020",
    ),
    spec.EstimatorSpec(
        "log_me",
        log_me,
        "dataset",
        ("features", "labels"),
        False,
        ("image_label",),
        "log evidence per image of a Bayesian linear model of the labels, given a backbone's features",
        "You et al. 2021",
    ),
    spec.EstimatorSpec(
        "h_score",
        h_score,
        "dataset",
        ("features", "labels"),
        False,
        ("image_label",),
        "trace of between-class over total covariance of a backbone's features",
        "Bao et al. 2019",
    ),
)
