"""Feature maps and sketches of streams against Gram matrices and NumPy in float64."""

import functools

import jax
import numpy as np
import pytest

from causal_iqa.dependence import feature_maps, sketches
from tests.dependence import streaming_test
from tests.dependence.compiled import compiled, dependence

init = compiled(sketches.init)
update = compiled(sketches.update)
merge = compiled(sketches.merge)
finalize = compiled(sketches.finalize)
update_all = compiled(sketches.update_all)
NAMES = ("hsic_biased", "hsic_unbiased", "cka", "cka_debiased")


def _samples(seed, n):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    y = 0.6 * x[:, :2] + rng.standard_normal((n, 2))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


apply = compiled(lambda feature_map, x: feature_map(x))
nystrom_map = compiled(feature_maps.nystrom_map)


@functools.cache
def _maps(num_frequencies=8):
    keys = jax.random.split(jax.random.key(0))
    sizes = {"num_frequencies": num_frequencies, "bandwidth": 1.3}
    return jax.jit(lambda keys: [feature_maps.fourier_map(keys[i], d, **sizes) for i, d in enumerate((3, 2))])(keys)


@functools.cache
def _empty(within=True):
    return init(*_maps(), *_samples(0, 1), within=within)


def _exact(phi, psi):
    phi, psi = (np.asarray(f, np.float64) for f in (phi, psi))
    return streaming_test.naive(phi @ phi.T, psi @ psi.T)


def _values(sketch):
    estimate = finalize(sketch)
    return [float(getattr(estimate, name)) for name in NAMES]


def test_estimates_are_those_of_the_features_grams():
    x, y = _samples(1, 60)
    maps = _maps()
    sketch = update_all(_empty(), x, y, chunk=16)
    np.testing.assert_allclose(_values(sketch), _exact(apply(maps[0], x), apply(maps[1], y)), rtol=2e-4)
    assert float(finalize(sketch).count) == 60
    # A map whose features have unequal norms.
    landmarks = nystrom_map(x[:12], bandwidth=1.0, ridge=1e-4)
    sketch = init(landmarks, feature_maps.linear_map(), x, y, within=True)
    np.testing.assert_allclose(_values(update(sketch, x, y)), _exact(apply(landmarks, x), y), rtol=2e-4)
    assert finalize(update(_empty(within=False), x, y)).cka is None


def test_merge_is_associative_and_any_split_gives_the_same():
    x, y = _samples(2, 61)
    whole = update(_empty(), x, y)
    a, b, c = (update(_empty(), x[rows], y[rows]) for rows in (slice(0, 9), slice(9, 38), slice(38, 61)))
    trees = [merge(merge(a, b), c), merge(a, merge(b, c)), merge(merge(c, a), b), update_all(_empty(), x, y, chunk=8)]
    for other in [*trees, merge(whole, _empty()), merge(_empty(), whole)]:
        for part, expected in zip(
            jax.tree.leaves(sketches.values(other)), jax.tree.leaves(sketches.values(whole)), strict=True
        ):
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(_values(other), _values(whole), rtol=1e-4)


def test_hidden_rows_do_not_count():
    x, y = _samples(3, 40)
    mask = np.random.default_rng(0).uniform(size=40) < 0.6
    hidden = np.where(mask[:, None], x, np.float32(1e3))
    expected = _values(update(_empty(), x[mask], y[mask]))
    np.testing.assert_allclose(_values(update(_empty(), hidden, y, mask)), expected, rtol=1e-4)
    np.testing.assert_allclose(_values(update_all(_empty(), hidden, y, mask, chunk=7)), expected, rtol=1e-4)
    # A chunk of padding alone changes nothing.
    before = update(_empty(), x, y)
    np.testing.assert_allclose(_values(update(before, x, y, np.zeros(40, bool))), _values(before), rtol=1e-6)


def test_an_offset_costs_no_digits():
    rng = np.random.default_rng(4)
    x = (rng.standard_normal((6400, 2)) + 1e4).astype(np.float32)
    y = (0.1 * (x - 1e4) + rng.standard_normal((6400, 2)) - 3e3).astype(np.float32)
    empty = init(feature_maps.linear_map(), feature_maps.linear_map(), x, y, within=True)
    sketch = update_all(empty, x, y, chunk=64)
    covariance = np.cov(x.astype(np.float64).T, y.astype(np.float64).T, ddof=0)[:2, 2:]
    np.testing.assert_allclose(finalize(sketch).hsic_biased, np.sum(covariance**2), rtol=1e-4)
    # The textbook form, sums of products less products of sums, in float32.
    naive = x.T @ y / np.float32(6400) - np.outer(x.mean(0), y.mean(0))
    assert abs(np.sum(naive**2) / np.sum(covariance**2) - 1) > 0.1


def test_a_long_stream_costs_no_digits():
    x, y = _samples(5, 5)
    steps = 10_000
    sketch = compiled(lambda s: jax.lax.fori_loop(0, steps, lambda _, s: sketches.update(s, x, y), s))(_empty())
    once = sketches.values(update(_empty(), x, y))
    long = sketches.values(sketch)
    assert float(long.count) == 5 * steps
    np.testing.assert_allclose(long.mean_x, once.mean_x, atol=3e-7)
    np.testing.assert_allclose(long.cross / steps, once.cross, rtol=1e-5, atol=1e-6)
    plain = compiled(
        lambda: jax.lax.fori_loop(0, steps, lambda _, total: total + once.cross, np.zeros_like(once.cross))
    )
    assert np.max(np.abs(plain() / steps - once.cross)) > 10 * np.max(np.abs(long.cross / steps - once.cross))


def test_nystrom_is_below_the_kernel_by_no_more_than_its_residuals():
    x, y = _samples(7, 50)
    K, L = dependence.rbf(x, x, bandwidth=1.0), dependence.rbf(y, y, bandwidth=1.0)
    exact = float(dependence.hsic_biased(K, L))
    gaps = []
    for m in (8, 50):
        maps = [nystrom_map(v[:m], bandwidth=1.0, ridge=1e-4) for v in (x, y)]
        estimate = finalize(update(init(*maps, x, y, within=False), x, y))
        gaps.append(exact - float(estimate.hsic_biased))
        bound = float(estimate.residual_x + estimate.residual_y)
        assert -1e-6 < gaps[-1] < bound
        features = np.asarray(apply(maps[0], x), np.float64)
        assert np.linalg.eigvalsh(np.asarray(K, np.float64) - features @ features.T).min() > -3e-4
    assert gaps[0] > gaps[1] and gaps[1] < 1e-4


def test_a_constant_variable_has_no_alignment():
    x, y = _samples(10, 20)
    estimate = finalize(update(_empty(), x, np.full_like(y, 0.3)))
    assert abs(float(estimate.hsic_biased)) < 1e-9
    assert np.isnan(estimate.cka) and np.isnan(estimate.cka_debiased)


def test_cosine_of_turns():
    t = np.concatenate([np.linspace(-3, 3, 4001), [0.25, 0.5, 0.75, 1e4 + 0.125, -1e4 - 0.25]]).astype(np.float32)
    expected = np.cos(2 * np.pi * t.astype(np.float64))
    np.testing.assert_allclose(compiled(feature_maps.cosine_of_turns)(t), expected, atol=2.5e-7)
    slope = compiled(jax.vmap(jax.grad(feature_maps.cosine_of_turns)))(t)
    np.testing.assert_allclose(slope, -2 * np.pi * np.sin(2 * np.pi * t.astype(np.float64)), atol=2e-5)


def test_a_centre_keeps_the_digits_of_samples_far_from_zero():
    x, _ = _samples(9, 30)
    far = x + np.float32(1e4)
    gram = dependence.rbf(far, far, bandwidth=0.5)

    @compiled
    def features(x, centre):
        sizes = {"num_frequencies": 4096, "bandwidth": 0.5, "centre": centre}
        return feature_maps.fourier_map(jax.random.key(0), 3, **sizes)(x)

    phi, near = features(far, np.full(3, 1e4)), features(far - np.float32(1e4), np.zeros(3))
    np.testing.assert_allclose(phi, near, atol=1e-5)
    assert np.max(np.abs(phi @ phi.T - gram)) < 0.1


def test_bad_input_is_named():
    x, y = _samples(0, 6)
    with pytest.raises(ValueError, match="x, y: expected the same samples, got 6 and 5"):
        sketches.update(_empty(), x, y[:5])
    with pytest.raises(ValueError, match="chunk: expected at least 1, got 0"):
        sketches.update_all(_empty(), x, y, chunk=0)
    with pytest.raises(ValueError, match="expected samples of dimension 3, as the map has, got 2"):
        sketches.update(_empty(), y, y)
    with pytest.raises(ValueError, match="num_frequencies: expected at least 1, got 0"):
        feature_maps.fourier_map(jax.random.key(0), 3, num_frequencies=0, bandwidth=1.0)
    with pytest.raises(ValueError, match=r"centre: expected shape \(3,\), got \(2,\)"):
        feature_maps.fourier_map(jax.random.key(0), 3, num_frequencies=2, bandwidth=1.0, centre=np.zeros(2))
    with pytest.raises(ValueError, match="two Fourier maps"):
        linear = feature_maps.linear_map()
        sketches.frequency_error(sketches.update(sketches.init(linear, linear, x, y, within=False), x, y))
