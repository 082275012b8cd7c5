"""Integers, booleans and short floats give what the same numbers as float32 give; what is no real number is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import dependence
from causal_iqa.dependence import conditional_kernels

_N = 12
_KEY = jax.random.key(0)
_LABELS = np.arange(_N) % 3
_RBF = functools.partial(dependence.rbf, bandwidth=40.0)
_WIDTHS = {"bandwidth_x": 1.0, "bandwidth_y": 1.0, "bandwidth_z": 1.0}


def _settings(spec):
    return dict.fromkeys(spec.settings, 9)


def _conditional(spec, x, y):
    return spec.fn(_KEY, x, y, x[:, :1], **_settings(spec))


def _independence(spec, K, L):
    return spec.fn(*([_KEY] * spec.random), K, L, **_settings(spec))


def _sketch(x, y):
    maps = dependence.linear_map(), dependence.fourier_map(_KEY, 2, num_frequencies=2, bandwidth=40.0)
    sketch = dependence.sketches.init(*maps, x, y, within=True)
    return dependence.sketches.finalize(dependence.sketches.update(sketch, x, y))


# What samples x, y [n, 2] go into; small whole numbers, so that products of integers stay whole numbers.
_OF_SAMPLES = {
    "rbf": lambda x, y: _RBF(x, y),
    "laplace": lambda x, y: dependence.laplace(x, y, bandwidth=40.0),
    "matern12": lambda x, y: dependence.matern12(x, y, bandwidth=40.0),
    "matern32": lambda x, y: dependence.matern32(x, y, bandwidth=40.0),
    "matern52": lambda x, y: dependence.matern52(x, y, bandwidth=40.0),
    "rational_quadratic": lambda x, y: dependence.rational_quadratic(x, y, bandwidth=40.0, shape=1.0),
    "distance_induced": lambda x, y: dependence.distance_induced(x, y, exponent=1.0),
    "linear": lambda x, y: dependence.linear(x, y),
    "polynomial": lambda x, y: dependence.polynomial(x, y, degree=2, offset=1.0, bandwidth=9.0),
    "cosine": lambda x, y: dependence.cosine(x, y),
    "squared_distances": lambda x, y: dependence.squared_distances(x, y),
    "distances": lambda x, y: dependence.distances(x, y),
    "median_heuristic": lambda x, y: dependence.median_heuristic(x),
    "median_heuristic_subsampled": lambda x, y: dependence.median_heuristic_subsampled(_KEY, x, num_pairs=20),
    "standardise": lambda x, y: dependence.standardise(x),
    "normal_scores": lambda x, y: dependence.normal_scores(x),
    "kci_median_bandwidth": lambda x, y: conditional_kernels.kci_median_bandwidth(x),
    "conditional_bandwidths": lambda x, y: dependence.conditional_bandwidths(x, y, x),
    "kci_grams": lambda x, y: dependence.kci_grams(x, y, x, **_WIDTHS),
    "cka_linear": lambda x, y: dependence.cka_linear(x, y),
    "distance_covariance_squared": lambda x, y: dependence.distance_covariance_squared(x, y),
    "distance_correlation": lambda x, y: dependence.distance_correlation(x, y),
    "mutual_information_ksg": lambda x, y: dependence.mutual_information_ksg(x, y, num_neighbours=2),
    "mutual_information_mixed": lambda x, y: dependence.mutual_information_mixed(x, _LABELS, num_neighbours=2),
    "mmd_squared_linear": lambda x, y: dependence.mmd_squared_linear(_RBF, x, y),
    "randomised_test": lambda x, y: dependence.randomised_test(x, y, x[:, :1], ridge=0.1),
    "rcot_test": lambda x, y: dependence.rcot_test(
        _KEY, x, y, x[:, :1], **_WIDTHS, num_frequencies=2, num_frequencies_z=3, ridge=0.1
    ),
    "rcit_test": lambda x, y: dependence.rcit_test(
        _KEY, x, y, x[:, :1], **_WIDTHS, num_frequencies=2, num_frequencies_z=3, ridge=0.1
    ),
    "hsic_block": lambda x, y: dependence.hsic_block(_RBF, _RBF, x, y, block_size=4),
    "hsic_streamed": lambda x, y: dependence.hsic_streamed(x, y, _RBF, _RBF, block=5, num_anchors=4),
    "nystrom_map": lambda x, y: dependence.nystrom_map(x[:3], bandwidth=40.0, ridge=1e-3)(y),
    "sketches": _sketch,
    "quantile_cells": lambda x, y: dependence.quantile_cells(x, cells=(2, 2)),
    **{
        f"conditional {name}": functools.partial(_conditional, spec)
        for name, spec in dependence.CONDITIONAL_TESTS.items()
        if not spec.categorical
    },
}
# What Gram matrices K, L [n, n] go into.
_OF_GRAMS = {
    "centre": lambda K, L: dependence.centre(K),
    "u_centre": lambda K, L: dependence.u_centre(K),
    "centre_against": lambda K, L: dependence.centre_against(L, K),
    "product": lambda K, L: dependence.product(K, L),
    "residual_maker": lambda K, L: dependence.residual_maker(K, ridge=1.0),
    "hsic_leave_one_out": dependence.hsic_leave_one_out,
    "hsic_jackknife": lambda K, L: dependence.hsic_jackknife(K, L, level=0.9),
    "hsic_witness": lambda K, L: dependence.hsic_witness(K, L, L, K),
    "nocco": lambda K, L: dependence.nocco(K, L, ridge=1.0),
    "conditional_nocco": lambda K, L: dependence.conditional_nocco(K, L, L, ridge=1.0),
    "conditional_covariance_norm": lambda K, L: dependence.conditional_covariance_norm(K, L, L, ridge=1.0),
    "conditional_mean_dependence": lambda K, L: dependence.conditional_mean_dependence(K, L, L, K, ridge=1.0),
    "mmd_squared_biased": lambda K, L: dependence.mmd_squared_biased(K, L, K),
    "mmd_squared_unbiased": lambda K, L: dependence.mmd_squared_unbiased(K, L, K),
    "kci_test": lambda K, L: dependence.kci_test(K, L, L, ridge=1.0),
    "kci_gamma_test": lambda K, L: dependence.kci_gamma_test(K, L, L, ridge=1.0),
    "kci_unconditional_gamma_test": dependence.kci_unconditional_gamma_test,
    "conditional_permutation_test": lambda K, L: dependence.conditional_permutation_test(
        _KEY, K, L, _LABELS, num_strata=3, largest=4, num_permutations=9
    ),
    "hsic_aggregated_test": lambda K, L: dependence.hsic_aggregated_test(
        _KEY, [K, L], [L], num_permutations=9, level=0.1
    ),
    **{name: spec.fn for name, spec in dependence.TABLE.items() if spec.inputs == "grams"},
    **{
        f"test {name}": functools.partial(_independence, spec)
        for name, spec in dependence.TESTS.items()
        if not spec.several_kernels
    },
}


def _samples():
    rng = np.random.default_rng(0)
    # Distances beyond 127 wrap around in int8, squares beyond 255 in uint8.
    x = rng.permutation(2 * _N).reshape(_N, 2) * 5
    return x, (x[:, ::-1] // 2 + rng.integers(0, 9, x.shape)).astype(int)


def _same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", _OF_SAMPLES)
def test_whole_samples_of_any_type_give_what_floats_give(name):
    fn, (x, y) = _OF_SAMPLES[name], _samples()
    expected = fn(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    for convert in (lambda v: jnp.asarray(v, jnp.uint8), lambda v: jnp.asarray(v, jnp.float16)):
        _same(fn(convert(x), convert(y)), expected)


@pytest.mark.parametrize("name", _OF_GRAMS)
def test_whole_grams_of_any_type_give_what_floats_give(name):
    fn = _OF_GRAMS[name]
    rng = np.random.default_rng(1)
    K, L = (np.asarray(dependence.delta(v, v)) * 200 for v in (_LABELS, rng.integers(0, 2, _N)))
    expected = fn(jnp.asarray(K, jnp.float32), jnp.asarray(L, jnp.float32))
    _same(fn(jnp.asarray(K, jnp.uint8), jnp.asarray(L, jnp.uint8)), expected)


def test_numpy_integers_and_booleans():
    x, y = _samples()
    _same(_RBF(x.astype(np.uint8), y.astype(np.uint8)), _RBF(x.astype(np.float32), y.astype(np.float32)))
    far = np.int64(2**40) + x
    _same(_RBF(far, far), _RBF(x.astype(np.float64), x.astype(np.float64)))
    odd = x % 2 == 1
    _same(_RBF(odd, odd), _RBF(odd.astype(np.float32), odd.astype(np.float32)))
    _same(dependence.median_heuristic(x.tolist()), dependence.median_heuristic(x.astype(np.float32)))


@pytest.mark.parametrize("bad", [np.ones((_N, 2), complex), np.full((_N, 2), "a"), np.full((_N, 2), None)])
def test_what_is_no_real_number_is_refused(bad):
    for fn in (_RBF, dependence.linear, dependence.cosine, dependence.cka_linear, dependence.distance_correlation):
        with pytest.raises(TypeError, match="x: expected real numbers, got"):
            fn(bad, np.ones((_N, 2)))
    for fn in (dependence.median_heuristic, dependence.standardise, dependence.normal_scores):
        with pytest.raises(TypeError, match="x: expected real numbers, got"):
            fn(bad)
    with pytest.raises(TypeError, match="K: expected real numbers, got"):
        dependence.hsic_biased(bad[:2, :2], np.ones((2, 2)))


def test_labels_are_integers_that_fit():
    wide, narrow = np.arange(300) % 256, (np.arange(300) % 256).astype(np.uint8)
    _same(dependence.delta(narrow, narrow), dependence.delta(wide, wide))
    strata = dependence.stratify(narrow, num_strata=300, largest=2)
    assert int(strata.mask.sum()) == 300 and int(strata.num_dropped) == 0
    _same(dependence.delta(np.array([True, False]), np.array([1, 1])), np.array([[1, 1], [0, 0]]))
    counted = dependence.mutual_information_plug_in(np.array([0, 1, -1, -1]), np.array([0, 1, 0, 1]), num_x=2, num_y=2)
    assert float(counted) == pytest.approx(np.log(2))
    for bad in (np.array([0.5, 1.0]), np.array(["a", "b"])):
        with pytest.raises(TypeError, match="integer labels"):
            dependence.delta(bad, bad)
    with pytest.raises(ValueError, match="32 bits"):
        dependence.delta(np.array([2**40, 1]), np.array([2**40, 1]))
