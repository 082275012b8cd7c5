"""What the diagnosis reads of an image: spectrum, derivatives, residuals, colours and traces of coding, as one vector.

All are computed on the image rounded to 8 bits, so that an array and the file it was stored in say the same. Every
statistic is a mean over pixels; none needs a reference.
"""

import jax
import jax.numpy as jnp

from causal_iqa import images
from causal_iqa.diagnosis import _coding, _colours, _local, _maps, _noise, _spectrum


def named_statistics(image: jax.Array) -> _maps.Named:
    """The statistics by name; `statistics` joins them."""
    image = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0) / 255.0
    luma = images.luma(image)
    found = (
        _spectrum.spectrum(image, luma)
        | _local.derivatives(luma)
        | _local.normalised(luma, 0)
        | _local.normalised(_maps.half(luma), 1)
    )
    return (
        found
        | _noise.noise(image)
        | _noise.outliers(image)
        | _colours.colours(image, luma)
        | _coding.coding(luma, image)
        | _local.structure(luma)
    )


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
