"""What the diagnosis reads of an image: spectrum, derivatives, residuals, colours and traces of coding, as one vector.

All are computed on the image rounded to 8 bits, so that an array and the file it was stored in say the same. Every
statistic is a mean over pixels; none needs a reference.

References:
  [1] Mittal, Moorthy, Bovik. No-reference image quality assessment in the spatial domain. IEEE TIP 2012 (contrast
      normalisation).
  [2] Fan, de Queiroz. Identification of bitmap compression history. IEEE TIP 2003 (blocking by phase).
  [3] Foi et al. Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data. IEEE TIP 2008
      (noise by intensity).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images

_STEP = 1.0 / 255.0
_BANDS = 32
_FINE = 43  # Bands of one width up to the corners of the spectrum.
_WIDE_BANDS = 6
_ORIENTATIONS = 8
_STEPS = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5)
_LEVELS = (0.5, 4.5, 15.5, 31.5, 63.5, 95.5, 127.5, 159.5, 191.5, 223.5, 239.5, 250.5, 254.5)
_INTENSITIES = (0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97)
_BLOCK = 8
_TINY = 1e-3

Named = dict[str, jax.Array]

# Keeps XLA from computing a map anew for every mean over it.
_once = jax.lax.optimization_barrier


def _mean(x: jax.Array) -> jax.Array:
    """The mean of all values, column by column first: a CPU adds columns side by side, and rows one by one."""
    x = x.astype(jnp.float32)
    if x.ndim == 1:
        whole = x.size // 256 * 256
        columns = _once(x[:whole].reshape(-1, 256).sum(axis=0))
        return (columns.sum() + x[whole:].sum()) / x.size
    columns = x.reshape(x.shape[0], -1) if x.shape[-1] <= 4 else x.reshape(-1, x.shape[-1])
    return _once(columns.sum(axis=0)).sum() / x.size


def _log(x: jax.Array, floor: float = 1e-8) -> jax.Array:
    return jnp.log(x + floor)


def _below(x: jax.Array, steps: tuple[float, ...]) -> jax.Array:
    """Log odds that a value lies below each of some thresholds in units of 1/255."""
    share = jnp.stack([_mean(x < step * _STEP) for step in steps])
    return jnp.log(share + _TINY) - jnp.log(1.0 - share + _TINY)


def _moments(x: jax.Array) -> jax.Array:
    """Log of the mean size, and how heavy the tails are."""
    first, second, fourth = _mean(jnp.abs(x)), _mean(x * x), _mean(x**4)
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
def _band_matrix(side: int) -> np.ndarray:
    """Averages over the fine, the coarse and the oriented bands, float32 [coefficients, bands]."""
    bands = _bands(side)
    parts = []
    for name, count in (("fine", _FINE), ("coarse", _WIDE_BANDS + 1), ("oriented", 6 * _ORIENTATIONS)):
        member = np.eye(count, dtype=np.float32)[bands[name].reshape(-1)]
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
    means = jnp.stack(stack).reshape(len(stack), -1) @ _band_matrix(side)
    floor = _STEP**2 / 12.0
    fine = _log(means[0, :_FINE], floor)
    coarse = means[:, _FINE : _FINE + _WIDE_BANDS + 1]
    powers = coarse[2:5] + floor
    coherence = [coarse[5] / jnp.sqrt(powers[0] * powers[1]), coarse[6] / jnp.sqrt(powers[2] * powers[1])]
    turned = means[0, _FINE + _WIDE_BANDS + 1 :].reshape(6, _ORIENTATIONS)[1:5] + floor
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


def _derivatives(luma: jax.Array) -> Named:
    found: Named = {}
    x, before = luma, None
    for scale in range(4):
        dx, dy = x[:, 1:] - x[:, :-1], x[1:] - x[:-1]
        dx, dy, twist = _once((dx, dy, dx[1:] - dx[:-1]))
        second = jnp.concatenate([(dx[:, 1:] - dx[:, :-1]).reshape(-1), (dy[1:] - dy[:-1]).reshape(-1)])
        moments = jnp.concatenate([_moments(d) for d in (dx, dy, twist, second)])
        found[f"moments {scale}"] = moments
        if before is not None:
            found[f"decay {scale}"] = (moments - before)[::3]
        both = jnp.abs(jnp.concatenate([dx.reshape(-1), dy.reshape(-1)]))
        found[f"steps {scale}"] = _below(both, _STEPS)
        found[f"twists {scale}"] = _below(jnp.abs(twist), _STEPS)
        found[f"ways {scale}"] = _below(jnp.abs(dx), _STEPS[:4]) - _below(jnp.abs(dy), _STEPS[:4])
        x, before = _half(x), moments
    return found


@functools.lru_cache(maxsize=64)
def _window_means(side: int, size: int, stride: int) -> np.ndarray:
    starts = np.arange(0, side - size + 1, stride)
    pixel = np.arange(side)
    return ((pixel >= starts[:, None]) & (pixel < starts[:, None] + size)).astype(np.float32) / size


def _box(x: jax.Array, size: int, stride: int = 1) -> jax.Array:
    """Means over square windows, as two products with band matrices: on a CPU faster than a sliding window."""
    rows, columns = (_window_means(side, size, stride) for side in x.shape)
    return rows @ x @ columns.T


def _normalised(luma: jax.Array, scale: int) -> Named:
    """Contrast-normalised coefficients [1], and how the local contrast is spread."""
    size = 7
    mean = _box(luma, size)
    deviation = jnp.sqrt(jnp.maximum(_box(luma * luma, size) - mean**2, 0.0))
    edge = size // 2
    centre = luma[edge:-edge, edge:-edge]
    m = (centre - mean) / (deviation + 2 * _STEP)
    pairs = (m[:, 1:] * m[:, :-1], m[1:] * m[:-1], m[1:, 1:] * m[:-1, :-1], m[1:, :-1] * m[:-1, 1:])
    pairs += (m[:, 2:] * m[:, :-2], m[2:] * m[:-2], m[:, 4:] * m[:, :-4], m[4:] * m[:-4])
    m, deviation, log_deviation = _once((m, deviation, jnp.log(deviation + 0.5 * _STEP)))
    centred = log_deviation - log_deviation.mean()
    level = mean - mean.mean()
    spread = jnp.sqrt((centred**2).mean() * (level**2).mean() + 1e-8)
    patches = _box(centred, 25, 12)
    return {
        f"normalised {scale}": jnp.concatenate([_moments(m), jnp.stack([_mean(m**3), *(_mean(p) for p in pairs)])]),
        f"products {scale}": jnp.stack([_log(_mean(jnp.abs(p)), 1e-4) for p in pairs]),
        f"contrast {scale}": _below(deviation, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)),
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
    x = image[:s, :s]
    twist = 0.5 * (x[::2, ::2] - x[1::2, ::2] - x[::2, 1::2] + x[1::2, 1::2])
    h = twist.shape[0] // 2
    variance = (twist**2).reshape(h, 2, h, 2, 3).mean(axis=(1, 3))
    mean = x.reshape(h, 4, h, 4, 3).mean(axis=(1, 3))
    nearness = jnp.exp(-0.5 * ((mean[..., None] - np.asarray(_INTENSITIES, np.float32)[None, None, None]) / 0.06) ** 2)
    weight = nearness.sum(axis=(0, 1, 2))
    floor = (0.3 * _STEP) ** 2
    prior = 1.0 + 0.002 * variance.size
    whole_log, whole_low = _log(variance, floor).mean(), ((variance + floor) ** -0.5).mean()
    # Harmonic means look at the smooth places, where what remains is noise.
    middle = ((nearness * _log(variance, floor)[..., None]).sum((0, 1, 2)) + prior * whole_log) / (weight + prior)
    low = ((nearness * (variance + floor)[..., None] ** -0.5).sum((0, 1, 2)) + prior * whole_low) / (weight + prior)
    low = -2.0 * jnp.log(low)
    flat = twist.reshape(-1, 3)
    power = jnp.sqrt((flat**2).mean(0)) + 0.3 * _STEP
    shared = jnp.stack([(flat[:, i] * flat[:, j]).mean() / (power[i] * power[j]) for i, j in ((0, 1), (1, 2), (0, 2))])
    size = jnp.abs(flat) + 0.3 * _STEP
    alike = jnp.stack([jnp.abs(jnp.log(size[:, i]) - jnp.log(size[:, j])).mean() for i, j in ((0, 1), (1, 2), (0, 2))])
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
    x = _once(image[..., 1])
    centre, left, right = x[1:-1, 1:-1], x[1:-1, :-2], x[1:-1, 2:]
    most = _once(jnp.maximum(jnp.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:]))
    least = _once(jnp.minimum(jnp.minimum(x[:, :-2], x[:, 1:-1]), x[:, 2:]))
    highest = jnp.maximum(jnp.maximum(most[:-2], most[2:]), jnp.maximum(left, right))
    lowest = jnp.minimum(jnp.minimum(least[:-2], least[2:]), jnp.minimum(left, right))
    above, below = _once((centre - highest, lowest - centre))
    found = []
    for step in (0.5, 4.5, 12.5, 38.5, 90.5):
        high, low = above > step * _STEP, below > step * _STEP
        found += [_mean(high), _mean(low), _mean(high & (centre > 0.997)), _mean(low & (centre < 0.003))]
    return {"outliers": jnp.log(jnp.stack(found) + 1e-4)}


def _colours(image: jax.Array, luma: jax.Array) -> Named:
    value, least = image.max(axis=-1), image.min(axis=-1)
    saturation = (value - least) / (value + _STEP)
    value, least, saturation = _once((value, least, saturation))
    flat = image.reshape(-1, 3)
    mean, deviation = flat.mean(0), flat.std(0) + _STEP
    centred = (flat - mean[None]) / deviation[None]
    chroma = jnp.stack([image[..., 0] - luma, image[..., 2] - luma], -1)
    ends = jnp.concatenate([(flat > 0.997).mean(0), (flat < 0.003).mean(0)])
    bright = jax.nn.sigmoid((luma - 0.5) * 20.0)

    def among(x, weight):
        return _mean(x * weight) / (_mean(weight) + 1.0 / weight.size)

    patches = _box(luma, 21, 12)
    dark = jax.lax.reduce_window(least, jnp.inf, jax.lax.min, (9, 9), (5, 5), "VALID")
    return {
        "luma": _below(luma, _LEVELS),
        "value": _below(value, _LEVELS),
        "least": _below(least, _LEVELS),
        "dark": _below(dark, _LEVELS[:9]),
        "saturation": _below(saturation, _LEVELS),
        "colour": jnp.concatenate([mean, jnp.log(deviation), jnp.log(ends + _TINY)]),
        "shared colour": jnp.stack([(centred[:, i] * centred[:, j]).mean() for i, j in ((0, 1), (1, 2), (0, 2))]),
        "chroma spread": jnp.concatenate([_log(jnp.abs(chroma).mean((0, 1)), 1e-3), _log(chroma.std((0, 1)), 1e-3)]),
        "chroma": chroma.mean((0, 1)),
        "tones": jnp.stack([luma.min(), luma.max(), least.min(), value.max(), patches.min(), patches.max()]),
        "bright": jnp.stack(
            [among(saturation, bright), among(saturation, 1 - bright), among(image[..., 2] - image[..., 0], bright)]
        ),
        "shape": jnp.stack(
            [
                jnp.log(patches.std() + _STEP),
                jnp.log(luma.std() + _STEP),
                (((luma - luma.mean()) / (luma.std() + _STEP)) ** 3).mean(),
            ]
        ),
    }


def _coding(luma: jax.Array, image: jax.Array) -> Named:
    """Steps at every eighth row and column [2]; runs of equal pixels."""
    runs, zero = [], []
    for x in (luma, luma.T):
        step = jnp.abs(x[:, 1:] - x[:, :-1])
        jump = jnp.maximum(step[:, 1:-1] - 0.5 * (step[:, :-2] + step[:, 2:]), 0.0).mean(0)
        count = len(jump) // _BLOCK * _BLOCK
        zero.append(jump[:count].reshape(-1, _BLOCK).mean(0))
    for x in (image, image.transpose(1, 0, 2)):
        same = jnp.all(jnp.abs(x[:, 1:] - x[:, :-1]) < 0.5 * _STEP, axis=-1)
        run = same
        for _ in range(6):
            runs.append(_mean(run))
            run = run[:, 1:] & same[:, : run.shape[1] - 1]
    phases = jnp.log(sum(zero) + 0.05 * _STEP)
    phases = phases - phases.mean()
    shares = jnp.log(jnp.stack(runs) + 1e-4)
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
        xx, yy, xy = (_box(x, size, stride) for x in _once((gx * gx, gy * gy, gx * gy)))
        trace = xx + yy + 1e-7
        coherence = jnp.sqrt((xx - yy) ** 2 + 4 * xy**2) / trace
        coherence, trace, strong = _once((coherence, trace, jnp.sqrt(trace)))
        energy += [_mean(coherence * strong) / _mean(strong), _mean(coherence * trace) / _mean(trace), _mean(coherence)]
    found = {"coherence of edges": jnp.stack(energy)}
    ratios = []
    for x in (luma, _half(luma), _half(_half(luma))):
        gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
        n = gx.shape[0]
        axis = (np.arange(n) + 0.5) / n * 2 - 1
        radius = np.hypot(axis[:, None], axis[None]) + 1e-6
        along = (gx * (axis[None] / radius) + gy * (axis[:, None] / radius)) ** 2
        across = (gy * (axis[None] / radius) - gx * (axis[:, None] / radius)) ** 2
        along, across = _once((along, across))
        rings = []
        for low, high in ((0.0, 0.35), (0.35, 0.65), (0.65, 0.95), (0.95, 1.5)):
            mask = ((radius >= low) & (radius < high)).astype(np.float32)
            rings.append(jnp.log(jnp.stack([_mean(along * mask), _mean(across * mask)]) / mask.mean() + 1e-5))
        rings = jnp.stack(rings)
        ratios += [rings[:, 0] - rings[:, 1], rings[1:].mean(1) - rings[0].mean()]
    return found | {"towards the centre": jnp.concatenate(ratios)}


def named_statistics(image: jax.Array) -> Named:
    """The statistics by name; `statistics` joins them."""
    image = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0) / 255.0
    image, luma = _once((image, images.luma(image)))
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
