"""BRISQUE: natural scene statistics of an image, scored by a support vector regression on opinion scores."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.metrics import _filters, _pixels, generalised_gaussian, natural_scene

FEATURES = 36
# So that the half-size image still holds the window.
SMALLEST_SIDE = 16
_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
# Smallest and largest value of each feature in the training set: the file `allrange` of the original release.
RANGES = np.array(
    [
        [0.338, 10], [0.017204, 0.806612], [0.236, 1.642], [-0.123884, 0.20293], [0.000155, 0.712298],
        [0.001122, 0.470257], [0.244, 1.641], [-0.123586, 0.179083], [0.000152, 0.710456], [0.000975, 0.470984],
        [0.249, 1.555], [-0.135687, 0.100858], [0.000174, 0.684173], [0.000913, 0.534174], [0.258, 1.561],
        [-0.143408, 0.100486], [0.000179, 0.685696], [0.000888, 0.536508], [0.471, 3.264], [0.012809, 0.703171],
        [0.218, 1.046], [-0.094876, 0.187459], [1.5e-05, 0.442057], [0.001272, 0.40803], [0.222, 1.042],
        [-0.115772, 0.162604], [1.6e-05, 0.444362], [0.001374, 0.40243], [0.227, 0.996], [-0.117188, 0.098323],
        [3e-05, 0.531903], [0.001122, 0.369589], [0.228, 0.99], [-0.12243, 0.098658], [2.8e-05, 0.530092],
        [0.001118, 0.370399],
    ]
)  # fmt: skip
# Of the products of support vectors and features; coarse parts of 2^-8 multiply and add without rounding.
_COARSE = 2.0**-8
_KNOT = 0.25
_LARGEST_KNOT = 36.0


@dataclasses.dataclass(frozen=True)
class SupportVectors:
    """An epsilon-SVR with a radial kernel: sum_i weight_i exp(-gamma |vector_i - x|^2) - rho.

    Attributes:
      vectors: float64 [n, 36], features scaled to [-1, 1].
      weights: float64 [n].
      gamma: gamma of the kernel.
      rho: offset.
      ranges: float64 [36, 2], the smallest and largest value of each feature that [-1, 1] stands for.
    """

    vectors: np.ndarray
    weights: np.ndarray
    gamma: float
    rho: float
    ranges: np.ndarray


def read_libsvm(content: bytes, ranges: np.ndarray = RANGES) -> SupportVectors:
    """Reads a libsvm model file.

    Args:
      content: the file's bytes, the text that svm-train writes.
      ranges: float64 [36, 2], the ranges of its features; by default those of the original release.

    Returns:
      The model.

    Raises:
      InputError: when it is not the text of an epsilon- or nu-SVR with a radial kernel on 36 features.
    """
    head, mark, body = content.decode("ascii", errors="replace").partition("SV\n")
    fields = dict(line.split(maxsplit=1) for line in head.splitlines() if len(line.split(maxsplit=1)) == 2)
    if not mark or fields.get("kernel_type") != "rbf" or fields.get("svm_type") not in ("epsilon_svr", "nu_svr"):
        raise _checks.InputError("libsvm model: expected svm_type epsilon_svr or nu_svr, kernel_type rbf and SV")
    try:
        rows = [line.split() for line in body.splitlines() if line.strip()]
        vectors = np.zeros((len(rows), FEATURES))
        for vector, row in zip(vectors, rows, strict=True):
            for entry in row[1:]:
                index, value = entry.split(":")
                if not 1 <= int(index) <= FEATURES:
                    raise IndexError(f"feature {index}, expected 1..{FEATURES}")
                vector[int(index) - 1] = float(value)
        model = SupportVectors(
            vectors, np.array([float(row[0]) for row in rows]), float(fields["gamma"]), float(fields["rho"]), ranges
        )
        if len(rows) != int(fields["total_sv"]):
            raise ValueError(f"{len(rows)} support vectors, total_sv says {fields['total_sv']}")
    except (ValueError, KeyError, IndexError) as error:
        raise _checks.InputError(f"libsvm model: truncated or damaged ({type(error).__name__}: {error})") from None
    if np.shape(ranges) != (FEATURES, 2) or not (ranges[:, 0] < ranges[:, 1]).all():
        raise _checks.InputError(f"ranges of features: expected [36, 2], rising, got shape {np.shape(ranges)}")
    if not rows or not np.isfinite(vectors).all() or not np.isfinite(model.weights).all():
        raise _checks.InputError("libsvm model: expected finite support vectors, at least one")
    if not np.isfinite([model.gamma, model.rho]).all() or not model.gamma > 0 or not np.isfinite(ranges).all():
        raise _checks.InputError(
            f"libsvm model: expected a positive gamma, finite rho and ranges, got gamma {model.gamma}, rho {model.rho}"
        )
    return model


def features(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """BRISQUE's features at full and half size, with the border and the flat windows of the original code.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 16.

    Returns:
      (float32 [36], bool): shape and variance of the normalised luma, then shape, mean, left and right variance of its
      products with four neighbours, at both scales; and whether all of them are defined.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 16 pixels.

    References:
      [1] Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 2012, table I.
    """
    _pixels.check_single(image, SMALLEST_SIDE, "brisque")
    grey = _filters.grey_levels(image)
    # Whether the rounding of a flat image gives both signs with the border depends on its level.
    parts, defined = [], jnp.max(grey) > jnp.min(grey)
    for scale in (1, 2):
        normalised = natural_scene.normalise(grey, "zero", original=True)
        shape, variance, any_value = generalised_gaussian.fit_symmetric(normalised)
        fit = generalised_gaussian.fit_asymmetric(natural_scene.neighbour_products(normalised, _SHIFTS))
        mean = (fit.right - fit.left) * fit.shape.read("mean") * fit.shape.read("scale")
        pairs = jnp.stack([fit.shape.read("shape"), mean, jnp.square(fit.left), jnp.square(fit.right)], axis=1)
        parts += [jnp.stack([shape.read("shape"), variance]), pairs.reshape(-1)]
        defined = defined & any_value & jnp.all(fit.defined)
        grey = natural_scene.halve(grey) if scale == 1 else grey
    return jnp.concatenate(parts), defined


def _straight_through(rounded: jax.Array, x: jax.Array) -> jax.Array:
    return jax.lax.stop_gradient(rounded) + (x - jax.lax.stop_gradient(x))


def _as_text(x: jax.Array) -> jax.Array:
    """Six digits after the point, as the original code passes features to the regression in text files."""
    return _straight_through(jnp.round(x * 1e6) / 1e6, x)


def scale_features(values: jax.Array, ranges: np.ndarray) -> jax.Array:
    """Scales features [36] to [-1, 1] over the training set's ranges, through the original's text files."""
    middle, half = (jnp.asarray(part, values.dtype) for part in (ranges.mean(axis=1), np.ptp(ranges, axis=1) / 2))
    return _as_text((_as_text(values) - middle) / half)


def regress(model: SupportVectors, x: jax.Array) -> jax.Array:
    """Evaluates the regression in float32 with float64's digits.

    The kernel sum cancels from about 10^5 to 10^2. With |v - x|^2 = |v|^2 + |x|^2 - 2 v.x the first term joins the
    weights in float64, the second leaves the sum, and exp(2 gamma v.x) is a tabulated exponential, in two floats, at
    the nearest knot of v.x times one of a small remainder. v.x itself is split so that its large part is exact.

    Args:
      model: static.
      x: float32 [36], scaled features.

    Returns:
      Scalar.
    """
    coarse = np.round(model.vectors / _COARSE) * _COARSE
    fine = jnp.asarray(model.vectors - coarse, x.dtype)
    x_coarse = jnp.round(jax.lax.stop_gradient(x) / _COARSE) * _COARSE
    exact = jnp.matmul(jnp.asarray(coarse, x.dtype), x_coarse, precision="highest")
    small = jnp.matmul(jnp.asarray(coarse, x.dtype), x - x_coarse, precision="highest")
    small = small + jnp.matmul(fine, x, precision="highest")
    knot = jnp.clip(jnp.round(exact / _KNOT), -_LARGEST_KNOT / _KNOT, _LARGEST_KNOT / _KNOT)
    rest = jnp.expm1(2.0 * model.gamma * ((exact - knot * _KNOT) + small))
    knots = np.arange(-_LARGEST_KNOT, _LARGEST_KNOT + _KNOT, _KNOT)
    index = (knot + _LARGEST_KNOT / _KNOT).astype(jnp.int32)
    table, low = _two_floats(np.exp(2.0 * model.gamma * knots), 12)
    scale, scale_low = _two_floats(model.weights * np.exp(-model.gamma * np.square(model.vectors).sum(axis=1)), 12)
    table, low, scale, scale_low = (jnp.asarray(part, x.dtype) for part in (table, low, scale, scale_low))
    # Twelve bits times twelve bits is exact.
    large = scale * table[index]
    tail = scale * low[index] + scale_low * (table[index] + low[index])
    tail = tail + (large + tail) * rest
    total, error = _compensated_sum(large)
    square = jnp.sum(jnp.square(x))
    return jnp.exp(-model.gamma * square) * (total + (error + jnp.sum(tail))) - model.rho


def _two_floats(x: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """x as a float of so many bits and the rest, in float64."""
    mantissa, exponent = np.frexp(x)
    high = np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)
    return high, x - high


def _compensated_sum(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum of [n] and its rounding error, by pairwise two-sums [Knuth]."""
    error = jnp.zeros((), x.dtype)
    while x.shape[0] > 1:
        x = jnp.pad(x, (0, x.shape[0] % 2))
        a, b = x[: x.shape[0] // 2], x[x.shape[0] // 2 :]
        x = a + b
        part = x - a
        error = error + jnp.sum((a - (x - part)) + (b - part))
    return x[0], error


def brisque(image: jax.Array, model: SupportVectors) -> jax.Array:
    """Blind/referenceless image spatial quality evaluator, in the convention of the original release.

    Luma as MATLAB's rgb2gray, zeros beyond the border, flat windows as `natural_scene.flat_signs`, features rounded to
    six digits.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 16.
      model: the regression, static: its arrays become constants of the compiled program.

    Returns:
      Scalar, about 0 to 100 on photographs but not bounded; lower is better. NaN for a flat image, and one
      whose normalised luma has no values of both signs.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 16 pixels.

    References:
      [1] Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 2012.

    Examples:
      >>> # metrics.resolve("brisque@FILE") reads a published model; this one is made up.
      >>> model = SupportVectors(np.zeros((1, 36)), np.ones(1), 0.05, 0.0, RANGES)
      >>> image = jax.ShapeDtypeStruct((16, 16, 3), jnp.float32)
      >>> jax.eval_shape(lambda image: brisque(image, model), image).shape
      ()
    """
    values, defined = features(image)
    return jnp.where(defined, regress(model, scale_features(values, model.ranges)), jnp.nan)
