"""Imaging conditions as interventions: `fog(key, image, severity, *, family=None) -> image`, and so 48 of them.

`TABLE[name]` has each function with what it does, its parameters and what to expect of it.

`do(Condition.parse("defocus_blur/2+gaussian_noise/3"))` is the function that applies a whole condition.
"""

from causal_iqa.degradations._atmosphere import haze, rain
from causal_iqa.degradations._blur import defocus_blur, gaussian_blur, motion_blur
from causal_iqa.degradations._colour import colour_quantization, greyscale, hue_shift, white_balance
from causal_iqa.degradations._compression import jpeg_444
from causal_iqa.degradations._digital import contrast, pixelate, saturate
from causal_iqa.degradations._elastic import elastic_transform
from causal_iqa.degradations._exposure import exposure_error, low_light
from causal_iqa.degradations._frost import FROST_TEXTURE_SCALE, frost, load_frost_textures
from causal_iqa.degradations._geometry import rolling_shutter, rotation, scale, translation
from causal_iqa.degradations._glass import glass_blur
from causal_iqa.degradations._jpeg import jpeg_compression
from causal_iqa.degradations._mosaic import demosaicing
from causal_iqa.degradations._noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from causal_iqa.degradations._occlusion import occlusion
from causal_iqa.degradations._optics import chromatic_aberration, lens_distortion, lens_flare, veiling_glare, vignetting
from causal_iqa.degradations._point_spread import astigmatism, camera_shake
from causal_iqa.degradations._resolution import low_resolution, over_sharpening
from causal_iqa.degradations._sensor import dead_pixels, interlacing, iso_noise, row_noise
from causal_iqa.degradations._snow import snow
from causal_iqa.degradations._spatter import spatter
from causal_iqa.degradations._weather import brightness, fog
from causal_iqa.degradations._webp import webp_compression
from causal_iqa.degradations._zoom import zoom_blur
from causal_iqa.degradations.condition import (
    CLEAN,
    IMAGENET_C_QUALITY,
    QUANTISE,
    Condition,
    Step,
    check_stored,
    parse_label,
)
from causal_iqa.degradations.intervention import SETS, STAGES, compose, do, do_graded, keep, named_set, stage, step_key
from causal_iqa.degradations.ladder import (
    FAMILIES,
    MAX_SEVERITY,
    MAX_SIZE_RATIO,
    check_severity,
    family_for,
    nearest_family,
)
from causal_iqa.degradations.spec import DegradationSpec
from causal_iqa.degradations.table import TABLE

__all__ = [
    "CLEAN",
    "FAMILIES",
    "FROST_TEXTURE_SCALE",
    "IMAGENET_C_QUALITY",
    "MAX_SEVERITY",
    "MAX_SIZE_RATIO",
    "QUANTISE",
    "SETS",
    "STAGES",
    "TABLE",
    "Condition",
    "DegradationSpec",
    "Step",
    "astigmatism",
    "brightness",
    "camera_shake",
    "check_severity",
    "check_stored",
    "chromatic_aberration",
    "colour_quantization",
    "compose",
    "contrast",
    "dead_pixels",
    "defocus_blur",
    "demosaicing",
    "do",
    "do_graded",
    "elastic_transform",
    "exposure_error",
    "family_for",
    "fog",
    "frost",
    "gaussian_blur",
    "gaussian_noise",
    "glass_blur",
    "greyscale",
    "haze",
    "hue_shift",
    "impulse_noise",
    "interlacing",
    "iso_noise",
    "jpeg_444",
    "jpeg_compression",
    "keep",
    "lens_distortion",
    "lens_flare",
    "load_frost_textures",
    "low_light",
    "low_resolution",
    "motion_blur",
    "named_set",
    "nearest_family",
    "occlusion",
    "over_sharpening",
    "parse_label",
    "pixelate",
    "rain",
    "rolling_shutter",
    "rotation",
    "row_noise",
    "saturate",
    "scale",
    "shot_noise",
    "snow",
    "spatter",
    "speckle_noise",
    "stage",
    "step_key",
    "translation",
    "veiling_glare",
    "vignetting",
    "webp_compression",
    "white_balance",
    "zoom_blur",
]
