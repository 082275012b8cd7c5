"""Kernels on sample sets, and dependence between variables: the HSIC family and CKA. `TABLE[name].fn(K, L)`."""

from causal_iqa.dependence.centred_alignment import cka, cka_debiased, cka_linear
from causal_iqa.dependence.hsic import (
    HSICPermutationTest,
    centre,
    centre_against,
    hsic_biased,
    hsic_normalised,
    hsic_permutation_test,
    hsic_unbiased,
    u_centre,
)
from causal_iqa.dependence.kernels import (
    KERNELS,
    KernelSpec,
    cosine,
    delta,
    linear,
    median_heuristic,
    rbf,
    squared_distances,
)
from causal_iqa.dependence.table import TABLE, MeasureSpec

__all__ = [
    "KERNELS",
    "TABLE",
    "HSICPermutationTest",
    "KernelSpec",
    "MeasureSpec",
    "centre",
    "centre_against",
    "cka",
    "cka_debiased",
    "cka_linear",
    "cosine",
    "delta",
    "hsic_biased",
    "hsic_normalised",
    "hsic_permutation_test",
    "hsic_unbiased",
    "linear",
    "median_heuristic",
    "rbf",
    "squared_distances",
    "u_centre",
]
