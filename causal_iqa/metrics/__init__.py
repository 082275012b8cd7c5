"""Conventional quality metrics: `TABLE[name].fn(reference, image)` or `.fn(image)`, one scalar per image."""

from causal_iqa.metrics._brisque import brisque
from causal_iqa.metrics._ilniqe import ilniqe
from causal_iqa.metrics._niqe import niqe
from causal_iqa.metrics._piqe import piqe
from causal_iqa.metrics.complex_wavelet import cw_ssim
from causal_iqa.metrics.dct import dss
from causal_iqa.metrics.feature_similarity import fsim, fsimc
from causal_iqa.metrics.full_reference import mse, psnr, psnr_y
from causal_iqa.metrics.gradient_similarity import gmsd, mdsi, ms_gmsd
from causal_iqa.metrics.haar import haarpsi
from causal_iqa.metrics.information import vif, vifp
from causal_iqa.metrics.laplacian_pyramid import nlpd
from causal_iqa.metrics.learned._clip_iqa import clip_iqa
from causal_iqa.metrics.learned._dists import dists
from causal_iqa.metrics.learned._lpips import lpips
from causal_iqa.metrics.learned.files import FileMetricSpec, check_name, clip_iqa_spec, resolve, usage
from causal_iqa.metrics.learned.packaged import niqe_imagenet_sample
from causal_iqa.metrics.most_apparent import mad
from causal_iqa.metrics.multiscale import iw_ssim, ms_ssim, ms_ssim_wang2003, ms_ssim_wang2003_sum
from causal_iqa.metrics.no_reference import entropy, noise_sigma, rms_contrast, total_variation, variance_of_laplacian
from causal_iqa.metrics.photographic import (
    clipped_highlights,
    clipped_shadows,
    colourfulness,
    jpeg_quality,
    spectral_slope,
    tenengrad,
)
from causal_iqa.metrics.saliency_similarity import sr_sim, vsi, vsi_256
from causal_iqa.metrics.spec import MetricSpec, evaluate
from causal_iqa.metrics.structural_similarity import (
    ssim,
    ssim_scikit_image,
    ssim_wang2004,
    ssim_wang2004_downsampled,
    uqi,
)
from causal_iqa.metrics.suite import STANDARD, evaluate_all, suite_names
from causal_iqa.metrics.table import TABLE

__all__ = [
    "STANDARD",
    "TABLE",
    "FileMetricSpec",
    "MetricSpec",
    "brisque",
    "check_name",
    "clip_iqa",
    "clip_iqa_spec",
    "clipped_highlights",
    "clipped_shadows",
    "colourfulness",
    "cw_ssim",
    "dists",
    "dss",
    "entropy",
    "evaluate",
    "evaluate_all",
    "fsim",
    "fsimc",
    "gmsd",
    "haarpsi",
    "ilniqe",
    "iw_ssim",
    "jpeg_quality",
    "lpips",
    "mad",
    "mdsi",
    "ms_gmsd",
    "ms_ssim",
    "ms_ssim_wang2003",
    "ms_ssim_wang2003_sum",
    "mse",
    "niqe",
    "niqe_imagenet_sample",
    "nlpd",
    "noise_sigma",
    "piqe",
    "psnr",
    "psnr_y",
    "resolve",
    "rms_contrast",
    "spectral_slope",
    "sr_sim",
    "ssim",
    "ssim_scikit_image",
    "ssim_wang2004",
    "ssim_wang2004_downsampled",
    "suite_names",
    "tenengrad",
    "total_variation",
    "uqi",
    "usage",
    "variance_of_laplacian",
    "vif",
    "vifp",
    "vsi",
    "vsi_256",
]
