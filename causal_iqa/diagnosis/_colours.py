"""Colours and tones: their moments, and how often each lies below a threshold."""

import jax
import jax.numpy as jnp

from causal_iqa.diagnosis import _maps

_LEVELS = (0.5, 4.5, 15.5, 31.5, 63.5, 95.5, 127.5, 159.5, 191.5, 223.5, 239.5, 250.5, 254.5)


def colours(image: jax.Array, luma: jax.Array) -> _maps.Named:
    """Moments of the channels, and log odds that tones and saturations lie below thresholds."""
    r, g, b = planes = jnp.moveaxis(image, -1, 0)
    value, least = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    saturation = (value - least) / (value + _maps.STEP)
    chroma = jnp.stack([r - luma, b - luma])
    # Moments of the channels and of their differences from the luma, after a rough centre that keeps the digits.
    rough = jnp.concatenate([planes, chroma])[:, :: planes.shape[1] // 8, :: planes.shape[2] // 8].mean((1, 2))
    maps = [*(jnp.concatenate([planes, chroma]) - rough[:, None, None]), jnp.ones_like(luma)]
    moments = _maps.products(maps, maps)
    away = moments[:5, 5]
    covariance = moments[:5, :5] - away[:, None] * away[None]
    spread = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), 0.0))
    deviation = spread[:3] + _maps.STEP
    ends = jnp.stack([_maps.mean_of(x > 0.997) for x in planes] + [_maps.mean_of(x < 0.003) for x in planes])
    bright = jax.nn.sigmoid((luma - 0.5) * 20.0)
    sums = _maps.products([saturation, b - r, jnp.ones_like(luma)], [bright, jnp.ones_like(luma)])

    def among(i: int, dark: bool = False) -> jax.Array:
        weighed, whole = (sums[:, 1] - sums[:, 0] if dark else sums[:, 0])[jnp.asarray([i, 2])]
        return weighed / (whole + 1.0 / luma.size)

    centred = luma - _maps.mean_of(luma)
    luma_spread = jnp.sqrt(_maps.mean_of(centred * centred))
    patches = _maps.box(luma, 21, 12)
    dark = _maps.lowest(least, 9, 5)
    below = dict(
        zip(
            ("luma", "value", "least", "saturation"),
            _maps.below((luma, value, least, saturation), _LEVELS),
            strict=True,
        )
    )
    return {
        "luma": below["luma"],
        "value": below["value"],
        "least": below["least"],
        "dark": _maps.below([dark], _LEVELS[:9])[0],
        "saturation": below["saturation"],
        "colour": jnp.concatenate([rough[:3] + away[:3], jnp.log(deviation), jnp.log(ends + _maps.TINY)]),
        "shared colour": jnp.stack(
            [covariance[i, j] / (deviation[i] * deviation[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
        ),
        "chroma spread": jnp.concatenate(
            [_maps.log(jnp.stack([_maps.mean_of(jnp.abs(x)) for x in chroma]), 1e-3), _maps.log(spread[3:], 1e-3)]
        ),
        "chroma": rough[3:] + away[3:],
        "tones": jnp.stack([luma.min(), luma.max(), least.min(), value.max(), patches.min(), patches.max()]),
        "bright": jnp.stack([among(0), among(0, dark=True), among(1)]),
        "shape": jnp.stack(
            [
                jnp.log(patches.std() + _maps.STEP),
                jnp.log(luma_spread + _maps.STEP),
                _maps.mean_of(centred**3) / (luma_spread + _maps.STEP) ** 3,
            ]
        ),
    }
