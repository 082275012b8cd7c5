"""IL-NIQE: NIQE enriched by the statistics of gradients, log-Gabor responses and colours, judged block by block."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, images
from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _numbers, _pixels, _similarity, generalised_gaussian, natural_scene

FEATURES = 468
# Reference [1], section III, and the authors' code: the side images are resized to, and of a block at full size.
SIDE = 524
_BLOCK = 84
_WINDOW = _filters.gaussian(5, 5.0 / 6.0)
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
# [1] eq. 11: opponent colours, the order of the authors.
_OPPONENT = ((0.30, 0.04, -0.35), (0.34, -0.60, 0.17), (0.06, 0.63, 0.27))
_LOG_OFFSET = 1e-5
_GRADIENT_FLOOR = 1e-8
_DERIVATIVE_SIGMA, _DERIVATIVE_POWER = 1.66, 0.28
_WAVELENGTH, _WAVELENGTH_POWER, _WAVELENGTH_RATIO = 2.4, 0.87, 1.31
_SCALES, _ORIENTATIONS = 3, 4
_RADIAL_SPREAD = 0.55
_ANGULAR_SPREAD = math.pi / _ORIENTATIONS / 1.10
# Even: the pixel it belongs to is the third of six.
_HALVING = _filters.gaussian(6, 0.9)
_LARGEST = 10000.0
# Of Newton's method; it starts near and each step doubles the digits.
_WEIBULL_STEPS = 6
# Variance of logarithms that float32 rounding alone can make.
_EQUAL = 1e-10


@dataclasses.dataclass(frozen=True)
class IntegratedModel:
    """A multivariate Gaussian of the principal components of the features of pristine blocks.

    Attributes:
      mean: float64 [d], of the components.
      covariance: float64 [d, d] of the components, positive definite.
      centre: float64 [468], what is subtracted from the features first.
      components: float64 [468, d], the principal vectors.
    """

    mean: np.ndarray
    covariance: np.ndarray
    centre: np.ndarray
    components: np.ndarray

    def __post_init__(self) -> None:
        shapes = tuple(np.shape(getattr(self, field.name)) for field in dataclasses.fields(self))
        size = shapes[0][0] if len(shapes[0]) == 1 else 0
        if size < 1 or shapes != ((size,), (size, size), (FEATURES,), (FEATURES, size)):
            raise _checks.InputError(
                "integrated model: expected mean [d], covariance [d, d], centre [468] and components [468, d], "
                f"got {', '.join(map(str, shapes))}"
            )
        finite = all(np.isfinite(getattr(self, field.name)).all() for field in dataclasses.fields(self))
        values = np.linalg.eigvalsh(self.covariance) if finite else np.zeros(1)
        if values[0] <= size * np.finfo(np.float64).eps * values[-1]:
            raise _checks.InputError("integrated model: expected finite values and a positive definite covariance")


class Weibull(NamedTuple):
    """A Weibull distribution.

    Attributes:
      scale: scale in the unit of the values; without meaning where undefined.
      shape: shape; without meaning where undefined.
      defined: whether the values differ at all.
    """

    scale: jax.Array
    shape: jax.Array
    defined: jax.Array


def fit_weibull(x: jax.Array, side: int) -> Weibull:
    """Maximum likelihood Weibull distribution of every square of `side` pixels, by Newton's method on the shape.

    The shape k solves sum x^k ln x / sum x^k - mean ln x = 1 / k; the scale is (mean x^k)^(1 / k). The gradient is that
    of the solution.

    Args:
      x: float32 [..., H, W], positive, sides multiples of `side`.
      side: static.

    Returns:
      The fits, each field [..., blocks].

    References:
      [1] Cohen, "Maximum likelihood estimation in the Weibull distribution", Technometrics 1965, eq. 5 and 6.
    """
    count = side * side
    rows, columns = x.shape[-2] // side, x.shape[-1] // side

    def total(part: jax.Array) -> jax.Array:
        return generalised_gaussian.block_sums(part, side)

    def spread(part: jax.Array) -> jax.Array:
        grid = part.reshape(*part.shape[:-1], rows, columns)
        return settle(jnp.repeat(jnp.repeat(grid, side, axis=-1), side, axis=-2))

    log = settle(jnp.log(x))
    mean = total(log) / count
    log = settle(log - spread(mean))
    held = jax.lax.stop_gradient(log)
    variance = total(jnp.square(held)) / (count - 1)
    defined = variance > _EQUAL
    log = jnp.where(spread(defined), log, 0.0)
    held = jnp.where(spread(defined), held, 0.0)

    def step(k: jax.Array, log: jax.Array) -> jax.Array:
        power = settle(jnp.exp(spread(k) * log))
        first = total(power * log) / total(power)
        second = total(power * jnp.square(log)) / total(power)
        return k - (first - 1.0 / k) / (second - jnp.square(first) + 1.0 / jnp.square(k))

    start = 1.2 / jnp.sqrt(jnp.where(defined, variance, 1.0))
    k = jax.lax.fori_loop(0, _WEIBULL_STEPS - 1, lambda _, k: step(k, held), start)
    k = step(jax.lax.stop_gradient(k), log)
    return Weibull(jnp.exp(mean + jnp.log(total(jnp.exp(spread(k) * log)) / count) / k), k, defined)


@functools.lru_cache(maxsize=4)
def _bank(size: int, wavelength: float) -> tuple[np.ndarray, np.ndarray]:
    """Radial [3, size, size] and angular [4, size, size] factors of the log-Gabor filters, in numpy's FFT order."""
    v, u = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)
    radius[0, 0] = 1.0
    wavelengths = wavelength * _WAVELENGTH_RATIO ** np.arange(_SCALES)
    radial = np.exp(-(np.log(radius * wavelengths[:, None, None]) ** 2) / (2.0 * math.log(_RADIAL_SPREAD) ** 2))
    radial[:, 0, 0] = 0.0
    turned = angle - (np.arange(_ORIENTATIONS) * math.pi / _ORIENTATIONS)[:, None, None]
    turned = np.arctan2(np.sin(turned), np.cos(turned))
    return radial.astype(np.float32), np.exp(-(turned**2) / (2.0 * _ANGULAR_SPREAD**2)).astype(np.float32)


def _derivatives(x: jax.Array, sigma: float) -> jax.Array:
    """Derivatives of Gaussian along columns and rows, not normalised, zero border: [..., H, W] to [2, ..., H, W]."""
    half = math.ceil(3.0 * sigma)
    offset = np.arange(-half, half + 1)
    bell = np.exp(-(offset**2) / (2.0 * sigma**2))
    even, odd = tuple(map(float, bell)), tuple(map(float, -offset * bell))
    along, down = (_filters.separable(x, *pair, border="zero") for pair in ((even, odd), (odd, even)))
    return settle(jnp.stack([along, down]))


def _magnitude(derivatives: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(derivatives[0]) + jnp.square(derivatives[1]) + _GRADIENT_FLOOR)


def _pairs(first: jax.Array, second: jax.Array) -> jax.Array:
    """Interleaves two features of n maps [n, blocks] to [2 n, blocks]."""
    return jnp.stack([first, second], axis=1).reshape(-1, first.shape[-1])


def _symmetric_features(x: jax.Array, side: int) -> tuple[jax.Array, jax.Array]:
    """Shape and scale of maps [n, H, W] that are about symmetric: [2 n, blocks], and whether they are defined."""
    fit = generalised_gaussian.fit_asymmetric_blocks(x, side)
    scale = fit.shape.read("scale") * (fit.left + fit.right) / 2.0
    return _pairs(fit.shape.read("shape"), scale), jnp.all(fit.defined, axis=0)


def _gabor_features(plane: jax.Array, side: int, wavelength: float, sigma: float) -> tuple[jax.Array, ...]:
    """Summarises log-Gabor responses, their derivatives and gradients: features [n, blocks], and their blocks.

    Filter after filter, so that one response at a time is in memory.
    """
    radial, angular = (jnp.asarray(part, plane.dtype) for part in _bank(plane.shape[0], wavelength))
    # The filters drop the mean; without it the transform keeps the digits.
    plane = plane - jax.lax.stop_gradient(plane[0, 0])
    spectrum = jnp.fft.fft2(plane - jnp.mean(plane))

    def of_filter(index: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        response = jnp.fft.ifft2(spectrum * (radial[index[0]] * angular[index[1]]))
        response = settle(jnp.stack([response.real, response.imag]))
        derivatives = _derivatives(response, sigma)
        gradients = fit_weibull(_magnitude(derivatives), side)
        # Along and down of the real part, then of the imaginary part.
        ordered = jnp.moveaxis(derivatives, 0, 1).reshape(4, *plane.shape)
        values, defined = _symmetric_features(response, side)
        slopes, slopes_defined = _symmetric_features(ordered, side)
        defined = defined & slopes_defined & jnp.all(gradients.defined, axis=0)
        return values, slopes, _pairs(*gradients[:2]), defined

    index = np.meshgrid(np.arange(_SCALES), np.arange(_ORIENTATIONS), indexing="ij")
    *parts, defined = jax.lax.map(of_filter, tuple(jnp.asarray(part.reshape(-1)) for part in index))
    return *(part.reshape(-1, part.shape[-1]) for part in parts), jnp.all(defined, axis=0)


def _scale_features(planes: jax.Array, scale: int) -> tuple[jax.Array, jax.Array]:
    """234 features of the blocks of RGB planes [3, H, W] in 0..255, and which blocks have them all."""
    side = _BLOCK // scale
    sigma = _DERIVATIVE_SIGMA / scale**_DERIVATIVE_POWER
    red, green, blue = planes
    opponent = settle(jnp.stack([r * red + g * green + b * blue for r, g, b in _OPPONENT]))
    normalised = natural_scene.normalise(opponent[2], "edge", window=_WINDOW)
    structure, defined = natural_scene.neighbour_features(natural_scene.blocks(normalised, side), _SHIFTS)
    derivatives = _derivatives(opponent, sigma)
    gradients = fit_weibull(_magnitude(derivatives), side)
    slopes, slopes_defined = _symmetric_features(jnp.moveaxis(derivatives, 0, 1).reshape(6, *planes.shape[1:]), side)
    logs = jnp.log(planes + _LOG_OFFSET)
    red, green, blue = logs - jnp.mean(logs, axis=(1, 2), keepdims=True)
    colours = jnp.stack(
        [
            (red + green + blue) / math.sqrt(3.0),
            (red + green - 2.0 * blue) / math.sqrt(6.0),
            (red - green) / math.sqrt(2.0),
        ]
    )
    cut = jax.vmap(lambda plane: natural_scene.blocks(plane, side))(colours)
    moments = _pairs(jnp.mean(cut, axis=(2, 3)), jnp.var(cut, axis=(2, 3), ddof=1))
    wavelength = _WAVELENGTH / scale**_WAVELENGTH_POWER
    responses, derivatives, of_responses, responses_defined = _gabor_features(opponent[2], side, wavelength, sigma)
    values = [structure, _pairs(*gradients[:2]), moments, slopes, responses, derivatives, of_responses]
    defined = jnp.all(defined, axis=0) & jnp.all(gradients.defined, axis=0) & slopes_defined & responses_defined
    return jnp.concatenate(values), defined


def features(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """IL-NIQE's features of the 6 x 6 blocks of an image resized to 524 x 524, at full and half size.

    Args:
      image: float32 [H, W, 3] in [0, 1], any sides.

    Returns:
      (float32 [36, 468], bool [36]): values, and which blocks have them all: a fit needs values that differ, most of
      them values of both signs.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Zhang, Zhang, Bovik, "A feature-enriched completely blind image quality evaluator", IEEE TIP 2015,
          section III.
    """
    _pixels.check_single(image, 1, "ilniqe")
    # The gradient passes straight through the rounding.
    change = 255.0 * (image - jax.lax.stop_gradient(image))
    pixels = images.to_uint8(jax.lax.stop_gradient(image)).astype(image.dtype) + change
    planes = jnp.moveaxis(pixels, -1, 0)
    if planes.shape[1:] != (SIDE, SIDE):
        # Less a corner, so that a flat image stays exactly flat.
        corner = jax.lax.stop_gradient(planes[:, :1, :1])
        planes = jnp.clip(_similarity.resize(planes - corner, (SIDE, SIDE), "bicubic") + corner, 0.0, 255.0)
    kept = SIDE // _BLOCK * _BLOCK
    planes = settle(planes[:, :kept, :kept])
    values, defined = _scale_features(planes, 1)
    planes = _filters.pad(planes, (2, 3), (2, 3), "edge")
    for axis in (1, 2):
        planes = settle(_filters.shifted_sum(planes, _HALVING, axis, stride=2))
    half_values, half_defined = _scale_features(planes, 2)
    return jnp.minimum(jnp.concatenate([values, half_values]), _LARGEST).T, defined & half_defined


def _distance(white: jax.Array, defined: jax.Array) -> jax.Array:
    """Mean over blocks of the Mahalanobis distance, of features in which the pristine Gaussian is the standard one.

    With F the centred rows over sqrt(n - 1) the pooled covariance is (I + F'F) / 2, and w' (I + F'F)^-1 w is the least
    |w - F'z|^2 + |z|^2 over z: the residual of a least squares problem of as many unknowns as blocks. By its QR factors
    float32 suffices; with FF' itself the squares of variances as unlike as a distorted image's would need float64. A
    block without features stands at the mean, as in the original code.
    """
    rows = defined.astype(white.dtype)[:, None]
    count = jnp.sum(rows)
    mean = jnp.sum(jnp.where(defined[:, None], white, 0.0), axis=0, keepdims=True) / jnp.maximum(count, 1.0)
    off = jnp.where(defined[:, None], white - mean, 0.0)
    scaled = off / jnp.sqrt(jnp.maximum(count - 1.0, 1.0))
    identity = jnp.eye(len(rows), dtype=white.dtype)
    orthogonal, _ = jnp.linalg.qr(jnp.concatenate([scaled, identity], axis=1).T)
    target = jnp.concatenate([mean + off, jnp.zeros_like(identity)], axis=1).T
    fitted = jnp.matmul(orthogonal.T, target, precision="highest")
    residual = target - jnp.matmul(orthogonal, fitted, precision="highest")
    distance = safe_sqrt(2.0 * jnp.sum(jnp.square(residual), axis=0))
    return jnp.where(count > 0, jnp.mean(distance), jnp.nan)


def ilniqe(image: jax.Array, model: IntegratedModel) -> jax.Array:
    """Integrated local natural image quality evaluator.

    The mean over blocks of sqrt((m - x)^T ((A + B) / 2)^-1 (m - x)), x the principal components of a block's features,
    m and A the pristine mean and covariance, B the covariance over the image's blocks.

    Args:
      image: float32 [H, W, 3] in [0, 1], any sides; resized to 524 x 524.
      model: the pristine model, static: its arrays become constants of the compiled program.

    Returns:
      Scalar, not negative; lower is better. NaN when no block has all features, so for a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Zhang, Zhang, Bovik, "A feature-enriched completely blind image quality evaluator", IEEE TIP 2015, eq. 17.

    Examples:
      >>> # metrics.resolve("ilniqe@FILE") reads a published model; this one is made up.
      >>> model = IntegratedModel(np.zeros(2), np.eye(2), np.zeros(468), np.eye(468, 2))
      >>> image = jax.ShapeDtypeStruct((48, 48, 3), jnp.float32)
      >>> jax.eval_shape(lambda image: ilniqe(image, model), image).shape
      ()
    """
    found, defined = features(image)
    whitening, offset = _whitening(model)
    found = jnp.where(defined[:, None], found, 0.0) - jnp.asarray(offset[0], found.dtype)[None]
    white = jnp.matmul(found, jnp.asarray(whitening, found.dtype), precision="highest")
    return _distance(white - jnp.asarray(offset[1], found.dtype)[None], defined)


def _whitening(model: IntegratedModel) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(matrix [468, d], offsets [468] before and [d] after it): features to where the pristine Gaussian is standard."""
    values, vectors = np.linalg.eigh(model.covariance)
    scaled = vectors / np.sqrt(values)
    return model.components @ scaled, (model.centre, model.mean @ scaled)


def from_arrays(arrays: dict[str, np.ndarray]) -> IntegratedModel:
    """Makes a model of named arrays: `mean`, `covariance`, `centre`, `components`, or the authors' `templateModel`.

    Args:
      arrays: the four, or one cell array of the four in this order.

    Returns:
      The model.

    Raises:
      InputError: when arrays are missing or misshapen.
    """
    if "templateModel" in arrays:
        cells = list(np.asarray(arrays["templateModel"], object).reshape(-1))
    else:
        cells = [arrays[field.name] for field in dataclasses.fields(IntegratedModel) if field.name in arrays]
    if len(cells) != 4:
        raise _checks.InputError(
            "integrated model: expected mean, covariance, centre and components, or one cell array templateModel of "
            f"the four, got {', '.join(arrays) or 'none'}"
        )
    mean, covariance, centre, components = (_numbers.real(cell, "integrated model") for cell in cells)
    return IntegratedModel(mean.reshape(-1), covariance, centre.reshape(-1), components)
