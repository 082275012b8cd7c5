"""Kernels on sample sets, and dependence between variables: the HSIC family, its relatives and its tests.

`KERNELS[name].fn(x, y)`, `TABLE[name].fn(K, L)`, `TESTS[name].fn(K, L)`.
"""

from causal_iqa.dependence.aggregated_test import HSICAggregatedTest, bandwidth_collection, hsic_aggregated_test
from causal_iqa.dependence.bandwidths import median_heuristic, median_heuristic_subsampled
from causal_iqa.dependence.centred_alignment import cka, cka_debiased, cka_linear
from causal_iqa.dependence.conditional_covariance import (
    conditional_covariance_norm,
    conditional_mean_dependence,
    conditional_nocco,
    nocco,
)
from causal_iqa.dependence.contributions import (
    JackknifeInterval,
    cka_jackknife,
    hsic_biased_contributions,
    hsic_jackknife,
    hsic_leave_one_out,
    hsic_unbiased_contributions,
    hsic_witness,
)
from causal_iqa.dependence.distance import (
    distance_correlation,
    distance_correlation_squared_unbiased,
    distance_covariance_squared,
    distance_covariance_squared_unbiased,
)
from causal_iqa.dependence.hsic import (
    BlockHSIC,
    centre,
    centre_against,
    hsic_biased,
    hsic_block,
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
from causal_iqa.dependence.information import (
    mutual_information_ksg,
    mutual_information_miller_madow,
    mutual_information_mixed,
    mutual_information_plug_in,
)
from causal_iqa.dependence.kernel_table import KERNELS, KernelSpec
from causal_iqa.dependence.kernels import cosine, delta, linear, polynomial, product, rbf, squared_distances
from causal_iqa.dependence.mmd import LinearTimeMMD, mmd_squared_biased, mmd_squared_linear, mmd_squared_unbiased
from causal_iqa.dependence.radial_kernels import (
    distance_induced,
    distances,
    laplace,
    matern12,
    matern32,
    matern52,
    rational_quadratic,
)
from causal_iqa.dependence.table import TABLE, TESTS, MeasureSpec, TestSpec

__all__ = [
    "KERNELS",
    "TABLE",
    "TESTS",
    "BlockHSIC",
    "HSICAggregatedTest",
    "HSICGammaTest",
    "HSICPermutationTest",
    "HSICSpectralTest",
    "JackknifeInterval",
    "KernelSpec",
    "LinearTimeMMD",
    "MeasureSpec",
    "TestSpec",
    "bandwidth_collection",
    "centre",
    "centre_against",
    "cka",
    "cka_debiased",
    "cka_jackknife",
    "cka_linear",
    "conditional_covariance_norm",
    "conditional_mean_dependence",
    "conditional_nocco",
    "cosine",
    "delta",
    "distance_correlation",
    "distance_correlation_squared_unbiased",
    "distance_covariance_squared",
    "distance_covariance_squared_unbiased",
    "distance_induced",
    "distances",
    "hsic_aggregated_test",
    "hsic_biased",
    "hsic_biased_contributions",
    "hsic_block",
    "hsic_gamma_test",
    "hsic_jackknife",
    "hsic_leave_one_out",
    "hsic_normalised",
    "hsic_permutation_test",
    "hsic_spectral_test",
    "hsic_unbiased",
    "hsic_unbiased_contributions",
    "hsic_witness",
    "laplace",
    "linear",
    "matern12",
    "matern32",
    "matern52",
    "median_heuristic",
    "median_heuristic_subsampled",
    "mmd_squared_biased",
    "mmd_squared_linear",
    "mmd_squared_unbiased",
    "mutual_information_ksg",
    "mutual_information_miller_madow",
    "mutual_information_mixed",
    "mutual_information_plug_in",
    "nocco",
    "polynomial",
    "product",
    "rational_quadratic",
    "rbf",
    "squared_distances",
    "u_centre",
]
