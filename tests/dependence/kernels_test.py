"""Kernels against SciPy and loops in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special

from tests.dependence.compiled import compiled, dependence

FUNCTIONS = {name: compiled(spec.fn) for name, spec in dependence.KERNELS.items()}
FEATURE_KERNELS = tuple(name for name, spec in dependence.KERNELS.items() if spec.inputs == "features")


def _samples(seed, n, d):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def _arguments(spec, n, m):
    if spec.inputs == "labels":
        rng = np.random.default_rng(0)
        return rng.integers(0, 3, n), rng.integers(0, 3, m)
    return _samples(0, n, 4), _samples(1, m, 4)


PARAMETERS = {"bandwidth": 1.7, "shape": 0.8, "exponent": 1.3, "degree": 3, "offset": 0.6}


def _others(spec):
    return {name: PARAMETERS[name] for name in spec.parameters if name != "bandwidth"}


def _call(spec, x, y):
    return FUNCTIONS[spec.name](x, y, **{name: PARAMETERS[name] for name in spec.parameters})


@pytest.mark.parametrize("name", dependence.KERNELS)
def test_contract(name):
    spec = dependence.KERNELS[name]
    assert spec.name == name
    x, y = _arguments(spec, 9, 6)
    cross = _call(spec, x, y)
    assert cross.shape == (9, 6) and cross.dtype == jnp.float32
    np.testing.assert_allclose(_call(spec, y, x), cross.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_call(spec, x[4:5], y), cross[4:5], rtol=1e-5, atol=1e-6)
    low, high = spec.range
    assert low is None or cross.min() >= low
    assert high is None or cross.max() <= high
    gram = np.asarray(_call(spec, x, x), np.float64)
    np.testing.assert_allclose(gram, gram.T, atol=1e-6)
    assert np.linalg.eigvalsh(gram).min() > -1e-5
    if spec.unit_diagonal:
        np.testing.assert_allclose(np.diag(gram), 1.0, atol=1e-6)


@pytest.mark.parametrize("name", dependence.KERNELS)
def test_vmap_equals_loop(name):
    spec = dependence.KERNELS[name]
    pairs = [_arguments(spec, 7, 5)[0:2] for _ in range(2)]
    xs, ys = np.stack([pairs[0][0], pairs[1][0][::-1]]), np.stack([pairs[0][1], pairs[1][1][::-1]])
    mapped = compiled(jax.vmap(lambda x, y: _call(spec, x, y)))(xs, ys)
    loop = np.stack([_call(spec, x, y) for x, y in zip(xs, ys, strict=True)])
    np.testing.assert_allclose(mapped, loop, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FEATURE_KERNELS)
def test_values_are_the_formula_pair_by_pair(name):
    x, y = _samples(2, 6, 5).astype(np.float64), _samples(3, 4, 5).astype(np.float64)

    def matern(order):  # Rasmussen, Williams, eq. 4.14, by the Bessel function.
        def value(a, b):
            r = np.sqrt(2 * order) * np.linalg.norm(a - b) / 1.7
            return 2 ** (1 - order) / scipy.special.gamma(order) * r**order * scipy.special.kv(order, r)

        return value

    formula = {
        "rbf": lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * 1.7**2)),
        "laplace": lambda a, b: np.exp(-scipy.spatial.distance.cityblock(a, b) / 1.7),
        "rational_quadratic": lambda a, b: (1 + np.sum((a - b) ** 2) / (2 * 0.8 * 1.7**2)) ** -0.8,
        "matern12": matern(0.5),
        "matern32": matern(1.5),
        "matern52": matern(2.5),
        "distance_induced": lambda a, b: (
            (np.linalg.norm(a) ** 1.3 + np.linalg.norm(b) ** 1.3 - np.linalg.norm(a - b) ** 1.3) / 2
        ),
        "polynomial": lambda a, b: (np.dot(a, b) / 1.7**2 + 0.6) ** 3,
        "linear": lambda a, b: np.dot(a, b),
        "cosine": lambda a, b: 1 - scipy.spatial.distance.cosine(a, b),
    }[name]
    expected = [[formula(a, b) for b in y] for a in x]
    value = _call(dependence.KERNELS[name], np.asarray(x, np.float32), np.asarray(y, np.float32))
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=1e-6)


def test_operation_by_operation_it_is_the_same():
    x, y = _samples(0, 9, 4), _samples(1, 6, 4)
    for name in ("rbf", "cosine"):
        spec = dependence.KERNELS[name]
        eager = spec.fn(x, y, **{name: PARAMETERS[name] for name in spec.parameters})
        np.testing.assert_allclose(eager, _call(spec, x, y), rtol=1e-6, atol=1e-6)


def test_delta_compares_labels():
    gram = dependence.delta(np.array([2, 0, 2]), np.array([2, 1, 0, 2]))
    np.testing.assert_array_equal(gram, [[1, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 1]])


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5])
def test_distances_survive_a_common_offset(offset):
    x, y = _samples(4, 30, 8) + np.float32(offset), _samples(5, 20, 8) + np.float32(offset)
    expected = scipy.spatial.distance.cdist(x.astype(np.float64), y.astype(np.float64), "sqeuclidean")
    distances = dependence.squared_distances(x, y)
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-5)
    if offset:
        # The expansion without centring, to show what the guard is for.
        squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)[None, :]
        assert np.max(np.abs(squares - 2 * x @ y.T - expected)) > 0.1


def test_distances_are_never_negative_and_zero_at_coincident_points():
    x = np.repeat(_samples(6, 5, 64), 8, axis=0)
    distances = np.asarray(dependence.squared_distances(x, x))
    assert distances.min() >= 0.0
    same = np.repeat(np.arange(5), 8)[:, None] == np.repeat(np.arange(5), 8)[None, :]
    assert distances[same].max() < 1e-4 and distances[~same].min() > 10


def test_gradients_are_finite_at_coincident_points_and_zero_vectors():
    x = np.concatenate([_samples(7, 3, 4), np.zeros((2, 4), np.float32), _samples(7, 3, 4)])
    functions = {
        "rbf": lambda x: jnp.sum(dependence.rbf(x, x, bandwidth=0.8) ** 2),
        "cosine": lambda x: jnp.sum(dependence.cosine(x, x) ** 2),
        "median": dependence.median_heuristic,
        "adaptive": lambda x: jnp.sum(dependence.rbf(x, x, bandwidth=dependence.median_heuristic(x))),
    }
    for name, function in functions.items():
        value = np.asarray(compiled(jax.grad(function))(x))
        assert np.all(np.isfinite(value)) and np.any(value != 0), name


def test_cosine_of_a_zero_vector_is_zero_and_of_extremes_exact():
    x = np.array([[0.0, 0.0], [3e-30, 4e-30], [3e30, 4e30]])
    np.testing.assert_allclose(dependence.cosine(x, x), [[0, 0, 0], [0, 1, 1], [0, 1, 1]], rtol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 31])
def test_median_heuristic_is_the_median_over_distinct_pairs(n):
    x = _samples(n, n, 6)
    expected = np.median(scipy.spatial.distance.pdist(x.astype(np.float64)))
    np.testing.assert_allclose(dependence.median_heuristic(x), expected, rtol=1e-6)


def test_median_heuristic_counts_coincident_pairs_and_scales():
    x = np.array([[0.0], [0.0], [3.0], [7.0]])  # distances 0 3 7 3 7 4
    np.testing.assert_allclose(dependence.median_heuristic(x), 3.5, rtol=1e-6)
    np.testing.assert_allclose(dependence.median_heuristic(1e-3 * x), 3.5e-3, rtol=1e-6)


def test_a_bandwidth_that_is_not_positive_is_undefined():
    flat = np.full((5, 3), 0.1)
    assert float(dependence.median_heuristic(flat)) == pytest.approx(0.0, abs=1e-7)
    assert np.all(np.isnan(dependence.rbf(flat, flat, bandwidth=0.0)))
    gradient = compiled(jax.grad(lambda x: jnp.nansum(dependence.rbf(x, x, bandwidth=0.0))))(flat)
    assert np.all(np.isfinite(gradient))


def test_tiny_units_do_not_underflow():
    x = _samples(8, 6, 3)
    tiny = dependence.rbf(1e-15 * x, 1e-15 * x, bandwidth=1e-15)
    np.testing.assert_allclose(tiny, dependence.rbf(x, x, bandwidth=1.0), rtol=1e-5)


def test_float64_stays_float64():
    with jax.enable_x64(True):
        x = _samples(9, 8, 3).astype(np.float64) + 1e6
        gram = dependence.rbf(x, x, bandwidth=1.0)
        assert gram.dtype == jnp.float64
        distances = scipy.spatial.distance.cdist(x, x, "sqeuclidean")
        np.testing.assert_allclose(gram, np.exp(-distances / 2), rtol=1e-8)


def test_bad_input_is_named():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"x: expected samples of shape \[n, d\]"):
        dependence.linear(x[0], x)
    with pytest.raises(ValueError, match="expected samples of one dimension, got 3 and 2"):
        dependence.cosine(x, x[:, :2])
    with pytest.raises(ValueError, match=r"labels_y: expected labels of shape \[n\]"):
        dependence.delta(np.zeros(4, int), np.zeros((4, 1), int))
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        dependence.median_heuristic(x[:1])


def test_laplace_of_many_dimensions_and_products():
    x, y = _samples(10, 7, 21), _samples(11, 5, 21)
    expected = np.exp(-scipy.spatial.distance.cdist(x, y, "cityblock") / 9.0)
    laplace = compiled(lambda x, y: dependence.laplace(x, y, bandwidth=9.0))(x, y)
    np.testing.assert_allclose(laplace, expected, rtol=1e-5)
    # Of a joint variable, the product of Gaussians over its parts is the Gaussian of the whole.
    parts = [dependence.rbf(x[:, part], y[:, part], bandwidth=3.0) for part in (slice(0, 9), slice(9, 21))]
    np.testing.assert_allclose(dependence.product(*parts), dependence.rbf(x, y, bandwidth=3.0), rtol=1e-5)
    with pytest.raises(ValueError, match="at least one kernel matrix"):
        dependence.product()
    with pytest.raises(ValueError, match="grams: expected equal shapes"):
        dependence.product(parts[0], parts[1][:3])


def test_distances_of_coincident_points_are_zero_in_many_dimensions():
    x = np.repeat(_samples(12, 4, 300), 2, axis=0)
    distances = np.asarray(dependence.distances(x, x))
    same = np.repeat(np.arange(4), 2)[:, None] == np.repeat(np.arange(4), 2)[None, :]
    assert np.all(distances[same] == 0)
    np.testing.assert_allclose(distances, scipy.spatial.distance.cdist(x, x), rtol=1e-5, atol=1e-4)
    # What the guard is for: the root of a rounding error.
    assert np.sqrt(np.asarray(dependence.squared_distances(x, x))[same].max()) > 1e-3


def test_compiled_distances_agree_with_themselves():
    # A program that draws the samples too computes a distance twice, differently rounded; the corner must stay zero.
    def from_corner(key):
        x = jax.random.normal(key, (20, 2))
        distances = dependence.distances(x, x)
        return x, distances - distances[0, 0]

    x, distances = compiled(jax.vmap(from_corner))(jax.random.split(jax.random.key(0), 400))
    expected = np.stack([scipy.spatial.distance.cdist(a, a) for a in np.asarray(x, np.float64)])
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_distances_in_few_dimensions_are_exact_however_small():
    x = np.array([[1000.0, 0.0], [1000.0, 1e-6], [1000.0, 3e-6]], np.float32)
    np.testing.assert_allclose(dependence.distances(x, x)[0], [0, 1e-6, 3e-6], rtol=1e-6)


def test_a_bandwidth_from_the_samples_makes_a_kernel_free_of_units():
    specs = [spec for spec in dependence.KERNELS.values() if "bandwidth" in spec.parameters]
    x = _samples(13, 12, 3)

    @compiled
    def grams(x):
        width = dependence.median_heuristic(x)
        return {spec.name: spec.fn(x, x, **_others(spec), bandwidth=width) for spec in specs}

    expected = grams(x)
    assert len(expected) > 5
    for unit in (1e-6, 1e6):
        for name, gram in grams(np.float32(unit) * x).items():
            np.testing.assert_allclose(gram, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_gradients_of_radial_kernels_are_finite_at_coincident_points():
    x = np.repeat(_samples(14, 3, 2), 2, axis=0)
    names = ("laplace", "rational_quadratic", "matern12", "matern32", "matern52", "distance_induced")
    functions = {name: lambda x, name=name: jnp.sum(_call(dependence.KERNELS[name], x, x) ** 2) for name in names}
    for key, gradient in compiled(lambda x: {name: jax.grad(f)(x) for name, f in functions.items()})(x).items():
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), key


@pytest.mark.parametrize("d", [2, 12])
def test_median_of_ties_and_large_matrices(d):
    x = np.random.default_rng(d).integers(0, 3, (40, d)).astype(np.float32)
    expected = np.median(scipy.spatial.distance.pdist(x.astype(np.float64)))
    np.testing.assert_allclose(dependence.median_heuristic(x), expected, rtol=1e-6)
    x[3, 0] = np.nan
    assert np.isnan(dependence.median_heuristic(x))


def test_subsampled_median_is_near_the_exact_one_and_decided_by_its_key():
    x = _samples(15, 60, 4)
    median = compiled(lambda key: dependence.median_heuristic_subsampled(key, x, num_pairs=4000))
    first, again, other = (float(median(jax.random.key(seed))) for seed in (0, 0, 1))
    assert first == again != other
    np.testing.assert_allclose([first, other], dependence.median_heuristic(x), rtol=0.05)
    two = dependence.median_heuristic_subsampled(jax.random.key(2), np.array([[0.0], [3.0]]), num_pairs=5)
    assert two == 3.0  # Never a sample with itself.
    with pytest.raises(ValueError, match="num_pairs: expected at least 1, got 0"):
        dependence.median_heuristic_subsampled(jax.random.key(0), x, num_pairs=0)


def test_bad_parameters_are_named():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match="degree: expected an integer of at least 1, got 0"):
        dependence.polynomial(x, x, degree=0, offset=1.0, bandwidth=1.0)
    with pytest.raises(ValueError, match=r"origin: expected shape \(3,\), got \(2,\)"):
        dependence.distance_induced(x, x, exponent=1.0, origin=np.zeros(2))
    for name in ("laplace", "rational_quadratic", "matern12", "matern32", "matern52"):
        spec = dependence.KERNELS[name]
        assert np.all(np.isnan(FUNCTIONS[name](x, x, **_others(spec), bandwidth=np.float32(0.0))))
