"""Distance covariance, MMD, block HSIC, mutual information and conditional norms against naive formulas and peers."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.special

from tests.dependence.compiled import compiled, dependence

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "dependence.json").read_text())
X, Y = (np.asarray(GOLDEN[name]) for name in "xy")
X32, Y32 = np.asarray(X, np.float32), np.asarray(Y, np.float32)
LABELS = np.asarray(GOLDEN["labels"])


def _rbf(bandwidth):
    return lambda a, b: dependence.rbf(a, b, bandwidth=bandwidth)


def _grams():
    return _rbf(1.5)(X32, X32), _rbf(1.2)(Y32, Y32)


def test_distance_measures_are_dcors():
    values = {name: value for name, value in GOLDEN["dcor"].items() if name in dependence.TABLE}
    assert len(values) == 4
    for name, expected in values.items():
        measure = compiled(dependence.TABLE[name].fn)
        np.testing.assert_allclose(measure(X32, Y32), expected, rtol=1e-5, atol=1e-6)
        with jax.enable_x64(True):
            np.testing.assert_allclose(measure(X, Y), expected, rtol=1e-11)
    half = dependence.distance_covariance_squared(X32, Y32, exponent=0.5)
    np.testing.assert_allclose(half, GOLDEN["dcor"]["distance_covariance_squared_exponent_half"], rtol=1e-5)


def test_normalised_hsic_is_hyppos_given_its_kernel_matrices():
    K, L = _grams()
    np.testing.assert_allclose(dependence.cka_debiased(K, L), GOLDEN["hyppo"]["cka_debiased"], rtol=1e-5)
    np.testing.assert_allclose(
        dependence.hsic_normalised(K, L) ** 0.5, GOLDEN["hyppo"]["hsic_normalised_root"], rtol=1e-5
    )


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("origin", [0.0, 2.0])
def test_distance_covariance_is_four_times_hsic_of_the_induced_kernel(exponent, origin):
    K, L = (dependence.distance_induced(z, z, exponent=exponent, origin=origin + z[3]) for z in (X32, Y32))
    biased = dependence.distance_covariance_squared(X32, Y32, exponent=exponent)
    unbiased = dependence.distance_covariance_squared_unbiased(X32, Y32, exponent=exponent)
    np.testing.assert_allclose(4 * dependence.hsic_biased(K, L), biased, rtol=2e-5)
    np.testing.assert_allclose(4 * dependence.hsic_unbiased(K, L), unbiased, rtol=2e-4, atol=1e-6)


def test_bad_distance_arguments_are_named():
    with pytest.raises(ValueError, match=r"exponent: expected a number in \(0, 2\), got 2"):
        dependence.distance_correlation(X32, Y32, exponent=2.0)
    with pytest.raises(ValueError, match="x, y: expected the same samples, got 24 and 23"):
        dependence.distance_correlation(X32, Y32[1:])


def test_mmd_is_the_naive_sums():
    y = X[:15] + 0.4
    k = lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * 1.5**2))  # noqa: E731
    within_x = [k(a, b) for i, a in enumerate(X) for j, b in enumerate(X) if i != j]
    within_y = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    cross = np.mean([k(a, b) for a in X for b in y])
    grams = [_rbf(1.5)(*pair) for pair in ((X32, X32), (X32[:15] + 0.4,) * 2, (X32, X32[:15] + 0.4))]
    unbiased = np.mean(within_x) + np.mean(within_y) - 2 * cross
    biased = (np.sum(within_x) + 24) / 24**2 + (np.sum(within_y) + 15) / 15**2 - 2 * cross
    np.testing.assert_allclose(dependence.mmd_squared_unbiased(*grams), unbiased, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(dependence.mmd_squared_biased(*grams), biased, rtol=1e-4)
    # Linear kernels see the difference of means alone.
    linear = [dependence.linear(*pair) for pair in ((X32, X32), (X32 + 3, X32 + 3), (X32, X32 + 3))]
    np.testing.assert_allclose(dependence.mmd_squared_biased(*linear), 27.0, rtol=1e-5)
    with pytest.raises(ValueError, match=r"K_xy: expected shape \(24, 15\)"):
        dependence.mmd_squared_biased(grams[0], grams[1], grams[2].T)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        dependence.mmd_squared_unbiased(grams[0][:1, :1], grams[1], grams[2][:1])


def test_linear_time_mmd_is_the_mean_over_pairs_and_unbiased():
    y = Y32 + 0.5
    values = []
    for i in range(0, 24, 2):
        a, b, c, d = (np.asarray(z, np.float64) for z in (Y32[i], Y32[i + 1], y[i], y[i + 1]))
        k = [np.exp(-np.sum((p - q) ** 2) / (2 * 1.2**2)) for p, q in ((a, b), (c, d), (a, d), (b, c))]
        values.append(k[0] + k[1] - k[2] - k[3])
    result = dependence.mmd_squared_linear(_rbf(1.2), Y32, y)
    np.testing.assert_allclose(result, (np.mean(values), np.var(values, ddof=1) / 12), rtol=1e-4)
    odd = dependence.mmd_squared_linear(_rbf(1.2), Y32[:23], y[:23])
    np.testing.assert_allclose(odd.estimate, np.mean(values[:11]), rtol=1e-4)
    with pytest.raises(ValueError, match="at least 4 samples, got 3"):
        dependence.mmd_squared_linear(_rbf(1.2), Y32[:3], y[:3])


def test_block_hsic_is_the_mean_over_blocks():
    result = compiled(lambda x, y: dependence.hsic_block(_rbf(1.5), _rbf(1.2), x, y, block_size=7))(X32, Y32)
    K, L = _grams()
    blocks = [slice(i, i + 7) for i in (0, 7, 14)]
    values = [dependence.hsic_unbiased(K[b, b], L[b, b]) for b in blocks]
    np.testing.assert_allclose(result, (np.mean(values), np.var(values, ddof=1) / 3), rtol=1e-4)
    labelled = dependence.hsic_block(_rbf(1.5), dependence.delta, X32, LABELS, block_size=12)
    assert np.isfinite(labelled.estimate)
    for size in (3, 13):
        with pytest.raises(ValueError, match=f"block_size: expected 4 to n / 2 = 12, got {size}"):
            dependence.hsic_block(_rbf(1.5), _rbf(1.2), X32, Y32, block_size=size)


def _naive_ksg(x, y, k):
    n = len(x)
    dx, dy = (scipy.spatial.distance.cdist(z, z, "chebyshev") for z in (x, y))
    joint = np.maximum(dx, dy) + np.diag(np.full(n, np.inf))
    radius = np.sort(joint, axis=1)[:, k - 1]
    nx, ny = (np.sum(d < radius[:, None], axis=1) - 1 for d in (dx, dy))
    psi = scipy.special.digamma
    return psi(k) + psi(n) - np.mean(psi(nx + 1) + psi(ny + 1))


@pytest.mark.parametrize(("k", "d"), [(1, 3), (4, 3), (18, 20)])
def test_ksg_is_the_naive_count(k, d):
    # Few neighbours and dimensions have ways of their own.
    x = np.random.default_rng(k).standard_normal((300, d))
    y = np.tanh(x[:, :2]) + np.random.default_rng(k + 1).standard_normal((300, 2))
    value = compiled(lambda x, y: dependence.mutual_information_ksg(x, y, num_neighbours=k))(*map(np.float32, (x, y)))
    np.testing.assert_allclose(value, _naive_ksg(x, y, k), rtol=1e-5, atol=5e-6)


def test_ksg_is_scikit_learns_where_it_does_not_cut_at_zero():
    for i, expected in enumerate(GOLDEN["scikit-learn"]["mutual_information_ksg"]):
        z = np.asarray(X / X.std(0), np.float32)[:, i : i + 1], np.asarray(Y / Y.std(0), np.float32)[:, :1]
        value = float(dependence.mutual_information_ksg(*z, num_neighbours=3))
        np.testing.assert_allclose(max(value, 0), expected, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_ross_is_the_naive_count(k):
    # Not held against scikit-learn, whose rounded radius counts the k-th neighbour of some samples twice.
    labels, psi, terms = np.asarray(LABELS), scipy.special.digamma, []
    for i, x in enumerate(X):
        distance = np.abs(X - x).max(axis=1)
        others = np.arange(24) != i
        same = others & (labels == labels[i])
        neighbours = min(k, same.sum())
        radius = np.sort(distance[same])[neighbours - 1]
        terms.append(psi(neighbours) - psi(same.sum() + 1) - psi(np.sum(distance[others] <= radius)))
    value = compiled(lambda x: dependence.mutual_information_mixed(x, LABELS, num_neighbours=k))(X32)
    np.testing.assert_allclose(value, psi(24) + np.mean(terms), rtol=1e-5, atol=2e-6)


def test_ksg_of_normal_variables_is_the_closed_form():
    x = jax.random.normal(jax.random.key(0), (1500, 1))
    for correlation in (0.0, 0.8):
        y = correlation * x + np.sqrt(1 - correlation**2) * jax.random.normal(jax.random.key(1), (1500, 1))
        value = dependence.mutual_information_ksg(x, y, num_neighbours=4)
        np.testing.assert_allclose(value, -0.5 * np.log(1 - correlation**2), atol=0.06)


def test_ross_of_a_two_class_mixture_is_its_integral():
    labels = jax.random.bernoulli(jax.random.key(2), 0.3, (1500,)).astype(jnp.int32)
    x = 2.0 * labels[:, None] + jax.random.normal(jax.random.key(3), (1500, 1))
    grid = np.linspace(-8, 10, 20001)
    density = [np.exp(-((grid - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0.0, 2.0)]
    mixture = 0.7 * density[0] + 0.3 * density[1]
    expected = sum(w * np.trapezoid(d * np.log(d / mixture), grid) for w, d in zip((0.7, 0.3), density, strict=True))
    value = dependence.mutual_information_mixed(x, labels, num_neighbours=4)
    np.testing.assert_allclose(value, expected, atol=0.05)


def test_ross_leaves_out_labels_that_occur_once():
    lone = np.concatenate([LABELS, np.array([17])])
    x = np.concatenate([X32, 0.1 * np.ones((1, 3))])
    value = dependence.mutual_information_mixed(x, lone, num_neighbours=3)
    np.testing.assert_allclose(value, dependence.mutual_information_mixed(X32, LABELS, num_neighbours=3), rtol=1e-5)
    assert np.isnan(dependence.mutual_information_mixed(X32, np.arange(24), num_neighbours=3))


def test_information_of_labels_is_the_sum_over_cells():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 60)
    b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 4, 60))
    table = np.zeros((3, 5))
    np.add.at(table, (a, b), 1)
    p = table / 60
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.nansum(p * np.log(p / p.sum(1, keepdims=True) / p.sum(0, keepdims=True)))
    a, b = np.asarray(a), np.asarray(b)
    np.testing.assert_allclose(dependence.mutual_information_plug_in(a, b, num_x=3, num_y=5), expected, rtol=1e-5)
    excess = (np.sum(table > 0) - 3 - np.sum(table.sum(0) > 0) + 1) / 120
    corrected = dependence.mutual_information_miller_madow(a, b, num_x=3, num_y=5)
    np.testing.assert_allclose(corrected, expected - excess, rtol=1e-5)
    np.testing.assert_allclose(
        dependence.mutual_information_plug_in(a, a, num_x=3, num_y=3), scipy.stats.entropy(p.sum(1)), rtol=1e-5
    )


def test_bad_information_arguments_are_named():
    with pytest.raises(ValueError, match="num_neighbours: expected 1 to n - 1 = 23, got 24"):
        dependence.mutual_information_ksg(X32, Y32, num_neighbours=24)
    with pytest.raises(TypeError, match="labels: expected integer labels"):
        dependence.mutual_information_mixed(X32, Y32[:, 0], num_neighbours=3)
    with pytest.raises(ValueError, match="num_y: expected at least 1, got 0"):
        dependence.mutual_information_plug_in(LABELS, LABELS, num_x=3, num_y=0)


def _features(rng, n):
    z = rng.standard_normal((n, 2))
    x, y = z @ rng.standard_normal((2, 3)), z @ rng.standard_normal((2, 2))
    return x + rng.standard_normal((n, 3)), y + rng.standard_normal((n, 2)), z


def test_conditional_norms_are_those_of_the_operators_in_feature_space():
    # With linear kernels the operators are matrices that can be written down.
    n, ridge = 40, 0.05
    x, y, z = (f - f.mean(0) for f in _features(np.random.default_rng(1), n))
    covariance = lambda a, b: a.T @ b / n  # noqa: E731
    inverse = lambda a: np.linalg.inv(covariance(a, a) + ridge * np.eye(a.shape[1]))  # noqa: E731
    operator = covariance(y, x) - covariance(y, z) @ inverse(z) @ covariance(z, x)
    root = {name: np.real(scipy.linalg.sqrtm(inverse(a))) for name, a in zip("xyz", (x, y, z), strict=True)}
    whitened = lambda a, b, p, q: root[p] @ covariance(a, b) @ root[q]  # noqa: E731
    normalised = whitened(y, x, "y", "x")
    conditional = normalised - whitened(y, z, "y", "z") @ whitened(z, x, "z", "x")
    K, L, M = (np.asarray((f + 1) @ (f + 1).T, np.float32) for f in (x, y, z))
    norm = compiled(lambda: dependence.conditional_covariance_norm(K, L, M, ridge=ridge))()
    np.testing.assert_allclose(norm, np.sum(operator**2), rtol=1e-3)
    np.testing.assert_allclose(dependence.nocco(K, L, ridge=ridge), np.sum(normalised**2), rtol=1e-3)
    value = dependence.conditional_nocco(K, L, M, ridge=ridge)
    np.testing.assert_allclose(value, np.sum(conditional**2), rtol=2e-3)
    far = dependence.conditional_covariance_norm(K, L, M, ridge=1e5)
    np.testing.assert_allclose(far, dependence.hsic_biased(K, L), rtol=1e-3)


def test_conditional_norms_fall_when_the_cause_is_given():
    rng = np.random.default_rng(2)
    z = rng.standard_normal((150, 1))
    x, y = z + 0.4 * rng.standard_normal((150, 1)), z + 0.4 * rng.standard_normal((150, 1))
    common = 0.8 * rng.standard_normal((150, 1))
    K, L, M, other = (_rbf(1.0)(f, f) for f in (np.asarray(v, np.float32) for v in (x, y, z, y + common)))
    also = _rbf(1.0)(*(np.asarray(x + common, np.float32),) * 2)
    for measure in (dependence.conditional_covariance_norm, dependence.conditional_nocco):
        given = measure(dependence.product(K, M), dependence.product(L, M), M, ridge=0.01)
        coupled = measure(dependence.product(also, M), dependence.product(other, M), M, ridge=0.01)
        assert coupled > 1.5 * given > 0
    assert dependence.conditional_covariance_norm(K, L, M, ridge=0.01) < 0.1 * dependence.hsic_biased(K, L)


def test_hscic_is_the_norm_of_the_weighted_covariance_and_sees_where_dependence_is():
    rng = np.random.default_rng(3)
    x, y, z = (f.astype(np.float32) for f in _features(rng, 12))
    K, L, M = (dependence.linear(f, f) for f in (x, y, z))
    M = M + 1.0
    weights = np.linalg.solve(np.asarray(M, np.float64) + 12 * 0.1 * np.eye(12), np.asarray(M[:4], np.float64).T)
    expected = []
    for w in weights.T:
        operator = np.einsum("n,ni,nj->ij", w, x, y) - np.outer(w @ x, w @ y)
        expected.append(np.sum(operator**2))
    value = dependence.conditional_mean_dependence(K, L, M, M[:4], ridge=0.1)
    np.testing.assert_allclose(value, expected, rtol=5e-3)

    z = np.linspace(-1, 1, 200)[:, None]
    noise = jax.random.normal(jax.random.key(4), (2, 200, 1))
    y = jnp.where(z > 0, noise[0], noise[1])  # Equal to x above zero, unrelated below.
    K, L, M = _rbf(1.0)(noise[0], noise[0]), _rbf(1.0)(y, y), _rbf(0.3)(z, z)
    profile = compiled(lambda: dependence.conditional_mean_dependence(K, L, M, M, ridge=1e-3))()
    assert np.min(profile[140:180]) > 3 * np.max(profile[20:60])
    with pytest.raises(ValueError, match=r"M_zn: expected shape \[m, 200\]"):
        dependence.conditional_mean_dependence(K, L, M, M[:, :4], ridge=0.1)
    with pytest.raises(ValueError, match="K, M: expected equal shapes"):
        dependence.nocco(K, L, ridge=0.1), dependence.conditional_nocco(K, L, M[:4, :4], ridge=0.1)
