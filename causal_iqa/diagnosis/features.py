"""What the diagnosis reads of an image: spectrum, derivatives, residuals, colours and traces of coding, as one vector.

All are computed on the image rounded to 8 bits, so that an array and the file it was stored in say the same. Every
statistic is a mean over pixels; none needs a reference.

Many means are taken of the same map. On a CPU XLA computes a map anew for every reduction that reads it, whatever
barrier lies between; the operands of a loop and of a matrix product are computed once. So maps of one shape are stacked
and worked off in a loop, and weighted means of several maps are one product.

References:
  [1] Mittal, Moorthy, Bovik. No-reference image quality assessment in the spatial domain. IEEE TIP 2012 (contrast
      normalisation).
  [2] Fan, de Queiroz. Identification of bitmap compression history. IEEE TIP 2003 (blocking by phase).
  [3] Foi et al. Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data. IEEE TIP 2008
      (noise by intensity).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._arrays import total

_STEP = 1.0 / 255.0
_BANDS = 32
_FINE = 43  # Bands of one width up to the corners of the spectrum.
_WIDE_BANDS = 6
_ORIENTATIONS = 8
_STEPS = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5)
_LEVELS = (0.5, 4.5, 15.5, 31.5, 63.5, 95.5, 127.5, 159.5, 191.5, 223.5, 239.5, 250.5, 254.5)
_INTENSITIES = (0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97)
_BLOCK = 8
_LONGEST_RUN = 6
_TINY = 1e-3
_OUTLYING = (0.5, 4.5, 12.5, 38.5, 90.5)
# Places of the neighbours whose products with a pixel are averaged: rows down, columns to the right.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0))

Named = dict[str, jax.Array]


def _sum(x: jax.Array) -> jax.Array:
    """The sum of a map [h, w], column by column first: a CPU adds columns side by side, and rows one by one."""
    return x.astype(jnp.float32).sum(axis=0).sum()


def _mean(x: jax.Array) -> jax.Array:
    return _sum(x) / x.size


def _products(first: Sequence[jax.Array], second: Sequence[jax.Array | np.ndarray]) -> jax.Array:
    """Means over pixels of the products of every map of one list with every map of another, [first, second]."""
    left, right = (jnp.stack([x.reshape(-1) for x in maps]) for maps in (first, second))
    return jnp.matmul(left, right.T, precision="highest") / left.shape[1]


def _padded(maps: list[jax.Array], shape: tuple[int, ...]) -> tuple[jax.Array, np.ndarray]:
    """Maps of several shapes, zeros behind each, as one array; and how many zeros were put behind each."""
    size = shape[0] * shape[1]
    flat = jnp.stack([jnp.pad(x, [(0, n - m) for n, m in zip(shape, x.shape, strict=True)]) for x in maps])
    return flat, np.asarray([size - x.size for x in maps], np.float32)


def _below(maps: Sequence[jax.Array], steps: tuple[float, ...]) -> jax.Array:
    """Log odds that a value of each map lies below each of some thresholds in units of 1/255, [maps, thresholds]."""
    limits = jnp.asarray(steps, jnp.float32) * _STEP
    shares = jax.lax.map(lambda limit: jnp.stack([_mean(x < limit) for x in maps]), limits).T
    return _log_odds(shares)


def _log_odds(share: jax.Array) -> jax.Array:
    return jnp.log(share + _TINY) - jnp.log(1.0 - share + _TINY)


def _log(x: jax.Array, floor: float = 1e-8) -> jax.Array:
    return jnp.log(x + floor)


def _shape_of_tails(first: jax.Array, second: jax.Array, fourth: jax.Array) -> jax.Array:
    """Log of the mean size, and how heavy the tails are, from the mean size and the second and fourth moment."""
    return jnp.stack(
        [_log(first, 1e-5), 0.5 * _log(second, 1e-10) - _log(first, 1e-5), _log(fourth, 1e-12) - 2 * _log(second, 1e-6)]
    )


@functools.lru_cache(maxsize=8)
def _bands(side: int) -> dict[str, np.ndarray]:
    """Which coefficient of a real FFT belongs to which band; weights count conjugates once each."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(fy, fx)
    angle = np.arctan2(fy, fx)
    fine = np.minimum((radius * 2 * _BANDS).astype(int), _FINE - 1)
    coarse = np.clip((np.log2(np.maximum(radius, 1e-9)) + 1 + _WIDE_BANDS).astype(int), 0, _WIDE_BANDS)
    turned = ((angle + np.pi / 2) / np.pi * _ORIENTATIONS + 0.5).astype(int) % _ORIENTATIONS
    ring = np.digitize(radius, (0.04, 0.1, 0.2, 0.32, 0.5))  # 0 and 5 are not used
    return {"fine": fine, "coarse": coarse, "oriented": ring * _ORIENTATIONS + turned, "dc": radius < 1.5 / side}


@functools.lru_cache(maxsize=8)
def _band_matrix(side: int, names: tuple[str, ...]) -> np.ndarray:
    """Averages over some kinds of bands, float32 [coefficients, bands]."""
    bands = _bands(side)
    counts = {"fine": _FINE, "coarse": _WIDE_BANDS + 1, "oriented": 6 * _ORIENTATIONS}
    parts = []
    for name in names:
        member = np.eye(counts[name], dtype=np.float32)[bands[name].reshape(-1)]
        parts.append(member / np.maximum(member.sum(axis=0), 1.0))
    return np.concatenate(parts, axis=1)


def _spectrum(image: jax.Array, luma: jax.Array) -> Named:
    side = luma.shape[0]
    window = np.hanning(side + 2)[1:-1]
    window = np.outer(window, window).astype(np.float32)
    window = window / np.sqrt((window**2).mean())
    keep = ~_bands(side)["dc"]
    planes = jnp.moveaxis(image, -1, 0)
    f = jnp.fft.rfft2((planes - planes.mean((1, 2), keepdims=True)) * window[None]) / side * keep[None]
    r, g, b = f
    y = 0.299 * r + 0.587 * g + 0.114 * b

    def size(x):
        return x.real**2 + x.imag**2

    stack = [size(y), size(r - g) + size(b - g), size(r), size(g), size(b)]
    stack += [r.real * g.real + r.imag * g.imag, b.real * g.real + b.imag * g.imag]
    stack = jnp.stack(stack).reshape(len(stack), -1)
    coarse = stack @ _band_matrix(side, ("coarse",))
    of_luma = stack[0] @ _band_matrix(side, ("fine", "oriented"))
    floor = _STEP**2 / 12.0
    fine = _log(of_luma[:_FINE], floor)
    powers = coarse[2:5] + floor
    coherence = [coarse[5] / jnp.sqrt(powers[0] * powers[1]), coarse[6] / jnp.sqrt(powers[2] * powers[1])]
    turned = of_luma[_FINE:].reshape(6, _ORIENTATIONS)[1:5] + floor
    turned = jnp.log(turned) - jnp.log(turned).mean(axis=1, keepdims=True)
    angle = 2 * np.pi * np.arange(_ORIENTATIONS) / _ORIENTATIONS
    wave = turned @ np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1).astype(np.float32)
    return {
        "spectrum": fine,
        "slope": fine[1:] - fine[:-1],
        "bend": fine[4:] - 2 * fine[2:-2] + fine[:-4],
        "chroma bands": _log(coarse[1], floor) - _log(coarse[0], floor),
        "coherence": jnp.concatenate(coherence),
        "turned": jnp.concatenate([turned.max(1), turned.min(1), turned.std(1), turned[:, 0], turned[:, 4]]),
        "waves": jnp.concatenate([jnp.hypot(wave[:, 0], wave[:, 1]), jnp.hypot(wave[:, 2], wave[:, 3]), wave[:, 2]]),
    }


def _half(x: jax.Array) -> jax.Array:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    x = x[:h, :w]
    return 0.25 * (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2])


def _quarter(x: jax.Array) -> jax.Array:
    """Means of the 2 x 2 blocks of maps [k, h, w]."""
    return jax.vmap(_half)(x)


def _derivatives(luma: jax.Array) -> Named:
    def sums(x: jax.Array) -> jax.Array:
        size, square = jnp.abs(x), x * x
        counts = [_sum(size < step * _STEP) for step in _STEPS]
        return jnp.stack([_sum(size), _sum(square), _sum(square * square), *counts])

    found: Named = {}
    x, before = luma, None
    for scale in range(4):
        dx, dy = x[:, 1:] - x[:, :-1], x[1:] - x[:-1]
        maps = [dx, dy, dx[1:] - dx[:-1], dx[:, 1:] - dx[:, :-1], dy[1:] - dy[:-1]]
        stacked, zeros = _padded(maps, x.shape)
        summed = jax.lax.map(sums, stacked)
        sizes = np.asarray([one.size for one in maps], np.float32)
        # Zeros behind a map add nothing to its moments, and lie below every step.
        below = summed[:, 3:] - zeros[:, None]
        means = summed[:, :3] / sizes[:, None]
        second = summed[3:, :3].sum(axis=0) / sizes[3:].sum()
        moments = jnp.concatenate([_shape_of_tails(*one) for one in (*means[:3], second)])
        found[f"moments {scale}"] = moments
        if before is not None:
            found[f"decay {scale}"] = (moments - before)[::3]
        found[f"steps {scale}"] = _log_odds(below[:2].sum(axis=0) / sizes[:2].sum())
        found[f"twists {scale}"] = _log_odds(below[2] / sizes[2])
        odds = _log_odds(below[:2, :4] / sizes[:2, None])
        found[f"ways {scale}"] = odds[0] - odds[1]
        x, before = _half(x), moments
    return found


@functools.lru_cache(maxsize=64)
def _window_means(side: int, size: int, stride: int) -> np.ndarray:
    starts = np.arange(0, side - size + 1, stride)
    pixel = np.arange(side)
    return ((pixel >= starts[:, None]) & (pixel < starts[:, None] + size)).astype(np.float32) / size


def _box(x: jax.Array, size: int, stride: int = 1) -> jax.Array:
    """Means over square windows: few windows, or few pixels a window, are fastest in their own way on a CPU."""
    rows, columns = (_window_means(side, size, stride) for side in x.shape)
    if stride > 4:
        return jnp.matmul(rows, x) @ columns.T
    x = total(x[i : i + stride * len(rows) : stride][: len(rows)] for i in range(size)) / size
    if stride > 1:
        return x @ columns.T
    return total(x[:, i : i + len(columns)] for i in range(size)) / size


def _normalised(luma: jax.Array, scale: int) -> Named:
    """Contrast-normalised coefficients [1], and how the local contrast is spread."""
    size = 7
    luma = luma - 0.5  # Squares of smaller numbers lose fewer digits.
    mean = _box(luma, size)
    deviation = jnp.sqrt(jnp.maximum(_box(luma * luma, size) - mean**2, 0.0))
    edge = size // 2
    centre = luma[edge:-edge, edge:-edge]
    m = (centre - mean) / (deviation + 2 * _STEP)
    height, width = m.shape
    most = max(max(abs(down), abs(right)) for down, right in _NEIGHBOURS)
    around = jnp.pad(m, ((0, most), (most, most)))

    def with_neighbour(place: jax.Array) -> jax.Array:
        p = m * jax.lax.dynamic_slice(around, (place[0], most + place[1]), m.shape)
        return jnp.stack([_sum(p), _sum(jnp.abs(p))])

    # Beyond the edge m is 0, which adds nothing.
    counts = np.asarray([(height - abs(down)) * (width - abs(right)) for down, right in _NEIGHBOURS], np.float32)
    pairs, sizes = (jax.lax.map(with_neighbour, jnp.asarray(_NEIGHBOURS)) / counts[:, None]).T
    squares = (m * m).reshape(-1)
    m2, m4 = _products([squares], [jnp.ones_like(squares), squares])[0]
    m1, m3 = _products([jnp.abs(m), m], [jnp.ones_like(m), m * m])[(0, 1), (0, 1)]
    log_deviation = jnp.log(deviation + 0.5 * _STEP)
    centred = log_deviation - log_deviation.mean()
    level = mean - mean.mean()
    spread = jnp.sqrt((centred**2).mean() * (level**2).mean() + 1e-8)
    patches = _box(centred, 25, 12)
    return {
        f"normalised {scale}": jnp.concatenate([_shape_of_tails(m1, m2, m4), m3[None], pairs]),
        f"products {scale}": _log(sizes, 1e-4),
        f"contrast {scale}": _below([deviation], (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0))[0],
        f"unevenness {scale}": jnp.stack(
            [
                log_deviation.mean(),
                centred.std(),
                patches.std(),
                patches.min(),
                patches.max(),
                (centred * level).mean() / spread,
            ]
        ),
    }


def _noise(image: jax.Array) -> Named:
    """Residual noise by intensity [3], and how far channels share it."""
    s = image.shape[0] // 4 * 4
    x = jnp.moveaxis(image[:s, :s], -1, 0)
    twist = 0.5 * (x[:, ::2, ::2] - x[:, 1::2, ::2] - x[:, ::2, 1::2] + x[:, 1::2, 1::2])
    variance, mean = _quarter(twist * twist), _quarter(_quarter(x))
    nearness = jnp.exp(-0.5 * ((mean.reshape(-1, 1) - np.asarray(_INTENSITIES, np.float32)[None]) / 0.06) ** 2)
    floor = (0.3 * _STEP) ** 2
    logs, inverses = _log(variance, floor).reshape(-1), (variance + floor).reshape(-1) ** -0.5
    prior = 1.0 + 0.002 * variance.size
    whole_log, whole_low = logs.mean(), inverses.mean()
    values = jnp.stack([jnp.ones_like(logs), logs, inverses])
    weight, by_log, by_inverse = jnp.matmul(values, nearness, precision="highest")
    # Harmonic means look at the smooth places, where what remains is noise.
    middle = (by_log + prior * whole_log) / (weight + prior)
    low = (by_inverse + prior * whole_low) / (weight + prior)
    low = -2.0 * jnp.log(low)
    both = ((0, 1), (1, 2), (0, 2))
    flat = list(twist)
    products = _products(flat, flat)
    power = jnp.sqrt(jnp.diagonal(products)) + 0.3 * _STEP
    shared = jnp.stack([products[i, j] / (power[i] * power[j]) for i, j in both])
    size = jnp.log(jnp.abs(twist) + 0.3 * _STEP)
    alike = jnp.stack([_mean(jnp.abs(size[i] - size[j])) for i, j in both])
    return {
        "noise middle": middle,
        "noise low": low,
        "noise rise": low - -2.0 * jnp.log(whole_low),
        "noise shape": middle - low,
        "intensities": jnp.log(weight / variance.size + _TINY),
        "noise shared": jnp.concatenate([shared, alike, _log(power, 1e-6)]),
    }


def _outliers(image: jax.Array) -> Named:
    """Single pixels of the green channel far from all their neighbours, and how many of these are black or white."""
    x = image[..., 1]
    centre, left, right = x[1:-1, 1:-1], x[1:-1, :-2], x[1:-1, 2:]
    most = jnp.maximum(jnp.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    least = jnp.minimum(jnp.minimum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    highest = jnp.maximum(jnp.maximum(most[:-2], most[2:]), jnp.maximum(left, right))
    lowest = jnp.minimum(jnp.minimum(least[:-2], least[2:]), jnp.minimum(left, right))
    above, below = centre - highest, lowest - centre
    white, black = jnp.where(centre > 0.997, above, -1.0), jnp.where(centre < 0.003, below, -1.0)
    limits = jnp.asarray(_OUTLYING, jnp.float32) * _STEP
    shares = jax.lax.map(lambda limit: jnp.stack([_mean(x > limit) for x in (above, below, white, black)]), limits)
    return {"outliers": jnp.log(shares.reshape(-1) + 1e-4)}


def _colours(image: jax.Array, luma: jax.Array) -> Named:
    r, g, b = planes = jnp.moveaxis(image, -1, 0)
    value, least = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    saturation = (value - least) / (value + _STEP)
    chroma = jnp.stack([r - luma, b - luma])
    # Moments of the channels and of their differences from the luma, after a rough centre that keeps the digits.
    rough = jnp.concatenate([planes, chroma])[:, :: planes.shape[1] // 8, :: planes.shape[2] // 8].mean((1, 2))
    maps = [*(jnp.concatenate([planes, chroma]) - rough[:, None, None]), jnp.ones_like(luma)]
    moments = _products(maps, maps)
    away = moments[:5, 5]
    covariance = moments[:5, :5] - away[:, None] * away[None]
    spread = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), 0.0))
    deviation = spread[:3] + _STEP
    ends = jnp.stack([_mean(x > 0.997) for x in planes] + [_mean(x < 0.003) for x in planes])
    bright = jax.nn.sigmoid((luma - 0.5) * 20.0)
    sums = _products([saturation, b - r, jnp.ones_like(luma)], [bright, jnp.ones_like(luma)])

    def among(i: int, dark: bool = False) -> jax.Array:
        weighed, whole = (sums[:, 1] - sums[:, 0] if dark else sums[:, 0])[jnp.asarray([i, 2])]
        return weighed / (whole + 1.0 / luma.size)

    centred = luma - _mean(luma)
    luma_spread = jnp.sqrt(_mean(centred * centred))
    patches = _box(luma, 21, 12)
    dark = _lowest(least, 9, 5)
    below = dict(
        zip(("luma", "value", "least", "saturation"), _below((luma, value, least, saturation), _LEVELS), strict=True)
    )
    return {
        "luma": below["luma"],
        "value": below["value"],
        "least": below["least"],
        "dark": _below([dark], _LEVELS[:9])[0],
        "saturation": below["saturation"],
        "colour": jnp.concatenate([rough[:3] + away[:3], jnp.log(deviation), jnp.log(ends + _TINY)]),
        "shared colour": jnp.stack(
            [covariance[i, j] / (deviation[i] * deviation[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
        ),
        "chroma spread": jnp.concatenate(
            [_log(jnp.stack([_mean(jnp.abs(x)) for x in chroma]), 1e-3), _log(spread[3:], 1e-3)]
        ),
        "chroma": rough[3:] + away[3:],
        "tones": jnp.stack([luma.min(), luma.max(), least.min(), value.max(), patches.min(), patches.max()]),
        "bright": jnp.stack([among(0), among(0, dark=True), among(1)]),
        "shape": jnp.stack(
            [
                jnp.log(patches.std() + _STEP),
                jnp.log(luma_spread + _STEP),
                _mean(centred**3) / (luma_spread + _STEP) ** 3,
            ]
        ),
    }


def _lowest(x: jax.Array, size: int, stride: int) -> jax.Array:
    """The lowest value of square windows, rows and then columns."""
    rows = jax.lax.reduce_window(x, jnp.inf, jax.lax.min, (size, 1), (stride, 1), "VALID")
    return jax.lax.reduce_window(rows, jnp.inf, jax.lax.min, (1, size), (1, stride), "VALID")


def _coding(luma: jax.Array, image: jax.Array) -> Named:
    """Steps at every eighth row and column [2]; runs of equal pixels."""
    runs, zero = [], []
    for x in (luma, luma.T):
        step = jnp.abs(x[:, 1:] - x[:, :-1])
        jump = jnp.maximum(step[:, 1:-1] - 0.5 * (step[:, :-2] + step[:, 2:]), 0.0).mean(0)
        count = len(jump) // _BLOCK * _BLOCK
        zero.append(jump[:count].reshape(-1, _BLOCK).mean(0))
    planes = jnp.moveaxis(image, -1, 0)
    same = jnp.all(jnp.abs(planes[:, :, 1:] - planes[:, :, :-1]) < 0.5 * _STEP, axis=0)
    also = jnp.all(jnp.abs(planes[:, 1:] - planes[:, :-1]) < 0.5 * _STEP, axis=0).T
    for x in (same, also):
        x = x.astype(jnp.float32)
        beyond = jnp.pad(x, ((0, 0), (0, _LONGEST_RUN)))

        def longer(run: jax.Array, length: jax.Array, beyond: jax.Array = beyond) -> tuple[jax.Array, jax.Array]:
            following = jax.lax.dynamic_slice(beyond, (0, length), run.shape)
            return run * following, _sum(run)

        # Past the edge no run goes on, so that the sums are those of the runs that fit.
        sums = jax.lax.scan(longer, x, jnp.arange(1, _LONGEST_RUN + 1))[1]
        runs.append(sums / np.asarray([x.shape[0] * (x.shape[1] - k) for k in range(_LONGEST_RUN)], np.float32))
    phases = jnp.log(sum(zero) + 0.05 * _STEP)
    phases = phases - phases.mean()
    shares = jnp.log(jnp.concatenate(runs) + 1e-4)
    return {
        "phases": phases,
        "blocking": jnp.stack([phases.max(), -phases.min(), phases.std()]),
        "runs": shares,
        "shorter runs": shares[:-1] - shares[1:],
    }


def _structure(luma: jax.Array) -> Named:
    """How straight edges are at three scales, and gradients towards the centre of the image against those around it."""
    gx, gy = 0.5 * (luma[1:-1, 2:] - luma[1:-1, :-2]), 0.5 * (luma[2:, 1:-1] - luma[:-2, 1:-1])
    energy = []
    for size, stride in ((3, 1), (7, 2), (15, 4)):
        xx, yy, xy = (_box(x, size, stride) for x in (gx * gx, gy * gy, gx * gy))
        trace = xx + yy + 1e-7
        coherence, ones = jnp.sqrt((xx - yy) ** 2 + 4 * xy**2) / trace, jnp.ones_like(trace)
        (by_strong, by_trace, alone), (strong, whole, _) = _products([coherence, ones], [jnp.sqrt(trace), trace, ones])
        energy += [by_strong / strong, by_trace / whole, alone]
    found = {"coherence of edges": jnp.stack(energy)}
    ratios = []
    for x in (luma, _half(luma), _half(_half(luma))):
        gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
        n = gx.shape[0]
        axis = (np.arange(n) + 0.5) / n * 2 - 1
        radius = np.hypot(axis[:, None], axis[None]) + 1e-6
        along = (gx * (axis[None] / radius) + gy * (axis[:, None] / radius)) ** 2
        across = (gy * (axis[None] / radius) - gx * (axis[:, None] / radius)) ** 2
        limits = ((0.0, 0.35), (0.35, 0.65), (0.65, 0.95), (0.95, 1.5))
        masks = [((radius >= low) & (radius < high)).astype(np.float32) for low, high in limits]
        shares = np.asarray([mask.mean() for mask in masks], np.float32)
        rings = jnp.log(_products([along, across], masks).T / shares[:, None] + 1e-5)
        ratios += [rings[:, 0] - rings[:, 1], rings[1:].mean(1) - rings[0].mean()]
    return found | {"towards the centre": jnp.concatenate(ratios)}


def named_statistics(image: jax.Array) -> Named:
    """The statistics by name; `statistics` joins them."""
    image = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0) / 255.0
    luma = images.luma(image)
    found = _spectrum(image, luma) | _derivatives(luma) | _normalised(luma, 0) | _normalised(_half(luma), 1)
    return found | _noise(image) | _outliers(image) | _colours(image, luma) | _coding(luma, image) | _structure(luma)


def statistics(image: jax.Array) -> jax.Array:
    """Everything the diagnosis reads of an image.

    Args:
      image: float32 [side, side, 3] in [0, 1], side at least 64.

    Returns:
      float32 [d], finite for every image; mostly logarithms and log odds.

    Examples:
      >>> model = diagnosis.default_model()
      >>> image = jax.ShapeDtypeStruct((model.side, model.side, 3), jnp.float32)
      >>> jax.eval_shape(diagnosis.statistics, image).shape == model.centre.shape  # traced, not run
      True
    """
    return jnp.concatenate([jnp.atleast_1d(x).reshape(-1) for x in named_statistics(image).values()])
