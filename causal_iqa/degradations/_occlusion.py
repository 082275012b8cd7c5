"""Things in front of the lens: patches that hide part of the scene."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["occlusion"]

# Share of the image that the patches cover together where they do not overlap.
OCCLUSION_SHARE = {spec.ANY_SIZE: (0.04, 0.1, 0.2, 0.3, 0.45)}

_FILLS = ("grey", "black", "white", "mean", "noise")
_LEVELS = {"grey": 0.5, "black": 0.0, "white": 1.0}
# Zhong et al. (2020) draw height over width from 0.3 to 1/0.3.
_LARGEST_ASPECT = 1.0 / 0.3


def occlusion(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    patches: int = 3,
    fill: str = "grey",
) -> jax.Array:
    """Covers rectangles of random place and aspect; under one key a lower severity's lie within a higher's.

    Args:
      key: random key; it determines place, aspect and noise, which are the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      patches: static int >= 1; they share the covered area evenly.
      fill: static, "grey", "black", "white", "mean" (of each channel) or "noise" (uniform, per sample).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the fill is unknown.
      ValueError: when there is no patch.

    References:
      [1] DeVries, Taylor (2017). Improved regularization of convolutional neural networks with Cutout.
      [2] Zhong, Zheng, Kang, Li, Yang (2020). Random erasing data augmentation. AAAI (aspects; areas 0.02 to 0.4).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.occlusion)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.10')
    """
    _light.check_any_size(image, family)
    _checks.check_choice(fill, _FILLS, "fill")
    if patches < 1:
        raise ValueError(f"patches: expected at least 1, got {patches}")
    place_key, noise_key = jax.random.split(key)
    share = ladder.mix(0.0, OCCLUSION_SHARE[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    draws = jax.random.uniform(place_key, (3, patches), jnp.float32)
    aspect = jnp.exp((2.0 * draws[0] - 1.0) * np.log(_LARGEST_ASPECT))
    area = share * (height * width) / patches
    # The square root has no slope at 0.
    tall = jnp.clip(jnp.sqrt(jnp.maximum(area, 1e-6) * aspect), 0.0, height)
    broad = jnp.clip(area / jnp.maximum(tall, 1e-6), 0.0, width)
    # The top moves up by less than the patch grows, so patches grow on all sides and stay inside.
    top, left = draws[1] * (height - tall), draws[2] * (width - broad)
    rows = _coverage(height, top, tall)
    columns = _coverage(width, left, broad)
    seen = jnp.prod(1.0 - rows[:, :, None] * columns[:, None, :], axis=0)[..., None]
    if fill == "mean":
        cover = jnp.mean(image, axis=(0, 1), keepdims=True)
    elif fill == "noise":
        cover = jax.random.uniform(noise_key, (image.size,), jnp.float32).reshape(image.shape)
    else:
        cover = _LEVELS[fill]
    return ladder.finish(image, cover + seen * (image - cover), severity)


def _coverage(side: int, start: jax.Array, length: jax.Array) -> jax.Array:
    """Share of each pixel of one axis that [start, start + length] covers: [n] and [n] give [n, side]."""
    pixel = np.arange(side, dtype=np.float32)[None, :]
    start, end = start[:, None], (start + length)[:, None]
    return jnp.clip(jnp.minimum(end, pixel + 1.0) - jnp.maximum(start, pixel), 0.0, 1.0)


SPECS = (
    spec.DegradationSpec(
        name="occlusion",
        fn=occlusion,
        group="occlusion",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=OCCLUSION_SHARE,
        convention="share of the area under rectangles with edges between pixels, nested in severity under one key; "
        "neutral 0",
        options={"patches": "how many rectangles, 3", "fill": _FILLS},
        published=False,
        reference="DeVries, Taylor (2017). Cutout; Zhong et al. (2020). Random erasing data augmentation. AAAI; rows "
        "reasoned",
    ),
)
