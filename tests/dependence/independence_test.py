"""Tests of independence: their machinery against all permutations, their promises, levels and power."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from causal_iqa.dependence import permutations
from tests.dependence.compiled import compiled, dependence

permuted_products = compiled(permutations.permuted_products)
SETTINGS = {"num_permutations": 199, "num_samples": 500, "level": 0.05}
NAMES = tuple(dependence.TESTS)


def _test(name, key, K, L, **settings):
    spec = dependence.TESTS[name]
    settings = {s: settings.get(s, SETTINGS[s]) for s in spec.settings}
    grams = ([K, K**4], [L, L**4]) if spec.several_kernels else (K, L)
    return spec.fn(*([key] if spec.random else []), *grams, **settings)


def _rbf(x):
    return dependence.rbf(x, x, bandwidth=dependence.median_heuristic(x))


@compiled
def _dependent(key, n, share=0.7):
    key_x, key_y = jax.random.split(key)
    x = jax.random.normal(key_x, (n, 2))
    y = share * x[:, :1] ** 2 + jax.random.normal(key_y, (n, 1))
    return _rbf(x), _rbf(y)


def _symmetric(seed, n, rank=None):
    factor = np.random.default_rng(seed).standard_normal((n, rank or n))
    gram = factor @ factor.T
    H = np.eye(n) - 1 / n
    gram = H @ gram @ H
    return gram / np.linalg.norm(gram)


@pytest.fixture(scope="module")
def jitted():
    return {name: compiled(lambda key, K, L, name=name: _test(name, key, K, L)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, jitted):
    spec = dependence.TESTS[name]
    assert spec.name == name
    K, L = _dependent(jax.random.key(3), 40, 2.0)
    key = jax.random.key(4)
    result = jitted[name](key, K, L)
    assert {"statistic", "p_value", "null_mean", "null_std", *spec.settings} <= set(result._fields)
    for field in ("statistic", "p_value", "null_mean", "null_std"):
        value = getattr(result, field)
        assert value.shape == () and value.dtype == np.float32 and np.isfinite(value), field
    for setting in spec.settings:
        assert float(getattr(result, setting)) == pytest.approx(SETTINGS[setting])
    assert result.p_value < 0.05
    # Units of a kernel and the order of the samples do not matter.
    order = np.random.default_rng(0).permutation(40)
    for other in ((1e6 * K, L), (K[order][:, order], L[order][:, order])):
        p_value = jitted[name](key, *other).p_value
        np.testing.assert_allclose(p_value, result.p_value, atol=0.03 if spec.random else 1e-4)
    flat = np.full_like(K, 0.1)
    assert jitted[name](key, K, flat).p_value == 1.0 and jitted[name](key, flat, flat).p_value == 1.0
    flat[3, 4] = np.nan
    assert np.isnan(jitted[name](key, K, flat).p_value)


@pytest.mark.parametrize("name", NAMES)
def test_few_samples_and_bad_settings(name):
    spec = dependence.TESTS[name]
    n = spec.smallest_samples
    K = np.asarray(_symmetric(8, n + 1), np.float32)
    run = compiled(lambda K, L: _test(name, jax.random.key(0), K, L).p_value)
    assert 0 < run(K[:n, :n], K[:n, :n] @ K[:n, :n]) <= 1
    with pytest.raises(ValueError, match=f"at least {n} samples, got {n - 1}"):
        _test(name, jax.random.key(0), K[: n - 1, : n - 1], K[: n - 1, : n - 1])
    for setting in spec.settings:
        with pytest.raises(ValueError, match=f"{setting}: expected"):
            _test(name, jax.random.key(0), K, K, **{setting: 0})
        with pytest.raises(TypeError, match=setting):
            others = {s: SETTINGS[s] for s in spec.settings if s != setting}
            spec.fn(jax.random.key(0), [K], [K], **others)


def test_all_tests_agree_on_p_values():
    @compiled
    def run(key, share):
        K, L = _dependent(key, 40, share)
        return (
            dependence.hsic_permutation_test(jax.random.key(5), K, L, num_permutations=7999),
            dependence.hsic_gamma_test(K, L),
            dependence.hsic_spectral_test(jax.random.key(6), K, L, num_samples=8000),
        )

    for seed, share in ((0, 0.0), (1, 0.3), (2, 0.45)):
        exact, gamma, spectral = run(jax.random.key(seed), np.float32(share))
        np.testing.assert_allclose(gamma.p_value, exact.p_value, atol=0.015)
        np.testing.assert_allclose(spectral.p_value, exact.p_value, atol=0.02)
        for result in (gamma, spectral):
            assert result.statistic == exact.statistic
            np.testing.assert_allclose(result.null_mean, exact.null_mean, rtol=0.01)
            np.testing.assert_allclose(result.null_std, exact.null_std, rtol=0.03)


def test_spectral_null_of_one_term_is_chi_square():
    # Linear kernels of one feature: HSIC is a squared correlation, its limit one chi square.
    x, y = np.random.default_rng(7).standard_normal((2, 200, 1)).astype(np.float32)
    y += np.float32(0.08) * x
    K, L = x @ x.T, y @ y.T
    expected = scipy.stats.pearsonr(x[:, 0], y[:, 0]).pvalue
    spectral, gamma = compiled(
        lambda K, L: (
            dependence.hsic_spectral_test(jax.random.key(9), K, L, num_samples=20000),
            dependence.hsic_gamma_test(K, L),
        )
    )(K, L)
    assert 0.02 < expected < 0.5
    np.testing.assert_allclose([spectral.p_value, gamma.p_value], expected, atol=0.015)


def test_aggregated_test_is_the_rank_of_the_smallest_p_value():
    Ks, Ls = zip(*[_dependent(jax.random.key(10), 24, 0.5), _dependent(jax.random.key(11), 24, 0.5)], strict=True)
    key = jax.random.key(12)
    run = compiled(lambda Ks, Ls: dependence.hsic_aggregated_test(key, Ks, Ls, num_permutations=99, level=0.1))
    result = run(Ks, Ls)
    units = [[np.asarray(m) / np.linalg.norm(m) for m in map(dependence.centre, grams)] for grams in (Ks, Ls)]
    observed, null = permuted_products(key, *map(np.asarray, map(np.stack, units)), num_permutations=99)
    values = np.concatenate([observed[None], null])
    p = np.mean(values[None] >= values[:, None] - 1e-7, axis=1)
    smallest = p.min(axis=(1, 2))
    np.testing.assert_allclose(result.kernel_p_values, p[0], atol=1e-6)
    np.testing.assert_allclose(result.p_value, np.mean(smallest <= smallest[0] + 1e-6), atol=1e-6)
    levels = [u for u in np.unique(smallest) if np.mean(smallest <= u + 1e-6) <= 0.1 + 1e-6]
    np.testing.assert_allclose(result.corrected_level, max(levels, default=0.0), atol=1e-6)
    assert bool(np.any(result.kernel_rejected)) == bool(result.p_value <= 0.1)
    # Not as strict as Bonferroni's level for four pairs, not above the level of one.
    assert 0.1 / 4 - 1e-2 < result.corrected_level <= 0.1


def _cauchy(key, n):
    return _rbf(jax.random.cauchy(key, (n, 1)))


def _categories(key, n):
    labels = jax.random.randint(key, (n,), 0, 3)
    return dependence.delta(labels, labels)


@pytest.fixture(scope="module")
def all_p_values():
    """P-values [draws, tests] of Gram matrices [draws, n, n]; one program for each n."""

    def p_values(draw):
        key, K, L = draw
        keys = jax.random.split(key, len(NAMES))
        return jnp.stack(
            [
                _test(name, k, K, L, num_samples=299, num_permutations=99).p_value
                for name, k in zip(NAMES, keys, strict=True)
            ]
        )

    mapped = compiled(lambda *draws: jax.lax.map(p_values, draws))
    return lambda seed, K, L: np.asarray(mapped(jax.random.split(jax.random.key(seed), len(K)), K, L))


@pytest.mark.parametrize(("variable", "lowest"), [(_cauchy, 0.011), (_categories, 0.005)])
def test_levels_hold_for_heavy_tails_and_categories(variable, lowest, all_p_values):
    n, draws = 30, 400
    grams = compiled(jax.vmap(lambda key: variable(key, n)))
    K, L = (grams(jax.random.split(jax.random.key(seed), draws)) for seed in (13, 14))
    rates = np.mean(all_p_values(15, K, L) <= 0.05 + 1e-6, axis=0)
    # Four standard errors of a share over the draws; the categories' few values make tests careful.
    assert np.all(rates <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / draws)) and np.all(rates >= lowest), rates


def test_power_rises_with_dependence(all_p_values):
    keys, shares = jax.random.split(jax.random.key(16), 400), np.repeat(np.float32([0.5, 2.0]), 200)
    K, L = compiled(jax.vmap(lambda key, share: _dependent(key, 30, share)))(keys, shares)
    found = all_p_values(17, K, L) <= 0.05 + 1e-6
    power = [np.mean(part, axis=0) for part in (found[:200], found[200:])]
    # Four standard errors apart, and from the level.
    assert np.all(power[0] > 0.09) and np.all(power[1] > power[0] + 0.2) and np.all(power[1] > 0.55), power
