"""Conventional quality metrics: `TABLE[name].fn(reference, image)` or `.fn(image)`, one scalar per image."""

from causal_iqa.metrics.full_reference import mse, psnr, psnr_y
from causal_iqa.metrics.no_reference import entropy, noise_sigma, rms_contrast, total_variation, variance_of_laplacian
from causal_iqa.metrics.spec import MetricSpec, evaluate
from causal_iqa.metrics.structural_similarity import (
    ssim,
    ssim_scikit_image,
    ssim_wang2004,
    ssim_wang2004_downsampled,
    uqi,
)
from causal_iqa.metrics.table import TABLE

__all__ = [
    "TABLE",
    "MetricSpec",
    "entropy",
    "evaluate",
    "mse",
    "noise_sigma",
    "psnr",
    "psnr_y",
    "rms_contrast",
    "ssim",
    "ssim_scikit_image",
    "ssim_wang2004",
    "ssim_wang2004_downsampled",
    "total_variation",
    "uqi",
    "variance_of_laplacian",
]
