"""What every dependence measure promises, and the alignment measures in particular."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dependence.compiled import compiled, dependence

NAMES = tuple(dependence.TABLE)
JITTED = {name: compiled(spec.fn) for name, spec in dependence.TABLE.items()}
cka_linear = dependence.cka_linear
SCALE_FREE = tuple(name for name, spec in dependence.TABLE.items() if spec.scale_free)


GRAM_NAMES = tuple(name for name, spec in dependence.TABLE.items() if spec.inputs == "grams")


@pytest.fixture(scope="module")
def inputs():
    """What each kind of measure takes, of 16 samples."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 4)).astype(np.float32)
    x, y = x, np.asarray(x[:, :2] + 0.5 * rng.standard_normal((16, 2)), np.float32)
    return {"samples": (x, y), "grams": (dependence.rbf(x, x, bandwidth=2.0), dependence.rbf(y, y, bandwidth=1.0))}


@pytest.fixture(scope="module")
def grams():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 4)).astype(np.float32)
    y = (x[:, :2] + 0.5 * rng.standard_normal((16, 2))).astype(np.float32)
    x, y = x, y
    return dependence.rbf(x, x, bandwidth=2.0), dependence.rbf(y, y, bandwidth=1.0)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, inputs):
    spec = dependence.TABLE[name]
    K, L = inputs[spec.inputs]
    assert spec.name == name
    value = JITTED[name](K, L)
    assert value.shape == () and value.dtype == jnp.float32 and np.isfinite(value)
    low, high = spec.range
    assert (low is None or value >= low) and (high is None or value <= high)
    if name == "hsic_unbiased":
        # Operation by operation too.
        np.testing.assert_allclose(spec.fn(K, L), value, rtol=1e-5)
    np.testing.assert_allclose(JITTED[name](L, K), value, rtol=1e-5)
    mapped = compiled(jax.vmap(spec.fn))(np.stack([K, 2 * K]), np.stack([L, L]))
    np.testing.assert_allclose(mapped, [value, JITTED[name](2 * K, L)], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_samples_and_offsets_do_not_matter(name, inputs):
    spec = dependence.TABLE[name]
    K, L = inputs[spec.inputs]
    value = JITTED[name](K, L)
    order = np.random.default_rng(1).permutation(16)
    if spec.inputs == "grams":
        np.testing.assert_allclose(JITTED[name](K[order][:, order], L[order][:, order]), value, rtol=1e-5)
    else:
        np.testing.assert_allclose(JITTED[name](K[order], L[order]), value, rtol=1e-5)
    np.testing.assert_allclose(JITTED[name](K + np.float32(3), L - np.float32(2)), value, rtol=2e-5)
    scaled = JITTED[name](np.float32(4) * K, np.float32(0.5) * L)
    np.testing.assert_allclose(scaled, value if spec.scale_free else 2.0 * value, rtol=1e-5)


def test_dependence_exceeds_independence_and_only_the_biased_see_it_there():
    def draw(key, share):
        key_x, key_y = jax.random.split(key)
        x = jax.random.normal(key_x, (20, 2))
        y = share * x + jnp.sqrt(1.0 - share**2) * jax.random.normal(key_y, (20, 2))
        inputs = {"grams": (dependence.linear(x, x), dependence.linear(y, y)), "samples": (x, y)}
        return {name: spec.fn(*inputs[spec.inputs]) for name, spec in dependence.TABLE.items()}

    draws = compiled(jax.vmap(draw, (0, None)))
    keys = jax.random.split(jax.random.key(0), 400)
    values = [draws(keys, np.float32(share)) for share in (0.0, 0.5, 0.9)]
    for name, spec in dependence.TABLE.items():
        means = [float(np.mean(v[name])) for v in values]
        assert means[0] < means[1] < means[2], name
        error = float(np.std(values[0][name])) / np.sqrt(400)
        if spec.unbiased:
            # A ratio of unbiased terms keeps a bias of order 1 / n^2.
            assert abs(means[0]) < 4 * error + (0.01 if spec.scale_free else 0.0), name
        else:
            assert means[0] > 8 * error, name


@pytest.mark.parametrize("name", NAMES)
def test_fewest_samples(name):
    spec = dependence.TABLE[name]
    n = spec.smallest_samples
    x = np.asarray(np.random.default_rng(2).standard_normal((n, 3)), np.float32)
    K = dependence.linear(x, x) if spec.inputs == "grams" else x
    assert np.isfinite(JITTED[name](K, K))
    fewer = K[: n - 1, : n - 1] if spec.inputs == "grams" else x[: n - 1]
    with pytest.raises(ValueError, match=f"at least {n} samples, got {n - 1}"):
        JITTED[name](fewer, fewer)


@pytest.mark.parametrize("name", NAMES)
def test_constant_variable(name, inputs):
    spec = dependence.TABLE[name]
    K, _ = inputs[spec.inputs]
    gradients = compiled(jax.grad(spec.fn, argnums=(0, 1)))
    for constant in (0.0, 0.1, 1e6):
        flat = np.full(K.shape, constant, np.float32)
        for value in (JITTED[name](K, flat), JITTED[name](flat, K), JITTED[name](flat, flat)):
            assert np.isnan(value) if spec.scale_free else value == 0.0
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients(K, flat))


@pytest.mark.parametrize("name", [name for name in SCALE_FREE if name in GRAM_NAMES])
def test_rounding_is_not_read_as_variation(name, grams):
    K, _ = grams
    rng = np.random.default_rng(3)
    nearly = np.float32(0.7) + np.float32(6e-8) * rng.integers(-1, 2, (16, 16))
    nearly = np.asarray((nearly + nearly.T) / 2, np.float32)
    assert np.ptp(nearly) > 0 and np.isnan(JITTED[name](K, nearly))
    little = np.asarray(0.7 + 1e-3 * np.asarray(K), np.float32)
    np.testing.assert_allclose(JITTED[name](K, little), 1.0, atol=1e-3)


@pytest.mark.parametrize("name", SCALE_FREE)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_units_neither_underflow_nor_overflow(name, scale, inputs):
    K, L = inputs[dependence.TABLE[name].inputs]
    np.testing.assert_allclose(JITTED[name](np.float32(scale) * K, L), JITTED[name](K, L), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_matches_finite_differences(name):
    rng = np.random.default_rng(4)
    spec = dependence.TABLE[name]
    with jax.enable_x64(True):
        x, y, direction = (np.asarray(rng.standard_normal((6, 2))) for _ in range(3))

        def value(x):
            if spec.inputs == "samples":
                return spec.fn(x, y)
            return spec.fn(dependence.rbf(x, x, bandwidth=1.0), dependence.linear(y, y))

        points = np.stack([x + 1e-5 * direction, x - 1e-5 * direction, x])
        values, gradients = compiled(jax.vmap(jax.value_and_grad(value)))(points)
        slope = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(np.sum(gradients[2] * direction), slope, rtol=1e-6)


def test_bad_input_is_named():
    x = np.zeros((5, 2))
    with pytest.raises(ValueError, match="x, y: expected the same samples, got 5 and 4"):
        cka_linear(x, x[:4])
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        cka_linear(x[:1], x[:1])
