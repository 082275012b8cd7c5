"""Coding at any quality: JPEG with full chroma."""

import jax
import jax.numpy as jnp

from causal_iqa.degradations import _jpeg, _light, ladder, spec

__all__ = ["jpeg_444"]

JPEG_444_QUALITY = {spec.ANY_SIZE: (60.0, 40.0, 25.0, 15.0, 8.0)}


def jpeg_444(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, chroma: str = "444"
) -> jax.Array:
    """Codes and decodes as JPEG at the same qualities for every size, by default with chroma at full resolution.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced; the quality is rounded to a whole number.
      family: static; checked, but the parameters hold at every size.
      chroma: static, "444" (full resolution) or "420" (half).

    Returns:
      float32 [H, W, 3] in [0, 1], multiples of 1 / 255.

    Raises:
      InputError: when the chroma is unknown.

    References:
      [1] ITU-T T.81 (1992).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.jpeg_444, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    del key
    _light.check_any_size(image, family)
    quality = jnp.round(ladder.mix(100.0, JPEG_444_QUALITY[spec.ANY_SIZE], severity)).astype(jnp.int32)
    return ladder.finish(image, _jpeg.jpeg(image, quality, chroma=chroma), severity)


SPECS = (
    spec.DegradationSpec(
        name="jpeg_444",
        fn=jpeg_444,
        group="compression",
        stochastic=False,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=JPEG_444_QUALITY,
        convention="the pixels of libjpeg's baseline 4:4:4 with the accurate integer DCT, bit for bit; quality rounded "
        "to a whole number, neutral 100",
        options={"chroma": _jpeg.CHROMA[::-1]},
        published=False,
        reference="ITU-T T.81 (1992); rows reasoned",
    ),
)
