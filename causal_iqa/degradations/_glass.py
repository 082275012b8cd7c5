"""Frosted glass: pixels exchanged with neighbours between two small blurs, after Hendrycks and Dietterich (2019)."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import _canvas, _filters, ladder, spec

__all__ = ["glass_blur"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
# Sigma of both blurs in pixels, reach of an exchange in pixels, passes over the image.
GLASS_BLUR_EXCHANGE = {
    "imagenet224": ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "inception299": ((0.8, 1, 3), (1.0, 3, 1), (1.1, 2, 4), (1.2, 4, 2), (1.6, 5, 2)),
    "tiny64": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "cifar32": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
}
EXCHANGES = ("copy", "swap")


def glass_blur(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    exchange: str = "copy",
    truncate: bool = False,
) -> jax.Array:
    """Blurs, exchanges every pixel with one at a random offset in -d..d - 1, pass after pass, and blurs again.

    The passes run from the lower right to the upper left, each exchange seeing what the earlier ones left. The released
    code means to swap the two pixels but copies the neighbour into the pixel, so after a pass only some 40 % of the
    pixels are left; "copy" does as released, "swap" as meant (.1 to 1.4 dB milder on photographs).

    Between rows every pixel follows one row or the next, with odds by the severity; the sigma is interpolated.

    Args:
      key: random key; decides the offsets.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.
      exchange: "copy" or "swap", static.
      truncate: whether the first blur is cut down to 8 bits, as released, static. It darkens by half a level and leaves
        no gradient.

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when `exchange` is neither.

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.glass_blur, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    return _glass(key, image, None, severity, family=family, exchange=exchange, truncate=truncate)


def glass_blur_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    exchange: str = "copy",
    truncate: bool = False,
) -> jax.Array:
    """`glass_blur` of an image on a canvas, see `_canvas`."""
    return _glass(key, canvas, size, severity, family=family, exchange=exchange, truncate=truncate)


def _glass(key, image, size, severity, *, family, exchange, truncate) -> jax.Array:
    family = ladder.family_of(image, family)
    _checks.check_choice(exchange, EXCHANGES, "exchange")
    table = GLASS_BLUR_EXCHANGE[family]
    sigma = ladder.mix(0.0, tuple(row[0] for row in table), severity)
    reach = _filters.gaussian_reach(max(row[0] for row in table))
    blurred = _filters.short_gaussian(image, sigma, reach)
    if truncate:
        blurred = jnp.floor(blurred * 255.0) / 255.0
    source = source_map(key, image.shape[:2], severity, table, exchange, size)
    if size is not None:
        source = _canvas.continued(source.reshape(image.shape[:2]), size).reshape(-1)
    moved = jnp.take(blurred.reshape(-1, 3), source, axis=0, mode="clip").reshape(image.shape)
    return ladder.finish(image, _filters.short_gaussian(moved, sigma, reach), severity)


def source_map(
    key: jax.Array,
    shape: tuple[int, int],
    severity: jax.Array,
    table: tuple[tuple[float, int, int], ...],
    exchange: str,
    size: jax.Array | None = None,
) -> jax.Array:
    """Returns the pixel that stands at each place after all passes.

    Args:
      key: random key.
      shape: height and width, static.
      severity: scalar in [0, 5], traced.
      table: five rows (sigma, reach, passes).
      exchange: "copy" or "swap", static.
      size: height and width of the image where it lies on a canvas of this shape, int32 [2], traced; None: the shape.

    Returns:
      int32 [H W], indices into the flattened image.
    """
    height, width = shape
    passes, widest = max(row[2] for row in table), max(row[1] for row in table)
    row_key, offset_key = jax.random.split(key)
    reaches, counts = _per_pixel(row_key, shape, severity, table, size)
    if size is None:
        bits = jax.random.bits(offset_key, (passes, height, width), jnp.uint32)
    else:
        bits = jax.random.bits(offset_key, (passes * height * width,), jnp.uint32)
        bits = _canvas.in_reading_order(bits, size, (passes, height, width))
        height, width = size
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    inside = (y > reaches) & (y <= height - reaches) & (x > reaches) & (x <= width - reaches)
    place = jnp.arange(shape[0] * shape[1], dtype=jnp.int32)

    def one_pass(source: jax.Array, step: tuple) -> tuple[jax.Array, None]:
        number, words = step
        active = inside & (number < counts)
        dy, dx = (jnp.where(active, _offset(half, reaches), 0) for half in (words >> 16, words & 0xFFFF))
        if exchange == "copy":
            final = _resolve_copies(place + (dy * shape[1] + dx).reshape(-1), place, widest)
        else:
            final = _resolve_swaps(dy, dx, active, widest)
        return jnp.take(source, final, mode="clip"), None

    return jax.lax.scan(one_pass, place, (np.arange(passes), bits))[0]


def _per_pixel(
    key: jax.Array, shape: tuple[int, int], severity: jax.Array, table: tuple, size: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Reach and passes of every pixel, int32 [H, W], from one row of the ladder or from the next."""
    rows = np.asarray([(0, 0), *(row[1:] for row in table), table[-1][1:]], np.int32)
    severity = jnp.clip(jnp.asarray(severity, jnp.float32), 0.0, ladder.MAX_SEVERITY)
    lower = jnp.floor(severity).astype(jnp.int32)
    if size is None:
        words = jax.random.bits(key, shape, jnp.uint16)
    else:
        words = _canvas.in_reading_order(jax.random.bits(key, (shape[0] * shape[1],), jnp.uint16), size, shape)
    upper = words.astype(jnp.float32) < (severity - lower) * 2.0**16
    low, high = jnp.asarray(rows)[lower], jnp.asarray(rows)[lower + 1]
    return jnp.where(upper, high[0], low[0]), jnp.where(upper, high[1], low[1])


def _offset(half: jax.Array, reach: jax.Array) -> jax.Array:
    """A whole number in -reach..reach - 1 from 16 random bits."""
    return ((half.astype(jnp.int32) * (2 * reach)) >> 16) - reach


def _resolve_copies(neighbour: jax.Array, place: jax.Array, widest: int) -> jax.Array:
    """What stands where after every pixel, last one first, has copied its neighbour; int32 [n].

    A neighbour further on in reading order has been overwritten already: then its copied value counts. Such chains only
    run forwards, so following all of them at once, twice as far each time, gives the result of the loop over pixels. A
    chain longer than the rounds reach (less than once in a million images) ends early.
    """
    # Ends of chains are stored as their complement, which is negative.
    link = jnp.where(neighbour > place, neighbour, ~neighbour)
    # A loop, as XLA would follow an unrolled chain anew for every pixel.
    link = jax.lax.fori_loop(0, _rounds(place.size, widest), lambda _, link: _follow(link), link)
    return jnp.where(link < 0, ~link, link)


def _rounds(pixels: int, widest: int) -> int:
    """Doublings after which no chain is left but with a probability of 1e-6."""
    # Of the offsets -d..d - 1 along both axes so many lead forwards.
    onwards = (2 * widest * (widest - 1) + widest - 1) / (2 * widest) ** 2
    if not onwards:
        return 0
    longest = math.log(1e6 * pixels) / -math.log(onwards)
    return math.ceil(math.log2(longest + 1))


def _follow(link: jax.Array) -> jax.Array:
    """Every link that is not an end yet is replaced by the link it leads to."""
    return jnp.where(link >= 0, jnp.take(link, link, mode="clip"), link)


def _resolve_swaps(dy: jax.Array, dx: jax.Array, active: jax.Array, widest: int) -> jax.Array:
    """What stands where after every pixel, last one first, has been swapped with its neighbour; int32 [n].

    A place is touched by its own exchange and by those of the pixels whose neighbour it is. Going through the offsets
    in order gives, for all places at once, their exchanges in order, and with them what each exchange found.
    """
    height, width = dy.shape
    n = height * width
    place = jnp.arange(n, dtype=jnp.int32).reshape(height, width)
    # An exchange leaves two values: node p is the one that it leaves at its own place, n + p the one at the
    # neighbour's.
    steps = [(a, b) for a in range(-widest, widest) for b in range(-widest, widest)]
    # No exchange at offset 0 does anything.
    active = active & ((dy != 0) | (dx != 0))
    code = jnp.where(active, (dy + widest) * 2 * widest + dx + widest, -1)
    pad = ((widest, widest), (widest, widest))
    codes, nodes = jnp.pad(code, pad, constant_values=-1), jnp.pad(n + place, pad)

    def step(i: jax.Array, state: tuple) -> tuple:
        latest, at_own, at_other = state
        a, b = i // (2 * widest) - widest, i % (2 * widest) - widest
        # Exchanges whose neighbour is this place started at place - (a, b).
        start = (widest - a, widest - b)
        touched = jax.lax.dynamic_slice(codes, start, (height, width)) == i
        seen = jax.lax.dynamic_slice(jnp.pad(latest, pad), (widest + a, widest + b), (height, width))
        at_own = jnp.where(code == i, seen, at_own)
        latest = jnp.where(touched, jax.lax.dynamic_slice(nodes, start, (height, width)), latest)
        own_turn = (i == widest * 2 * widest + widest) & active
        at_other = jnp.where(own_turn, latest, at_other)
        return jnp.where(own_turn, place, latest), at_own, at_other

    # Complements are places as they were before the pass.
    latest, at_own, at_other = jax.lax.fori_loop(0, len(steps), step, (~place, ~place, ~place))
    link = jnp.concatenate([at_own.reshape(-1), at_other.reshape(-1)])

    link = jax.lax.while_loop(lambda link: jnp.any(link >= 0), _follow, link)
    latest = latest.reshape(-1)
    return ~jnp.where(latest >= 0, jnp.take(link, latest, mode="clip"), latest)


SPECS = (
    spec.DegradationSpec(
        name="glass_blur",
        fn=glass_blur,
        group="blur",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=False,
        parameters=GLASS_BLUR_EXCHANGE,
        convention="(sigma, reach, passes); offsets -d..d - 1, lower right first; neighbours copied as released, not "
        "swapped as meant; scikit-image's Gaussian; not truncated to 8 bits between; pixels mixed between rows; "
        "neutral (0, 0, 0); the sigma of CIFAR-10-C falls from severity 3 to 4, and with it the damage",
        options={"exchange": EXCHANGES, "truncate": (False, True)},
    ),
)
