"""Derivatives, coefficients normalised by the local contrast, and the directions of edges.

References:
  [1] Mittal, Moorthy, Bovik. No-reference image quality assessment in the spatial domain. IEEE TIP 2012.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.diagnosis import _maps

_STEPS = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5)
# Places of the neighbours whose products with a pixel are averaged: rows down, columns to the right.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (0, 4), (4, 0))


def derivatives(luma: jax.Array) -> _maps.Named:
    """Moments of the derivatives of the luma at four scales, and how often they lie below steps of 1/255."""

    def sums(x: jax.Array) -> jax.Array:
        size, square = jnp.abs(x), x * x
        counts = [_maps.sum_of(size < step * _maps.STEP) for step in _STEPS]
        return jnp.stack([_maps.sum_of(size), _maps.sum_of(square), _maps.sum_of(square * square), *counts])

    found: _maps.Named = {}
    x, before = luma, None
    for scale in range(4):
        dx, dy = x[:, 1:] - x[:, :-1], x[1:] - x[:-1]
        maps = [dx, dy, dx[1:] - dx[:-1], dx[:, 1:] - dx[:, :-1], dy[1:] - dy[:-1]]
        stacked, zeros = _maps.padded(maps, x.shape)
        summed = jax.lax.map(sums, stacked)
        sizes = np.asarray([one.size for one in maps], np.float32)
        # Zeros behind a map add nothing to its moments, and lie below every step.
        below = summed[:, 3:] - zeros[:, None]
        means = summed[:, :3] / sizes[:, None]
        second = summed[3:, :3].sum(axis=0) / sizes[3:].sum()
        moments = jnp.concatenate([_maps.shape_of_tails(*one) for one in (*means[:3], second)])
        found[f"moments {scale}"] = moments
        if before is not None:
            found[f"decay {scale}"] = (moments - before)[::3]
        found[f"steps {scale}"] = _maps.log_odds(below[:2].sum(axis=0) / sizes[:2].sum())
        found[f"twists {scale}"] = _maps.log_odds(below[2] / sizes[2])
        odds = _maps.log_odds(below[:2, :4] / sizes[:2, None])
        found[f"ways {scale}"] = odds[0] - odds[1]
        x, before = _maps.half(x), moments
    return found


def normalised(luma: jax.Array, scale: int) -> _maps.Named:
    """Contrast-normalised coefficients [1], and how the local contrast is spread."""
    size = 7
    luma = luma - 0.5  # Squares of smaller numbers lose fewer digits.
    mean = _maps.box(luma, size)
    deviation = jnp.sqrt(jnp.maximum(_maps.box(luma * luma, size) - mean**2, 0.0))
    edge = size // 2
    centre = luma[edge:-edge, edge:-edge]
    m = (centre - mean) / (deviation + 2 * _maps.STEP)
    height, width = m.shape
    most = max(max(abs(down), abs(right)) for down, right in _NEIGHBOURS)
    around = jnp.pad(m, ((0, most), (most, most)))

    def with_neighbour(place: jax.Array) -> jax.Array:
        p = m * jax.lax.dynamic_slice(around, (place[0], most + place[1]), m.shape)
        return jnp.stack([_maps.sum_of(p), _maps.sum_of(jnp.abs(p))])

    # Beyond the edge m is 0, which adds nothing.
    counts = np.asarray([(height - abs(down)) * (width - abs(right)) for down, right in _NEIGHBOURS], np.float32)
    pairs, sizes = (jax.lax.map(with_neighbour, jnp.asarray(_NEIGHBOURS)) / counts[:, None]).T
    squares = (m * m).reshape(-1)
    m2, m4 = _maps.products([squares], [jnp.ones_like(squares), squares])[0]
    m1, m3 = _maps.products([jnp.abs(m), m], [jnp.ones_like(m), m * m])[(0, 1), (0, 1)]
    log_deviation = jnp.log(deviation + 0.5 * _maps.STEP)
    centred = log_deviation - log_deviation.mean()
    level = mean - mean.mean()
    spread = jnp.sqrt((centred**2).mean() * (level**2).mean() + 1e-8)
    patches = _maps.box(centred, 25, 12)
    return {
        f"normalised {scale}": jnp.concatenate([_maps.shape_of_tails(m1, m2, m4), m3[None], pairs]),
        f"products {scale}": _maps.log(sizes, 1e-4),
        f"contrast {scale}": _maps.below([deviation], (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0))[0],
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


def structure(luma: jax.Array) -> _maps.Named:
    """How straight edges are at three scales, and gradients towards the centre of the image against those around it."""
    gx, gy = 0.5 * (luma[1:-1, 2:] - luma[1:-1, :-2]), 0.5 * (luma[2:, 1:-1] - luma[:-2, 1:-1])
    energy = []
    for size, stride in ((3, 1), (7, 2), (15, 4)):
        xx, yy, xy = (_maps.box(x, size, stride) for x in (gx * gx, gy * gy, gx * gy))
        trace = xx + yy + 1e-7
        coherence, ones = jnp.sqrt((xx - yy) ** 2 + 4 * xy**2) / trace, jnp.ones_like(trace)
        (by_strong, by_trace, alone), (strong, whole, _) = _maps.products(
            [coherence, ones], [jnp.sqrt(trace), trace, ones]
        )
        energy += [by_strong / strong, by_trace / whole, alone]
    found = {"coherence of edges": jnp.stack(energy)}
    ratios = []
    for x in (luma, _maps.half(luma), _maps.half(_maps.half(luma))):
        gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[2:, 1:-1] - x[:-2, 1:-1]
        n = gx.shape[0]
        axis = (np.arange(n) + 0.5) / n * 2 - 1
        radius = np.hypot(axis[:, None], axis[None]) + 1e-6
        along = (gx * (axis[None] / radius) + gy * (axis[:, None] / radius)) ** 2
        across = (gy * (axis[None] / radius) - gx * (axis[:, None] / radius)) ** 2
        limits = ((0.0, 0.35), (0.35, 0.65), (0.65, 0.95), (0.95, 1.5))
        masks = [((radius >= low) & (radius < high)).astype(np.float32) for low, high in limits]
        shares = np.asarray([mask.mean() for mask in masks], np.float32)
        rings = jnp.log(_maps.products([along, across], masks).T / shares[:, None] + 1e-5)
        ratios += [rings[:, 0] - rings[:, 1], rings[1:].mean(1) - rings[0].mean()]
    return found | {"towards the centre": jnp.concatenate(ratios)}
