"""Visual information fidelity: in the wavelet domain as first published, and in the pixel domain.

Images are float32 [H, W, 3], sRGB, in [0, 1].
"""

import jax
import jax.numpy as jnp

from causal_iqa import images
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _information, _pixels, _pyramids, spec

__all__ = ["vif", "vifp"]

# Sheikh and Bovik (2006), section IV-A: variance of the visual noise in the wavelet domain; vifvec.m: blocks of 3 x 3.
_WAVELET_NOISE = 0.4
_BLOCK = 3
_LEVELS = 4
# vifp_mscale.m: variance of the visual noise in the pixel domain, and the largest variance that counts as zero.
_PIXEL_NOISE = 2.0
_ZERO = 1e-10


def _channel(bands: jax.Array, window: int) -> tuple[jax.Array, jax.Array]:
    """Gain and residual variance of one pair of subbands [2, H, W], at the centres of the 3 x 3 blocks away from edges.

    The sums run over windows that lie inside the band, so no border is needed.
    """
    bands = settle(bands)
    x, d = bands[0], bands[1] - bands[0]
    skip = -(-(window // 2) // _BLOCK)
    first = _BLOCK * skip + 1 - window // 2
    rows, columns = (_BLOCK * (side - 2 * skip - 1) + window for side in (s // _BLOCK for s in x.shape))
    moments = jnp.stack([x, d, x * x, x * d, d * d])[:, first : first + rows, first : first + columns]
    ones = (1.0 / window,) * window
    moments = _filters.shifted_sum(settle(moments), ones, 1, stride=_BLOCK)
    moments = _filters.shifted_sum(settle(moments), ones, 2, stride=_BLOCK)
    gain, residual = _information.regress(*moments)
    # A negative gain counts as no signal: all of the variance is noise.
    total = jnp.maximum(moments[2] + 2.0 * moments[3] + moments[4] - jnp.square(moments[0] + moments[1]), 0.0)
    return jnp.maximum(gain, 0.0), jnp.where(gain < 0.0, total, residual)


def _band_information(bands: jax.Array, window: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Information of the distorted and of the reference subband [2, H, W] in bits, and whether it is defined."""
    gain, residual = _channel(bands, window)
    height, width = (_BLOCK * (side // _BLOCK) for side in bands.shape[1:])
    y = bands[0, :height, :width]
    offsets = [(r, c) for r in range(_BLOCK) for c in range(_BLOCK)]
    samples = [y[r : height - 2 + r, c : width - 2 + c] for r, c in offsets]
    skip = -(-(window // 2) // _BLOCK)
    blocks = [y[r::_BLOCK, c::_BLOCK][skip:-skip, skip:-skip] for r, c in offsets]
    model = _information.scale_mixture(samples, settle(blocks), centred=True)
    of_image = settle(gain * gain * model.field / (residual + _WAVELET_NOISE))
    of_reference = model.field / _WAVELET_NOISE
    image = _information.sum_of_logs(lambda eigenvalue: of_image * eigenvalue, model.eigenvalues)
    reference = _information.sum_of_logs(lambda eigenvalue: of_reference * eigenvalue, model.eigenvalues)
    return jnp.sum(image), jnp.sum(reference), model.defined


def vif(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Visual information fidelity in the wavelet domain, on the rounded 8-bit luma.

    VIF = sum_bands I(C; F) / sum_bands I(C; E), the information the image and the reference give a noisy eye about the
    scene, modelled as Gaussian scale mixtures of 3 x 3 blocks. Bands: the horizontal and the vertical one of six
    orientations at each of four scales of the order-5 steerable pyramid.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 72 (the authors' pyramid needs them).
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, not negative; higher is better, 1 for equal luma, above 1 where contrast is enhanced. NaN where a band of
      the reference is flat.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 72 pixels.

    References:
      [1] Sheikh, Bovik, "Image information and visual quality", IEEE TIP 2006, eq. 15, and the authors' vifvec.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.vif, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["vif"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, 9 * 2 ** (_LEVELS - 1), "vif")
    # The bands drop the mean; without it their float32 rounding is smaller.
    pair = jnp.stack([_filters.grey_levels(reference), _filters.grey_levels(image)]) - 128.0
    of_image = of_reference = 0.0
    defined = True
    for level, bands in enumerate(_pyramids.steerable_pairs(pair, _LEVELS)):
        window = 2 ** (_LEVELS - level) + 1
        of_both = jax.vmap(lambda oriented, window=window: _band_information(oriented, window))(bands)
        of_image, of_reference = of_image + jnp.sum(of_both[0]), of_reference + jnp.sum(of_both[1])
        defined = defined & jnp.all(of_both[2])
    return jnp.where(defined, of_image / jnp.where(defined, of_reference, 1.0), jnp.nan)


def _pixel_information(x: jax.Array, y: jax.Array, window: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
    gain, residual, var_x = _pixel_channel(x, y, window)
    image = jnp.log2(1.0 + gain * gain * var_x / (residual + _PIXEL_NOISE))
    return jnp.sum(image), jnp.sum(jnp.log2(1.0 + var_x / _PIXEL_NOISE))


def _pixel_channel(x: jax.Array, y: jax.Array, window: tuple[float, ...]) -> tuple[jax.Array, jax.Array, jax.Array]:
    moments: _filters.LocalMoments = settle(_filters.local_moments(x, y - x, window))
    var_x = jnp.maximum(moments.var_x, 0.0)
    slope = moments.cov / jnp.where(var_x < _ZERO, 1.0, var_x)
    var_y = jnp.maximum(var_x + 2.0 * moments.cov + moments.var_y, 0.0)
    residual = jnp.maximum(moments.var_y - slope * moments.cov, 0.0)
    gain = jnp.where((var_x < _ZERO) | (var_y < _ZERO), 0.0, 1.0 + slope)
    residual = jnp.where((var_x < _ZERO) | (gain < 0.0), var_y, residual)
    residual = jnp.where(var_y < _ZERO, 0.0, residual)
    return settle((jnp.maximum(gain, 0.0), residual, jnp.where(var_x < _ZERO, 0.0, var_x)))


def vifp(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Visual information fidelity in the pixel domain, on the luma in 0..255, not rounded.

    The same ratio as `vif` with scalar Gaussian models of the pixels at four scales: windows of 17, 9, 5 and 3 pixels
    with sigmas of a fifth of them, each scale low-passed with its own window and halved. Another metric than `vif`:
    their values are not comparable.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 41.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, not negative; higher is better, 1 for equal luma, above 1 where contrast is enhanced. NaN for a flat
      reference.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 41 pixels.

    References:
      [1] Sheikh, Bovik, "Image information and visual quality", IEEE TIP 2006, and the authors' vifp_mscale.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.vifp, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["vifp"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, 41, "vifp")
    pair = 255.0 * jnp.stack([images.luma(reference), images.luma(image)])
    of_image, of_reference = [], []
    for scale in range(_LEVELS):
        size = 2 ** (_LEVELS - scale) + 1
        window = _filters.gaussian(size, size / 5.0)
        if scale:
            pair = _filters.shifted_sum(pair, window, 1, stride=2)
            pair = _filters.shifted_sum(settle(pair), window, 2, stride=2)
            pair = settle(pair)
        a, b = _pixel_information(pair[0], pair[1], window)
        of_image.append(a)
        of_reference.append(b)
    total = sum(of_reference)
    return jnp.where(total > 0.0, sum(of_image) / jnp.where(total > 0.0, total, 1.0), jnp.nan)


_SHEIKH2006 = "Sheikh, Bovik, IEEE TIP 15(2), 2006"
_FLAT_BAND = "a band of the reference is flat and holds no information to lose"

SPECS = (
    spec.MetricSpec(
        name="vif",
        fn=vif,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=9 * 2 ** (_LEVELS - 1),
        differentiable=True,
        convention=(
            "luma rounded to 0..255, gradient straight through the rounding; order-5 steerable pyramid, 2 of 6 "
            "orientations, 3x3 blocks, noise variance 0.4"
        ),
        reference=f"{_SHEIKH2006}; vifvec.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        data_range="0-255 rounded",
        window="17, 9, 5, 3 uniform from fine to coarse",
        border="mirrored about the edge in the pyramid, valid windows",
        downsampling="four pyramid scales",
        undefined=_FLAT_BAND,
    ),
    spec.MetricSpec(
        name="vifp",
        fn=vifp,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=41,
        differentiable=True,
        convention="luma not rounded, scalar Gaussian model of pixels, noise variance 2; piq vif_p",
        reference=f"{_SHEIKH2006}; vifp_mscale.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        data_range="0-255",
        window="17, 9, 5, 3 Gaussian, sigma a fifth",
        border="valid",
        downsampling="three times the scale's Gaussian and every second pixel",
        undefined="flat reference, which holds no information to lose",
    ),
)
