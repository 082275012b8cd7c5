"""Normalised Laplacian pyramid distance.

Images are float32 [H, W, 3], sRGB, in [0, 1].
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _pixels, _pyramids, spec

__all__ = ["nlpd"]

_TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)
# Laparra et al. (2016): constants fitted to the McGill images, as printed in the authors' NLP_dist.m.
_SIGMAS = (0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)
# Weights of the neighbours above, left, right, two to the right, below; the code convolves, so they act mirrored.
_NEIGHBOURS = (
    (0.1011, 0.1493, 0.1460, 0.0072, 0.1015),
    (0.0757, 0.1986, 0.1846, 0.0, 0.0837),
    (0.0477, 0.2138, 0.2243, 0.0, 0.0467),
    (0.0, 0.2503, 0.2616, 0.0, 0.0),
    (0.0, 0.2598, 0.2552, 0.0, 0.0),
    (0.0, 0.2215, 0.0717, 0.0, 0.0),
)
_SMALLEST_SIDE = 2 ** (len(_SIGMAS) - 1)


def _kernel(weights: tuple[float, ...]) -> np.ndarray:
    """Correlation kernel [3, 5] of one band, the printed one turned by 180 degrees."""
    above, left, right, far_right, below = weights
    printed = np.array([[0, 0, above, 0, 0], [0, left, 0, right, far_right], [0, 0, below, 0, 0]])
    return printed[::-1, ::-1]


def nlpd(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Normalised Laplacian pyramid distance on the rounded 8-bit luma in [0, 1].

    Each of six bands is divided by a constant plus a weighted sum of its neighbours' magnitudes; the distance is the
    mean over bands of the root mean squared difference.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 32, so that the sixth level is made of whole pixels.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, not negative; lower is better, 0 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 32 pixels.

    References:
      [1] Laparra, Balle, Berardino, Simoncelli, "Perceptual image quality assessment using a normalized Laplacian
          pyramid", Human Vision and Electronic Imaging 2016, and the authors' NLP_dist.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.nlpd, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["nlpd"].higher_is_better
      False
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "nlpd")
    pair = jnp.stack([_filters.grey_levels(reference), _filters.grey_levels(image)]) / 255.0
    bands = _pyramids.laplacian(pair, _TAPS, len(_SIGMAS), reduce_border="symmetric", expand_border="edge")
    distances = []
    for band, sigma, weights in zip(bands, _SIGMAS, _NEIGHBOURS, strict=True):
        band = settle(band)
        normalised = band / (sigma + _filters.correlate(jnp.abs(band), _kernel(weights), border="zero"))
        distances.append(safe_sqrt(jnp.mean(jnp.square(normalised[0] - normalised[1]))))
    return jnp.mean(jnp.stack(distances))


SPECS = (
    spec.MetricSpec(
        name="nlpd",
        fn=nlpd,
        family="full_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=_SMALLEST_SIDE,
        differentiable=True,
        convention="luma rounded to 0..255 then divided by 255, gradient straight through the rounding; six bands",
        reference="Laparra, Balle, Berardino, Simoncelli, HVEI 2016; NLP_dist.m",
        worse_with=("blur", "noise"),
        perfect=0.0,
        symmetric=True,
        data_range="0-1, 8-bit levels",
        window="5 fixed taps a band",
        border="symmetric going down, repeated going up, zero in the normalisation",
        downsampling="six-level Laplacian pyramid",
    ),
)
