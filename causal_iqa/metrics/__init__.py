"""Conventional quality metrics: `TABLE[name].fn(reference, image)` or `.fn(image)`, one scalar per image."""

from causal_iqa.metrics import (
    _piqe,
    complex_wavelet,
    dct,
    feature_similarity,
    full_reference,
    gradient_similarity,
    haar,
    information,
    laplacian_pyramid,
    most_apparent,
    multiscale,
    no_reference,
    photographic,
    saliency_similarity,
    structural_similarity,
)
from causal_iqa.metrics._brisque import brisque
from causal_iqa.metrics._ilniqe import ilniqe
from causal_iqa.metrics._niqe import niqe
from causal_iqa.metrics._piqe import *
from causal_iqa.metrics.complex_wavelet import *
from causal_iqa.metrics.dct import *
from causal_iqa.metrics.feature_similarity import *
from causal_iqa.metrics.full_reference import *
from causal_iqa.metrics.gradient_similarity import *
from causal_iqa.metrics.haar import *
from causal_iqa.metrics.information import *
from causal_iqa.metrics.laplacian_pyramid import *
from causal_iqa.metrics.learned._clip_iqa import clip_iqa
from causal_iqa.metrics.learned._dists import dists
from causal_iqa.metrics.learned._lpips import lpips
from causal_iqa.metrics.learned.files import FileMetricSpec, check_name, clip_iqa_spec, resolve, usage
from causal_iqa.metrics.learned.packaged import niqe_imagenet_sample
from causal_iqa.metrics.most_apparent import *
from causal_iqa.metrics.multiscale import *
from causal_iqa.metrics.no_reference import *
from causal_iqa.metrics.photographic import *
from causal_iqa.metrics.saliency_similarity import *
from causal_iqa.metrics.spec import MetricSpec, evaluate
from causal_iqa.metrics.structural_similarity import *
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
    "dists",
    "evaluate",
    "evaluate_all",
    "ilniqe",
    "lpips",
    "niqe",
    "niqe_imagenet_sample",
    "resolve",
    "suite_names",
    "usage",
]
__all__ += _piqe.__all__
__all__ += complex_wavelet.__all__
__all__ += dct.__all__
__all__ += feature_similarity.__all__
__all__ += full_reference.__all__
__all__ += gradient_similarity.__all__
__all__ += haar.__all__
__all__ += information.__all__
__all__ += laplacian_pyramid.__all__
__all__ += most_apparent.__all__
__all__ += multiscale.__all__
__all__ += no_reference.__all__
__all__ += photographic.__all__
__all__ += saliency_similarity.__all__
__all__ += structural_similarity.__all__
