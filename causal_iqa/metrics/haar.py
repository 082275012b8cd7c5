"""HaarPSI: similarity of the edges that Haar wavelets find, weighted by the coarser ones.

Images are float32 [H, W, 3], sRGB, in [0, 1]; the constants refer to 0..255.
"""

import jax
import jax.numpy as jnp

from causal_iqa.metrics import _filters, _pixels, _similarity, spec

__all__ = ["haarpsi"]

# Reisenhofer et al. (2018), section 3.
_C = 30.0
_ALPHA = 4.2
_SCALES = 3
_SMALLEST_SIDE = 16


def _haar(plane: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Magnitudes of the horizontal and vertical size x size Haar responses, zero border, MATLAB's alignment."""
    before, half = size // 2 - 1, size // 2
    padded = _filters.pad(plane, (before, half), (before, half), "zero")

    def step(x: jax.Array, axis: int) -> jax.Array:
        sums = _filters.box_sum(x, half, axis)
        length = sums.shape[axis] - half
        return jax.lax.slice_in_dim(sums, half, half + length, axis=axis) - jax.lax.slice_in_dim(
            sums, 0, length, axis=axis
        )

    across_rows = step(_filters.box_sum(padded, size, 1), 0)
    across_columns = step(_filters.box_sum(padded, size, 0), 1)
    return jnp.abs(across_rows) / size, jnp.abs(across_columns) / size


def _smooth(plane: jax.Array) -> jax.Array:
    padded = _filters.pad(plane, (0, 1), (0, 1), "zero")
    return jnp.abs(_filters.box_mean(padded, 2))


def haarpsi(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Haar wavelet-based perceptual similarity index.

    (logit(sum w sigma(4.2 s) / sum w) / 4.2)^2 over both orientations and the chroma: s the similarity (C = 30) of the
    responses at the two finer of three scales, w the larger coarse response; sigma the logistic function. The images
    are first halved by 2 x 2 means.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 16.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images. NaN when both images are black, which leaves no weight.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 16 pixels.

    References:
      [1] Reisenhofer, Bosse, Kutyniok, Wiegand, "A Haar wavelet-based perceptual similarity index for image quality
          assessment", Signal Processing: Image Communication 2018, eq. 9 to 12, and the authors' HaarPSI.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.haarpsi)(reference, image):.2f}")
      0.88
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "haarpsi")
    x, y = (_similarity.shrink(_similarity.luma(part), 2) for part in (reference, image))
    scales = [tuple(zip(_haar(x, 2**k), _haar(y, 2**k), strict=True)) for k in range(1, _SCALES + 1)]
    terms, weights = [], []
    for orientation in range(2):
        fine = [_similarity.similarity(*scale[orientation], _C) for scale in scales[:-1]]
        terms.append(sum(fine) / len(fine))
        weights.append(jnp.maximum(*scales[-1][orientation]))
    chroma = []
    planes = zip(_similarity.in_phase_quadrature(reference), _similarity.in_phase_quadrature(image), strict=True)
    for p, q in planes:
        p, q = (_smooth(_similarity.shrink(plane, 2)) for plane in (p, q))
        chroma.append(_similarity.similarity(p, q, _C))
    terms.append(0.5 * (chroma[0] + chroma[1]))
    weights.append(0.5 * (weights[0] + weights[1]))
    pairs = list(zip(terms, weights, strict=True))
    # logit(p / w) = log p - log(w - p), and 1 - sigma(t) = sigma(-t): no difference of near equals.
    good = jnp.sum(sum(jax.nn.sigmoid(_ALPHA * term) * weight for term, weight in pairs))
    bad = jnp.sum(sum(jax.nn.sigmoid(-_ALPHA * term) * weight for term, weight in pairs))
    weighted = bad > 0
    logit = jnp.log(jnp.where(weighted, good, 1.0)) - jnp.log(jnp.where(weighted, bad, 1.0))
    return jnp.where(weighted, jnp.square(logit / _ALPHA), jnp.nan)


SPECS = (
    spec.MetricSpec(
        name="haarpsi",
        fn=haarpsi,
        family="full_reference",
        higher_is_better=True,
        colour="YIQ",
        range=(0.0, 1.0),
        smallest_side=_SMALLEST_SIDE,
        differentiable=True,
        convention="3 scales, C 30, alpha 4.2",
        reference="Reisenhofer, Bosse, Kutyniok, Wiegand, Signal Processing: Image Communication 61, 2018; HaarPSI.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
        data_range="0-255, not rounded",
        window="2x2, 4x4 and 8x8 Haar filters",
        border="zero",
        downsampling="2x2 mean, zero border",
        undefined="both images are black",
    ),
)
