"""Elastic deformation: a random affine map and a smooth random displacement, after Hendrycks and Dietterich (2019)."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import pair, triple
from causal_iqa.degradations import _filters, ladder, spec

__all__ = ["elastic_transform"]


def _scaled(side: float, rows: tuple[tuple[float, float, float], ...]) -> tuple[tuple[float, float, float], ...]:
    return tuple(triple(side * value for value in row) for row in rows)


_LARGE = ((2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5. In pixels:
# amplitude of the displacement before it is smoothed, sigma of the smoothing, reach of the corners of the affine map.
# The scripts for 224 and 299 write them as shares of 244 and 360.
ELASTIC_FIELD = {
    "imagenet224": _scaled(244.0, _LARGE),
    "inception299": _scaled(360.0, _LARGE),
    "tiny64": _scaled(
        64.0, ((0.0, 0.0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02))
    ),
    "cifar32": _scaled(
        32.0, ((0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))
    ),
}
# imagecorruptions 1.1.2: amplitude as a multiple of .5 % of the height; sigma is 1 % of each side.
_IMAGECORRUPTIONS_ALPHA = tuple(250.0 * share for share in (0.05, 0.065, 0.085, 0.1, 0.12))
_IMAGECORRUPTIONS_NOISE, _IMAGECORRUPTIONS_SIGMA = 0.005, 0.01

DEFINITIONS = ("hendrycks", "imagecorruptions")
_TRUNCATE = 3.0
# Farther out than this, in pixels, coordinates are cut: float32 still knows where in a pixel it is.
_FAR = 1e4


def elastic_transform(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    definition: str = "hendrycks",
) -> jax.Array:
    """Maps three points of the image to random neighbours by an affine map, then displaces every pixel smoothly.

    Both steps read the image bilinearly, one after the other, as the original does.

    Args:
      key: random key; decides the points and the displacements.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.
      definition: static; "hendrycks" as in ImageNet-C and CIFAR-10-C, or "imagecorruptions": that package has another
        corruption under this name, without the affine map and with displacements of the order of a pixel, its
        parameters, which are the same for all families.

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when `definition` is neither.

    References:
      [1] Hendrycks, Dietterich (2019). [2] Simard, Steinkraus, Platt (2003). Best practices for convolutional neural
      networks applied to visual document analysis.

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.elastic_transform, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    family = ladder.family_of(image, family)
    _checks.check_choice(definition, DEFINITIONS, "definition")
    height, width, _ = image.shape
    points, noise = draw(key, height, width)
    y, x = (jnp.asarray(axis) for axis in np.mgrid[0:height, 0:width].astype(np.float32))
    if definition == "imagecorruptions":
        alpha = ladder.mix(0.0, _IMAGECORRUPTIONS_ALPHA, severity) * (_IMAGECORRUPTIONS_NOISE * height)
        dx, dy = displacement(noise, alpha, _IMAGECORRUPTIONS_SIGMA * height, _IMAGECORRUPTIONS_SIGMA * width)
        places = []
    else:
        table = ELASTIC_FIELD[family]
        # The smoothing at severity 0 is that of severity 1: only the amplitudes vanish.
        alpha, sigma, reach = ladder.mix((0.0, table[0][1], 0.0), table, severity)
        across, down = _apply(affine_back(reach * points, height, width), height, width)
        places = [(_mirror_pixels(across, width), _mirror_pixels(down, height))]
        dx, dy = displacement(noise, alpha, sigma, sigma, max(row[1] for row in table))
    places.append((_mirror_edges(x + dx, width), _mirror_edges(y + dy, height)))
    # A loop, as XLA would otherwise read the image anew for each of the four pixels that the next reading takes.
    out, _ = jax.lax.scan(lambda image, place: (_bilinear(image, *place), None), image, _stacked(places))
    return ladder.finish(image, out, severity)


def draw_noise(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws only the displacements of `draw`, before they are smoothed, in reading order."""
    return jax.random.uniform(jax.random.split(key)[1], shape, jnp.float32, -1.0, 1.0)


def smooth_displacement(noise: jax.Array, severity: jax.Array, *, family: str) -> jax.Array:
    """The smooth displacement of `elastic_transform` by Hendrycks' definition.

    Args:
      noise: float32 [2, H, W] of `draw_noise`.
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family.

    Returns:
      float32 [2, H, W], x first, in pixels.
    """
    table = ELASTIC_FIELD[family]
    alpha, sigma, _ = ladder.mix((0.0, table[0][1], 0.0), table, severity)
    return displacement(noise, alpha, sigma, sigma, max(row[1] for row in table))


def elastic_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    moved: jax.Array,
    *,
    family: str | None = None,
    definition: str = "hendrycks",
) -> jax.Array:
    """`elastic_transform` of an image on a canvas, see `shared_sizes`; `moved` of `smooth_displacement`, laid on it."""
    family = ladder.family_of(canvas, family)
    if definition != "hendrycks":
        raise ValueError(f"definition: expected 'hendrycks', got {definition!r}")
    table = ELASTIC_FIELD[family]
    *_, reach = ladder.mix((0.0, table[0][1], 0.0), table, severity)
    height, width = size[0], size[1]
    points, _ = draw(key, 1, 1)
    y, x = (jnp.asarray(axis) for axis in np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32))
    across, down = _apply(affine_back(reach * points, height, width), *canvas.shape[:2])
    dx, dy = moved
    places = [
        (_mirror_pixels(across, width), _mirror_pixels(down, height)),
        (_mirror_edges(x + dx, width), _mirror_edges(y + dy, height)),
    ]
    out, _ = jax.lax.scan(
        lambda image, place: (_bilinear(image, *place, (height, width)), None), canvas, _stacked(places)
    )
    return ladder.finish(canvas, out, severity)


def _stacked(places: list[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    return pair(jnp.stack(axis) for axis in zip(*places, strict=True))


def draw(key: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Draws the random fields of an elastic deformation.

    Args:
      key: random key.
      height, width: static.

    Returns:
      Where three points go, as (x, y) in units of the reach, float32 [3, 2], and the displacements before they are
      smoothed, (x, y) first, float32 [2, H, W]; all in U(-1, 1).
    """
    point_key, noise_key = jax.random.split(key)
    points = jax.random.uniform(point_key, (3, 2), jnp.float32, -1.0, 1.0)
    return points, jax.random.uniform(noise_key, (2, height, width), jnp.float32, -1.0, 1.0)


def displacement(
    noise: jax.Array,
    alpha: jax.Array,
    sigma_y: float | jax.Array,
    sigma_x: float | jax.Array,
    widest: float | None = None,
) -> jax.Array:
    """Smooths noise by a Gaussian cut at three sigmas with mirrored borders, and scales it.

    Args:
      noise: float32 [2, H, W].
      alpha: scalar amplitude in pixels, traced.
      sigma_y: scalar in pixels along the height, traced when `widest` is given.
      sigma_x: standard deviation along the width.
      widest: static upper bound of both; None: they are static themselves.

    Returns:
      float32 [2, H, W], in pixels.
    """
    _, height, width = noise.shape
    reach_y, reach_x = (_filters.gaussian_reach(widest or float(sigma), _TRUNCATE) for sigma in (sigma_y, sigma_x))
    rows = _filters.reflecting_gaussian(height, sigma_y, reach_y, _TRUNCATE)
    columns = _filters.reflecting_gaussian(width, sigma_x, reach_x, _TRUNCATE)
    out = jnp.einsum("yh,dhw->dyw", alpha * rows, noise, precision="highest")
    return jnp.einsum("xw,dyw->dyx", columns, out, precision="highest")


def affine_back(shifts: jax.Array, height: int | jax.Array, width: int | jax.Array) -> jax.Array:
    """The affine map from a place in the result to the place in the image that it shows.

    Three corners of a square about the middle, a third of the shorter side away from it, are shifted.

    Args:
      shifts: float32 [3, 2], (x, y) in pixels.
      height, width: static, or int32 scalars where the image lies on a canvas.

    Returns:
      float32 [2, 3]: source (x, y) = matrix (x, y, 1).
    """
    # As released, height and width are taken for x and y: it matters when they differ.
    middle_x, middle_y = height // 2, width // 2
    size = (min(height, width) if isinstance(height, int) else jnp.minimum(height, width)) // 3
    # A reciprocal, as XLA compiles a division by a constant: the same bits where the size is traced.
    per_pixel = 1.0 / (2.0 * size) if isinstance(size, jax.Array) or size else np.inf
    along_x = (shifts[1] - shifts[2]) * per_pixel
    along_y = (shifts[0] - shifts[1]) * per_pixel
    # Forward map: corner 0 at (middle + size) goes to itself plus its shift.
    a, c = 1.0 + along_x[0], along_x[1]
    b, d = along_y[0], 1.0 + along_y[1]
    corner_x, corner_y = middle_x + size, middle_y + size
    move_x = corner_x + shifts[0, 0] - a * corner_x - b * corner_y
    move_y = corner_y + shifts[0, 1] - c * corner_x - d * corner_y
    area = a * d - b * c
    # A map that folds the image onto a line has no inverse; float32 would make it infinite.
    area = jnp.where(jnp.abs(area) < 1e-4, 1e-4, area)
    inverse = jnp.stack([d, -b, -c, a]).reshape(2, 2) / area
    move = -(inverse[:, 0] * move_x + inverse[:, 1] * move_y)
    return jnp.concatenate([inverse, move[:, None]], axis=1)


def _apply(matrix: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Where every pixel of [H, W] is mapped, x and y."""
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    # Products first, each by itself: which of two the compiler joins with their sum depends on the size of the image.
    across, down = _filters.settle((matrix[:, :1] * x[None], matrix[:, 1:2] * y[None] + matrix[:, 2:]))
    u, v = (a[None, :] + b[:, None] for a, b in zip(across, down, strict=True))
    return jnp.clip(u, -_FAR, _FAR), jnp.clip(v, -_FAR, _FAR)


def _mirror_pixels(place: jax.Array, side: int | jax.Array) -> jax.Array:
    """Folds coordinates about the outermost pixels, which are not repeated (OpenCV's reflect-101)."""
    period = 2.0 * (max(side - 1, 1) if isinstance(side, int) else jnp.maximum(side - 1, 1))
    folded = jnp.mod(place, period)
    return jnp.minimum(folded, period - folded)


def _mirror_edges(place: jax.Array, side: int | jax.Array) -> jax.Array:
    """Folds coordinates about the outer edges, repeating the outermost pixels (SciPy's reflect)."""
    folded = jnp.mod(place + 0.5, 2.0 * side)
    return jnp.clip(jnp.minimum(folded, 2.0 * side - folded) - 0.5, 0.0, side - 1.0)


def _bilinear(image: jax.Array, x: jax.Array, y: jax.Array, size: tuple | None = None) -> jax.Array:
    """Reads [H, W, 3] at places [H, W] inside the image, of a size of its own where it lies on a canvas."""
    height, width = image.shape[:2] if size is None else size
    low_x, low_y = jnp.clip(jnp.floor(x), 0, width - 2), jnp.clip(jnp.floor(y), 0, height - 2)
    width = image.shape[1]
    part_x, part_y = (x - low_x).reshape(-1, 1), (y - low_y).reshape(-1, 1)
    first = (low_y.astype(jnp.int32) * width + low_x.astype(jnp.int32)).reshape(-1)
    first, part_x, part_y = _filters.settle((first, part_x, part_y))
    pixels = image.reshape(-1, 3)

    def read(step: int) -> jax.Array:
        return jnp.take(pixels, first + step, axis=0, mode="clip")

    upper = read(0) * (1.0 - part_x) + read(1) * part_x
    lower = read(width) * (1.0 - part_x) + read(width + 1) * part_x
    return (upper * (1.0 - part_y) + lower * part_y).reshape(image.shape)


SPECS = (
    spec.DegradationSpec(
        name="elastic_transform",
        fn=elastic_transform,
        group="digital",
        stochastic=True,
        differentiable=True,
        monotone=False,
        parameters=ELASTIC_FIELD,
        convention="(amplitude, sigma, reach of the affine map) in pixels; Hendrycks' definition, in which severities "
        "1 and 2 are harder than 3 to 5 at 224 and 299 pixels; two bilinear readings, at exact places (OpenCV rounds "
        "the first to 1/32 pixel); neutral (0, sigma of severity 1, 0)",
        options={"definition": DEFINITIONS},
        stage="geometry",
    ),
)
