"""The table of conventional metrics."""

from causal_iqa import _tables
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
from causal_iqa.metrics.learned import packaged

TABLE = _tables.Table(
    "metric",
    full_reference.SPECS
    + structural_similarity.SPECS
    + multiscale.SPECS
    + complex_wavelet.SPECS
    + information.SPECS
    + laplacian_pyramid.SPECS
    + most_apparent.SPECS
    + gradient_similarity.SPECS
    + feature_similarity.SPECS
    + saliency_similarity.SPECS
    + haar.SPECS
    + dct.SPECS
    + no_reference.SPECS
    + photographic.SPECS
    + _piqe.SPECS
    + packaged.SPECS,
)
