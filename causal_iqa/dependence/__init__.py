"""Kernels on sample sets, and dependence between variables: the HSIC family, its relatives and its tests.

`KERNELS[name].fn(x, y)`, `TABLE[name].fn(K, L)`, `TESTS[name].fn(K, L)`.
"""

from causal_iqa.dependence.aggregated import HSICAggregatedTest, hsic_aggregated_test
from causal_iqa.dependence.bandwidths import median_heuristic, median_heuristic_subsampled
from causal_iqa.dependence.centred_alignment import cka, cka_debiased, cka_linear
from causal_iqa.dependence.conditional import (
    KCITest,
    kci_gamma_test,
    kci_spectral_test,
    kci_test,
    kci_unconditional_gamma_test,
    kci_unconditional_spectral_test,
)
from causal_iqa.dependence.conditional_covariance import (
    conditional_covariance_norm,
    conditional_mean_dependence,
    conditional_nocco,
    nocco,
)
from causal_iqa.dependence.conditional_kernels import (
    conditional_bandwidths,
    kci_bandwidth,
    kci_grams,
    kci_unconditional_bandwidth,
    normal_scores,
    standardise,
)
from causal_iqa.dependence.conditional_table import (
    CONDITIONAL_TESTS,
    ConditionalTestSpec,
    conditional_independence_test,
    outside_calibration,
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
from causal_iqa.dependence.feature_maps import cosine_of_turns, delta_map, fourier_map, linear_map, nystrom_map
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
from causal_iqa.dependence.independence import (
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
from causal_iqa.dependence.learned_widths import LearnedRegression, learn_regression, leave_one_out_errors
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
from causal_iqa.dependence.randomised import RandomisedTest, randomised_test, rcit_test, rcot_test
from causal_iqa.dependence.residuals import residual_gram, residual_maker
from causal_iqa.dependence.sharded import global_rows, gram_sums_sharded, hsic_sharded, sketch_sharded
from causal_iqa.dependence.sketches import Sketch, SketchEstimate
from causal_iqa.dependence.stratified import (
    Strata,
    StratifiedPermutationTest,
    conditional_permutation_test,
    quantile_cells,
    stratified_permutation_test,
    stratify,
)
from causal_iqa.dependence.streaming import GramSums, StreamedHSIC, gram_sums, hsic_streamed
from causal_iqa.dependence.table import TABLE, TESTS, MeasureSpec, TestSpec

__all__ = [
    "CONDITIONAL_TESTS",
    "KERNELS",
    "TABLE",
    "TESTS",
    "BlockHSIC",
    "ConditionalTestSpec",
    "GramSums",
    "HSICAggregatedTest",
    "HSICGammaTest",
    "HSICPermutationTest",
    "HSICSpectralTest",
    "JackknifeInterval",
    "KCITest",
    "KernelSpec",
    "LearnedRegression",
    "LinearTimeMMD",
    "MeasureSpec",
    "RandomisedTest",
    "Sketch",
    "SketchEstimate",
    "Strata",
    "StratifiedPermutationTest",
    "StreamedHSIC",
    "TestSpec",
    "centre",
    "centre_against",
    "cka",
    "cka_debiased",
    "cka_jackknife",
    "cka_linear",
    "conditional_bandwidths",
    "conditional_covariance_norm",
    "conditional_independence_test",
    "conditional_mean_dependence",
    "conditional_nocco",
    "conditional_permutation_test",
    "cosine",
    "cosine_of_turns",
    "delta",
    "delta_map",
    "distance_correlation",
    "distance_correlation_squared_unbiased",
    "distance_covariance_squared",
    "distance_covariance_squared_unbiased",
    "distance_induced",
    "distances",
    "fourier_map",
    "global_rows",
    "gram_sums",
    "gram_sums_sharded",
    "hsic_aggregated_test",
    "hsic_biased",
    "hsic_biased_contributions",
    "hsic_block",
    "hsic_gamma_test",
    "hsic_jackknife",
    "hsic_leave_one_out",
    "hsic_normalised",
    "hsic_permutation_test",
    "hsic_sharded",
    "hsic_spectral_test",
    "hsic_streamed",
    "hsic_unbiased",
    "hsic_unbiased_contributions",
    "hsic_witness",
    "kci_bandwidth",
    "kci_gamma_test",
    "kci_grams",
    "kci_spectral_test",
    "kci_test",
    "kci_unconditional_bandwidth",
    "kci_unconditional_gamma_test",
    "kci_unconditional_spectral_test",
    "laplace",
    "learn_regression",
    "leave_one_out_errors",
    "linear",
    "linear_map",
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
    "normal_scores",
    "nystrom_map",
    "outside_calibration",
    "polynomial",
    "product",
    "quantile_cells",
    "randomised_test",
    "rational_quadratic",
    "rbf",
    "rcit_test",
    "rcot_test",
    "residual_gram",
    "residual_maker",
    "sketch_sharded",
    "squared_distances",
    "standardise",
    "stratified_permutation_test",
    "stratify",
    "u_centre",
]
