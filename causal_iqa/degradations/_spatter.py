"""Water drops and mud on the lens, after Hendrycks and Dietterich (2019).

The water's relief follows the original's operations of OpenCV: Canny edges, chamfer distances to them, equalised,
embossed. All of it is arithmetic on whole numbers, so no result depends on the batch.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.degradations import _filters, ladder, spec

__all__ = ["spatter"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5. Mean and standard
# deviation of the noise, sigma of its blur in pixels, level above which there is liquid, strength of water or sigma of
# the blur of mud, and whether it is mud.
SPATTER_LIQUID = {
    "imagenet224": (
        (0.65, 0.3, 4.0, 0.69, 0.6, 0),
        (0.65, 0.3, 3.0, 0.68, 0.6, 0),
        (0.65, 0.3, 2.0, 0.68, 0.5, 0),
        (0.65, 0.3, 1.0, 0.65, 1.5, 1),
        (0.67, 0.4, 1.0, 0.65, 1.5, 1),
    ),
    "inception299": (
        (0.65, 0.3, 4.0, 0.69, 0.9, 0),
        (0.65, 0.3, 3.5, 0.68, 0.9, 0),
        (0.65, 0.3, 3.0, 0.68, 0.8, 0),
        (0.65, 0.3, 1.2, 0.65, 1.8, 1),
        (0.67, 0.4, 1.2, 0.65, 1.8, 1),
    ),
    "tiny64": (
        (0.62, 0.1, 0.7, 0.7, 0.6, 0),
        (0.65, 0.1, 0.8, 0.7, 0.6, 0),
        (0.65, 0.3, 1.0, 0.69, 0.6, 0),
        (0.65, 0.1, 0.7, 0.68, 0.6, 1),
        (0.65, 0.1, 0.5, 0.67, 0.6, 1),
    ),
    "cifar32": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1.0, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
}
_WATER = np.asarray([[[175, 238, 238]]], np.float32) / 255
_MUD = np.asarray([[[63, 42, 20]]], np.float32) / 255
# Mud thinner than this share is not seen.
_MUD_LEAST = 0.8

_CANNY_LOW, _CANNY_HIGH = 50, 150
# tan(22.5 degrees) in 15 fractional bits, as OpenCV has it.
_TAN_22 = 13573
# OpenCV's chamfer distance for a 5 x 5 mask: steps (1, 0), (1, 1), (2, 1) in 16 fractional bits.
_ONE, _DIAGONAL, _KNIGHT = 65536, 91750, 143976
# Distances are cut off here, in pixels.
_FARTHEST = 20
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def spatter(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds drops of water (severities 1 to 3) or covers with spots of mud (4 and 5) where smooth noise exceeds a level.

    Water: x + strength m colour, m the relief of the drops up to 1. Mud: (1 - m) x + m colour, m the blurred spots.
    Between severities 3 and 4 the two pictures are mixed.

    Args:
      key: random key; decides where the liquid is.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019), extra corruptions; OpenCV `Canny`, `distanceTransform`, `equalizeHist`.

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.spatter, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    family = ladder.family_of(image, family)
    neutral, rows = ladder_rows(SPATTER_LIQUID[family])
    mean, deviation, sigma, level, strength, mud_sigma, mud = ladder.mix(neutral, rows, severity)
    noise = jax.random.normal(key, image.shape[:2], jnp.float32)
    blurred = _filters.short_gaussian(noise, sigma, _filters.gaussian_reach(max(row[2] for row in rows)))
    layer = mean + deviation * blurred
    watered = jnp.clip(image + strength * water_relief(layer, level)[..., None] * _WATER, 0.0, 1.0)
    spots = (layer > level).astype(jnp.float32)
    spots = _filters.short_gaussian(spots, mud_sigma, _filters.gaussian_reach(max(row[5] for row in rows)))
    spots = jnp.where(spots < _MUD_LEAST, 0.0, spots)[..., None]
    muddied = (1.0 - spots) * image + spots * _MUD
    return ladder.finish(image, (1.0 - mud) * watered + mud * muddied, severity)


def ladder_rows(table: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """The neutral row and the five rows with strength, sigma of the mud and share of mud apart.

    A kind's own parameter is held where the other kind has the row; at severity 0 the water has no strength.
    """
    strengths = [row[4] for row in table if not row[5]]
    sigmas = [row[4] for row in table if row[5]]
    rows = [
        (*row[:4], strengths[-1] if row[5] else row[4], row[4] if row[5] else sigmas[0], float(row[5])) for row in table
    ]
    return (*table[0][:4], 0.0, sigmas[0], 0.0), rows


def water_relief(layer: jax.Array, level: jax.Array) -> jax.Array:
    """The relief of the drops where a layer of noise exceeds a level.

    Args:
      layer: float32 [H, W]; values above 1 count as 1.
      level: scalar, traced.

    Returns:
      float32 [H, W] in [0, 1]; 0 outside the drops, 1 at its highest unless there is no drop.
    """
    depth = jnp.floor(255.0 * jnp.clip(jnp.where(layer < level, 0.0, layer), 0.0, 1.0))
    relief = depth * _embossed(_chamfer(_canny(depth.astype(jnp.int32))))
    return relief / jnp.maximum(jnp.max(relief), 1.0)


def _neighbours(plane: jax.Array, mode: str, **kwargs) -> list[list[jax.Array]]:
    """The plane shifted so that [i][j] shows each pixel's neighbour at (i - 1, j - 1)."""
    height, width = plane.shape
    padded = _filters.settle(jnp.pad(plane, 1, mode=mode, **kwargs))
    return [[padded[i : i + height, j : j + width] for j in range(3)] for i in range(3)]


def _canny(plane: jax.Array) -> jax.Array:
    """Canny's edges of an 8-bit plane: 3 x 3 Sobel, |dx| + |dy|, thresholds 50 and 150; bool [H, W]."""
    near = _neighbours(plane, "edge")
    dx = (near[0][2] + 2 * near[1][2] + near[2][2]) - (near[0][0] + 2 * near[1][0] + near[2][0])
    dy = (near[2][0] + 2 * near[2][1] + near[2][2]) - (near[0][0] + 2 * near[0][1] + near[0][2])
    steep = jnp.abs(dx) + jnp.abs(dy)
    near = _neighbours(steep, "constant")
    flat, tall = jnp.abs(dx) * _TAN_22, jnp.abs(dy) << 15
    across = (steep > near[1][0]) & (steep >= near[1][2])
    down = (steep > near[0][1]) & (steep >= near[2][1])
    rising = (dx ^ dy) < 0
    before, after = (jnp.where(rising, near[a][2 - a], near[a][a]) for a in (0, 2))
    slanted = (steep > before) & (steep > after)
    ridge = jnp.where(tall < flat, across, jnp.where(tall > flat + (jnp.abs(dx) << 16), down, slanted))
    candidate = ridge & (steep > _CANNY_LOW)

    def grow(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        edge, _ = state
        near = _neighbours(edge, "constant")
        wider = candidate & (edge | sum((n for row in near for n in row), start=jnp.zeros_like(edge)))
        return wider, jnp.any(wider != edge)

    strong = ridge & (steep > _CANNY_HIGH)
    return jax.lax.while_loop(lambda state: state[1], grow, (strong, jnp.asarray(True)))[0]


def _chamfer(edge: jax.Array) -> jax.Array:
    """Distance to the nearest edge by steps (1, 0), (1, 1) and (2, 1), up to 20 pixels, times 2^16; float32 [H, W].

    The shortest way has the length max(a + .1969 b, .7969 a + .6031 b) for a >= b across and down (either way round),
    so the nearest edge of every column decides, and the columns are compared.
    """
    height, width = edge.shape
    far = jnp.where(edge, 0.0, float(_FARTHEST))
    padded = _filters.settle(jnp.pad(far, ((_FARTHEST, _FARTHEST), (0, 0)), constant_values=_FARTHEST))
    gap = far
    for apart in range(1, _FARTHEST):
        above, below = (padded[_FARTHEST + by : _FARTHEST + by + height] for by in (-apart, apart))
        gap = jnp.minimum(gap, jnp.minimum(above, below) + apart)
    padded = _filters.settle(jnp.pad(gap, ((0, 0), (_FARTHEST, _FARTHEST)), constant_values=_FARTHEST))
    slopes = ((_ONE, _KNIGHT - 2 * _ONE), (_KNIGHT - _DIAGONAL, 2 * _DIAGONAL - _KNIGHT))

    def nearer(apart: jax.Array, least: jax.Array) -> jax.Array:
        # Of two equally distant columns, take the column with the nearer edge. All numbers are whole and below 2^24, so
        # exact.
        left, right = (jax.lax.dynamic_slice(padded, (0, _FARTHEST + by), (height, width)) for by in (-apart, apart))
        down, across = jnp.minimum(left, right), apart.astype(jnp.float32)
        ways = [jnp.maximum(a * down + b * across, b * down + a * across) for a, b in slopes]
        return jnp.minimum(least, jnp.maximum(*ways))

    # A loop, and not its 20 steps, as XLA would compute those anew for each of the nine pixels of the box mean to come.
    return jax.lax.fori_loop(0, _FARTHEST, nearer, jnp.full(edge.shape, float(_FARTHEST * _ONE)))


def _embossed(distance: jax.Array) -> jax.Array:
    """Box mean, cut to whole pixels, equalised, embossed, box mean: whole numbers 0..255, float32 [H, W]."""
    total = distance.size
    box = sum(n for row in _neighbours(distance, "reflect") for n in row)
    # The box mean in whole pixels. The quotient may be off where the sum is a multiple, comparing is exact.
    unit = 9.0 * _ONE
    guess = jnp.floor(box * (1.0 / unit))
    level = guess + ((guess + 1.0) * unit <= box) - (guess * unit > box)
    level = _filters.settle(level.astype(jnp.int32))
    counts = jnp.zeros(_FARTHEST + 1, jnp.int32).at[level.reshape(-1)].add(1, mode="promise_in_bounds")
    # So many pixels are at 1, 2, .. or more. The lowest level maps to 0, the others by how many are at them or below.
    least = jnp.cumsum(counts[::-1])[::-1][1:]
    above_lowest = jnp.max(jnp.where(least < total, least, 0))
    up_to = above_lowest - jnp.append(least[1:], 0)
    scale = 255.0 / jnp.maximum(above_lowest, 1).astype(jnp.float32)
    table = jnp.where(least < total, jnp.clip(jnp.round(up_to.astype(jnp.float32) * scale), 0, 255), 0.0)
    # An image with one level everywhere stays unchanged.
    table = jnp.where(above_lowest > 0, table, jnp.cumsum(jnp.ones_like(table)))
    rises = table - jnp.append(0.0, table[:-1])
    # A loop for the same reason.
    equal = jax.lax.fori_loop(
        0, _FARTHEST, lambda k, total: total + rises[k] * (level > k), jnp.zeros(distance.shape, jnp.float32)
    )
    near = _neighbours(equal, "reflect")
    relief = sum(w * n for ws, ns in zip(_EMBOSS, near, strict=True) for w, n in zip(ws, ns, strict=True) if w)
    near = _neighbours(jnp.clip(relief, 0.0, 255.0), "reflect")
    return jnp.floor(sum(n for row in near for n in row) * (1.0 / 9.0) + 0.5)


SPECS = (
    spec.DegradationSpec(
        name="spatter",
        fn=spatter,
        group="weather",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=False,
        parameters=SPATTER_LIQUID,
        convention="(mean, deviation, sigma, level, strength of water or sigma of mud, mud or not); OpenCV's Canny, "
        "chamfer distance and equalisation in whole numbers; noise above 1 counts as 1 where the original overflows; "
        "at 32 pixels its water at 3 does more damage than its mud at 4; mixed between severities 3 and 4; "
        "neutral: water without strength",
        for_validation=True,
    ),
)
