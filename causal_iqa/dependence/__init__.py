"""Kernels on sample sets, and dependence between variables: the HSIC family and CKA. `TABLE[name].fn(K, L)`."""

from causal_iqa.dependence.bandwidths import median_heuristic, median_heuristic_subsampled
from causal_iqa.dependence.centred_alignment import cka, cka_debiased, cka_linear
from causal_iqa.dependence.hsic import (
    centre,
    centre_against,
    hsic_biased,
    hsic_normalised,
    hsic_unbiased,
    u_centre,
)
from causal_iqa.dependence.independence_tests import (
    HSICGammaTest,
    HSICPermutationTest,
    HSICSpectralTest,
    hsic_gamma_test,
    hsic_permutation_test,
    hsic_spectral_test,
)
from causal_iqa.dependence.kernel_table import KERNELS, KernelSpec
from causal_iqa.dependence.kernels import cosine, delta, linear, polynomial, product, rbf, squared_distances
from causal_iqa.dependence.radial_kernels import (
    distance_induced,
    distances,
    laplace,
    matern12,
    matern32,
    matern52,
    rational_quadratic,
)
from causal_iqa.dependence.table import TABLE, MeasureSpec

__all__ = [
    "KERNELS",
    "TABLE",
    "HSICGammaTest",
    "HSICPermutationTest",
    "HSICSpectralTest",
    "KernelSpec",
    "MeasureSpec",
    "centre",
    "centre_against",
    "cka",
    "cka_debiased",
    "cka_linear",
    "cosine",
    "delta",
    "distance_induced",
    "distances",
    "hsic_biased",
    "hsic_gamma_test",
    "hsic_normalised",
    "hsic_permutation_test",
    "hsic_spectral_test",
    "hsic_unbiased",
    "laplace",
    "linear",
    "matern12",
    "matern32",
    "matern52",
    "median_heuristic",
    "median_heuristic_subsampled",
    "polynomial",
    "product",
    "rational_quadratic",
    "rbf",
    "squared_distances",
    "u_centre",
]
