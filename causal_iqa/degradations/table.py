"""The table of degradations: every imaging condition, its parameters and what to expect of it."""

import dataclasses
import types
from collections.abc import Callable, Mapping

import jax

from causal_iqa.degradations import blur, digital, jpeg, noise, weather

_HENDRYCKS = (
    "Hendrycks, Dietterich (2019). Benchmarking Neural Network Robustness to Common Corruptions and Perturbations. ICLR"
)


@dataclasses.dataclass(frozen=True)
class DegradationSpec:
    """One imaging condition.

    Attributes:
      name: its row in TABLE.
      fn: `fn(key, image, severity, *, family=None) -> image`; key is ignored when not stochastic.
      group: "noise", "blur", "weather" or "digital".
      stochastic: whether the result depends on the key.
      differentiable: whether the gradient with respect to the image exists almost everywhere and is of use.
      monotone: whether the distance to the clean image grows with severity on average.
      parameters: family -> five rows, severities 1..5.
      convention: what this implementation does and where it departs from the original.
      reference: source of the definition and the parameters.
    """

    name: str
    fn: Callable[..., jax.Array]
    group: str
    stochastic: bool
    differentiable: bool
    monotone: bool
    parameters: Mapping[str, tuple]
    convention: str
    reference: str = _HENDRYCKS


_ROWS = (
    DegradationSpec(
        name="gaussian_noise",
        fn=noise.gaussian_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=noise.GAUSSIAN_NOISE_SIGMA,
        convention="x + sigma N(0, 1) per sample; neutral sigma 0; as the original but not truncated to 8 bits",
    ),
    DegradationSpec(
        name="shot_noise",
        fn=noise.shot_noise,
        group="noise",
        stochastic=True,
        differentiable=False,
        monotone=True,
        parameters=noise.SHOT_NOISE_PHOTONS,
        convention="Poisson(c x) / c; 1 / c is interpolated, neutral 0; mean >= 5 by Giles' quantile expansion",
    ),
    DegradationSpec(
        name="impulse_noise",
        fn=noise.impulse_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=noise.IMPULSE_NOISE_AMOUNT,
        convention="per channel, half salt and half pepper, amount to within 2^-16; neutral amount 0; under one key "
        "severities are nested",
    ),
    DegradationSpec(
        name="speckle_noise",
        fn=noise.speckle_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=noise.SPECKLE_NOISE_SIGMA,
        convention="x (1 + sigma N(0, 1)) per sample; neutral sigma 0; as the original but not truncated to 8 bits",
    ),
    DegradationSpec(
        name="gaussian_blur",
        fn=blur.gaussian_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=blur.GAUSSIAN_BLUR_SIGMA,
        convention="scikit-image's Gaussian: cut at 4 sigma, edge repeated; neutral sigma 0",
    ),
    DegradationSpec(
        name="defocus_blur",
        fn=blur.defocus_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=blur.DEFOCUS_BLUR_DISK,
        convention="(radius, alias sigma); OpenCV's reflect-101 border; kernels mixed between rows, neutral a point",
    ),
    DegradationSpec(
        name="motion_blur",
        fn=blur.motion_blur,
        group="blur",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=blur.MOTION_BLUR_LINE,
        convention="(radius, sigma); ImageMagick's one-sided half Gaussian of 2 r + 1 nearest-pixel taps, edge "
        "repeated; angle in U(-45, 45) drawn from 1024 values; neutral (0, 0)",
    ),
    DegradationSpec(
        name="zoom_blur",
        fn=blur.zoom_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=blur.ZOOM_BLUR_RANGE,
        convention="(end, step) of the factors, end included or not as NumPy's arange rounds; corner-aligned linear "
        "zooms of each axis' own centred crop; weights of the factors are mixed between rows, neutral the image alone",
    ),
    DegradationSpec(
        name="fog",
        fn=weather.fog,
        group="weather",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=weather.FOG_DENSITY,
        convention="(density, decay); diamond-square map of the next power of two >= the longer side, cropped; "
        "scaled by the image's own maximum; neutral density 0",
    ),
    DegradationSpec(
        name="brightness",
        fn=weather.brightness,
        group="weather",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=weather.BRIGHTNESS_ADDED,
        convention="added to V of HSV, clipped; neutral 0; as the original but not truncated to 8 bits",
    ),
    DegradationSpec(
        name="contrast",
        fn=digital.contrast,
        group="digital",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=digital.CONTRAST_GAIN,
        convention="gain about the mean of each channel; neutral 1; as the original but not truncated to 8 bits",
    ),
    DegradationSpec(
        name="saturate",
        fn=digital.saturate,
        group="digital",
        stochastic=False,
        differentiable=True,
        monotone=False,
        parameters=digital.SATURATE_GAIN,
        convention="(gain, offset) of S of HSV, clipped; channels within half an 8-bit level count as grey, hue 0 "
        "(red), as in the original's 8-bit input; neutral (1, 0), passed again between severities 2 and 3",
    ),
    DegradationSpec(
        name="pixelate",
        fn=digital.pixelate,
        group="digital",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=digital.PIXELATE_SHARE,
        convention="box means down to int(side * share), pixels repeated up; Pillow rounds to 8 bits between, this "
        "does not; neutral 1",
    ),
    DegradationSpec(
        name="jpeg_compression",
        fn=jpeg.jpeg_compression,
        group="digital",
        stochastic=False,
        differentiable=False,
        monotone=True,
        parameters=jpeg.JPEG_QUALITY,
        convention="input rounded to 8 bits; the pixels of libjpeg's baseline 4:2:0 with the accurate integer DCT, bit "
        "for bit; quality rounded to a whole number, neutral 100",
    ),
)

TABLE: Mapping[str, DegradationSpec] = types.MappingProxyType({row.name: row for row in _ROWS})
