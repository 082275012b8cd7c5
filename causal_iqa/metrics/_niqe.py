"""NIQE: distance of an image's natural scene statistics from those of pristine photographs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _numbers, _pixels, natural_scene

BLOCK = 96
FEATURES = 36
# Reference [1]: horizontal, vertical and the two diagonal neighbours, in the order of the original code.
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Which features are shapes. The original code gives the grid's first shape to a block without values of both signs, and
# counts it in the mean, while its other features are left out.
_SHARP = 0.75
_IS_SHAPE = np.isin(np.arange(FEATURES) % 18, (0, 2, 6, 10, 14))[None]


@dataclasses.dataclass(frozen=True)
class PristineModel:
    """A multivariate Gaussian of the features of sharp blocks of pristine photographs.

    Attributes:
      mean: float64 [36].
      covariance: float64 [36, 36], positive definite.
    """

    mean: np.ndarray
    covariance: np.ndarray

    def __post_init__(self) -> None:
        shapes = np.shape(self.mean), np.shape(self.covariance)
        if shapes != ((FEATURES,), (FEATURES, FEATURES)):
            raise _checks.InputError(f"pristine model: expected mean [36] and covariance [36, 36], got {shapes}")
        values = np.linalg.eigvalsh(self.covariance) if np.isfinite(self.covariance).all() else np.zeros(1)
        if not np.isfinite(self.mean).all() or values[0] <= FEATURES * np.finfo(np.float64).eps * values[-1]:
            raise _checks.InputError("pristine model: expected finite values and a positive definite covariance")


def features(image: jax.Array, *, original: bool = False) -> tuple[jax.Array, jax.Array]:
    """NIQE's features of every 96 x 96 block of an image, at full and half size.

    The image is cut at the right and bottom to multiples of 96.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 96.
      original: argument of `natural_scene.normalise`, static.

    Returns:
      (float32 [blocks, 36], bool [blocks, 36]): values, and which are defined: a fit needs values of both signs.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 96 pixels.

    References:
      [1] Mittal, Soundararajan, Bovik, "Making a completely blind image quality analyzer", IEEE SPL 2013, section II.
    """
    _pixels.check_single(image, BLOCK, "niqe")
    height, width = (side // BLOCK * BLOCK for side in image.shape[:2])
    grey = _filters.grey_levels(image)[:height, :width]
    parts = []
    for side in (BLOCK, BLOCK // 2):
        normalised = natural_scene.normalise(grey, "edge", original=original)
        parts.append(natural_scene.neighbour_features(natural_scene.blocks(normalised, side), _SHIFTS))
        grey = natural_scene.halve(grey) if side == BLOCK else grey
    values, defined = (jnp.concatenate(part).T for part in zip(*parts, strict=True))
    return values, defined


def sharp_features(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Features of every block and whether the block may stand for pristine photographs.

    Sharp is a block whose mean local deviation is above 0.75 of the sharpest block's, as in the original fit.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 96.

    Returns:
      (float32 [blocks, 36], bool [blocks]).

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 96 pixels.

    References:
      [1] Mittal, Soundararajan, Bovik, "Making a completely blind image quality analyzer", IEEE SPL 2013, section II-B.
    """
    values, defined = features(image)
    height, width = (side // BLOCK * BLOCK for side in image.shape[:2])
    grey = _filters.grey_levels(image)[:height, :width]
    sharpness = jnp.mean(natural_scene.blocks(natural_scene.local_deviation(grey, "edge"), BLOCK), axis=(1, 2))
    return values, (sharpness > _SHARP * jnp.max(sharpness)) & jnp.all(defined, axis=1)


def fit(rows: np.ndarray) -> PristineModel:
    """Fits a pristine model.

    Args:
      rows: [n, 36], features of sharp blocks.

    Returns:
      Their mean and covariance (divided by n - 1), computed in float64.

    Raises:
      InputError: when there are too few blocks for a positive definite covariance.
    """
    rows = np.asarray(rows, np.float64)
    if len(rows) <= FEATURES:
        raise _checks.InputError(f"pristine model: expected more than {FEATURES} sharp blocks, got {len(rows)}")
    return PristineModel(rows.mean(axis=0), np.cov(rows.T))


def _distance(whitening: jax.Array, centred: jax.Array, defined: jax.Array, original: bool) -> jax.Array:
    """Mahalanobis distance of [1] eq. 10, in coordinates where the pristine covariance is the identity.

    There (I + C) / 2 has no eigenvalue below 1/2, so float32 suffices.
    """
    whole = jnp.all(defined, axis=1)
    used = (defined | jnp.asarray(_IS_SHAPE)) if original else (whole[:, None] & defined)
    weight = used.astype(centred.dtype)
    count = jnp.sum(weight, axis=0)
    mean = jnp.sum(weight * centred, axis=0) / jnp.maximum(count, 1.0)
    rows = whole.astype(centred.dtype)
    num_rows = jnp.sum(rows)
    white = jnp.matmul(centred, whitening, precision="highest")
    centre = jnp.sum(rows[:, None] * white, axis=0, keepdims=True) / jnp.maximum(num_rows, 1.0)
    off = (white - centre) * rows[:, None]
    covariance = jnp.matmul(off.T, off, precision="highest") / jnp.maximum(num_rows - 1.0, 1.0)
    pooled = (jnp.eye(FEATURES, dtype=centred.dtype) + covariance) / 2.0
    white_mean = jnp.matmul(mean, whitening, precision="highest")
    factor = jax.scipy.linalg.cho_factor(pooled, lower=True)
    squared = jnp.vdot(white_mean, jax.scipy.linalg.cho_solve(factor, white_mean), precision="highest")
    return jnp.where(num_rows > 0, safe_sqrt(squared), jnp.nan)


def niqe(image: jax.Array, model: PristineModel, *, original: bool = False) -> jax.Array:
    """Natural image quality evaluator.

    sqrt((m - n)^T ((A + B) / 2)^-1 (m - n)) of the mean m and covariance A of the pristine model and those of the
    image's blocks, n and B. With one block B is zero.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 96; a 224 x 224 image is read in its 192 x 192 corner.
      model: the pristine model, static: its arrays become constants of the compiled program.
      original: the values in a flat neighbourhood, static. False: zeros, and a block without values of both signs is
        left out. True: the values that rounding and NaN produce in the original code (`natural_scene.flat_signs`), for
        parity.

    Returns:
      Scalar, not negative; lower is better. NaN when every block is flat.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 96 pixels.

    References:
      [1] Mittal, Soundararajan, Bovik, "Making a completely blind image quality analyzer", IEEE SPL 2013, eq. 10.

    Examples:
      >>> # metrics.resolve("niqe@FILE") reads a published model; this one is made up.
      >>> model = PristineModel(np.zeros(36), np.eye(36))
      >>> image = jax.ShapeDtypeStruct((96, 96, 3), jnp.float32)
      >>> jax.eval_shape(lambda image: niqe(image, model), image).shape
      ()
    """
    values, vectors = np.linalg.eigh(model.covariance)
    whitening = jnp.asarray(vectors / np.sqrt(values), image.dtype)
    found, defined = features(image, original=original)
    return _distance(whitening, found - jnp.asarray(model.mean, found.dtype)[None], defined, original)


def from_arrays(arrays: dict[str, np.ndarray]) -> PristineModel:
    """Makes a model of named arrays, see `learned.packaged.read_npz`."""
    found = {}
    for wanted, starts in (("mean", ("mean", "mu")), ("covariance", ("cov",))):
        names = [name for name in arrays if name.startswith(starts)]
        if len(names) != 1:
            raise _checks.InputError(
                f"pristine model: expected one array named {' or '.join(starts)}..., got {', '.join(arrays) or 'none'}"
            )
        found[wanted] = _numbers.real(arrays[names[0]], f"pristine model: {names[0]}")
    return PristineModel(found["mean"].reshape(-1), found["covariance"])
