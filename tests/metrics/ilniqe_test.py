"""IL-NIQE against pyiqa, SciPy and the published formula in float64."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from causal_iqa import _checks, images, metrics
from causal_iqa.metrics import _ilniqe, generalised_gaussian, natural_scene
from tests.metrics import ilniqe_cases


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("ilniqe") / "pristine.mat"
    ilniqe_cases.write_mat(path)
    return metrics.resolve(f"ilniqe@{path}")


def test_scores_are_those_of_the_peer_and_a_flat_image_has_none(spec):
    golden = json.loads(ilniqe_cases.GOLDEN.read_text())["scores"]
    score = jax.jit(spec.fn)
    for name, pixels in ilniqe_cases.images().items():
        image = images.from_uint8(pixels)
        # The peer works in float64; a shape that falls between two of the grid may go to either.
        np.testing.assert_allclose(score(image), golden[name], rtol=1e-4)
        assert np.isnan(score(jnp.full_like(image, 0.5)))


def test_both_kinds_of_file_give_the_model(spec, tmp_path):
    np.savez(tmp_path / "mine.npz", **ilniqe_cases.model())
    other = metrics.resolve(f"ilniqe@{tmp_path}/mine.npz")
    assert (spec.name, other.name) == ("ilniqe@pristine", "ilniqe@mine") and other.passport()["files"].keys() == {
        "mine.npz"
    }
    for name, part in ilniqe_cases.model().items():
        for found in (spec, other):
            np.testing.assert_array_equal(getattr(found.fn.keywords["model"], name), part)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(429)}, r"expected mean \[d\]"),
        ({"covariance": np.ones((430, 430))}, "positive definite"),
        ({"centre": np.full(468, np.nan)}, "finite"),
        ({"components": None}, "expected mean, covariance, centre and components"),
    ],
)
def test_unfit_models_are_refused(change, message):
    arrays = {name: part for name, part in (ilniqe_cases.model() | change).items() if part is not None}
    with pytest.raises(_checks.InputError, match=message):
        _ilniqe.from_arrays(arrays)


@pytest.mark.slow
def test_in_a_batch_scores_stay_and_gradients_are_finite(spec):
    pixels = ilniqe_cases.images()["odd"]
    flat_corner = pixels.copy()
    flat_corner[:100, :100] = 90
    batch = images.from_uint8(np.stack([flat_corner, pixels]))
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(spec.fn)))(batch)
    golden = json.loads(ilniqe_cases.GOLDEN.read_text())["scores"]
    np.testing.assert_allclose(values[1], golden["odd"], rtol=1e-4)
    assert np.all(np.isfinite(gradients)) and np.all(np.abs(gradients).max(axis=(1, 2, 3)) > 0)


def test_weibull_fit_is_that_of_scipy_and_its_gradient_that_of_the_solution():
    sample = np.stack([scipy.stats.weibull_min.rvs(c, scale=s, size=(12, 24), random_state=3) for c, s in _WEIBULL])
    found = jax.jit(lambda x: _ilniqe.fit_weibull(x, 12))(jnp.asarray(sample, jnp.float32))
    for i, plane in enumerate(sample):
        cut = plane.reshape(1, 12, 2, 12).transpose(0, 2, 1, 3).reshape(2, -1)
        shapes, _, scales = zip(*(scipy.stats.weibull_min.fit(block, floc=0) for block in cut), strict=True)
        # SciPy's simplex stops at 1e-4.
        np.testing.assert_allclose(found.shape[i], shapes, rtol=3e-4)
        np.testing.assert_allclose(found.scale[i], scales, rtol=3e-4)
        assert np.all(found.defined)
    x = jnp.asarray(sample[1], jnp.float32)
    bend = jnp.asarray(np.random.default_rng(0).normal(size=x.shape), jnp.float32) * x

    @jax.jit
    def along(t):
        return jax.jvp(lambda t: jnp.stack(_ilniqe.fit_weibull(x + t * bend, 12)[:2]), (t,), (1.0,))

    (_, slope), (ahead, _), (back, _) = (along(t) for t in (0.0, 1e-2, -1e-2))
    np.testing.assert_allclose(slope, (ahead - back) / 2e-2, rtol=2e-2)


_WEIBULL = ((0.7, 0.01), (1.3, 5.0), (2.5, 300.0))


def test_fits_of_blocks_are_those_of_the_cut_blocks():
    x = jnp.asarray(np.random.default_rng(1).gumbel(size=(2, 24, 36)), jnp.float32)
    found = jax.jit(lambda x: generalised_gaussian.fit_asymmetric_blocks(x, 12))(x)
    cut = jax.jit(lambda x: generalised_gaussian.fit_asymmetric([natural_scene.blocks(plane, 12) for plane in x]))(x)
    for ours, other in zip(jax.tree.leaves(found), jax.tree.leaves(cut), strict=True):
        assert ours.shape == (2, 6)
        np.testing.assert_allclose(ours, other, rtol=1e-6)


def test_derivatives_are_convolutions():
    x = np.random.default_rng(2).normal(size=(2, 30, 26))
    offset = np.arange(-5, 6)
    bell = np.exp(-(offset**2) / (2 * 1.66**2))
    kernel = (offset * bell)[None, :] * bell[:, None]
    found = jax.jit(lambda x: _ilniqe._derivatives(x, 1.66))(jnp.asarray(x, jnp.float32))
    for plane, along, down in zip(x, *found, strict=True):
        np.testing.assert_allclose(along, scipy.signal.convolve2d(plane, kernel, mode="same"), atol=1e-5)
        np.testing.assert_allclose(down, scipy.signal.convolve2d(plane, kernel.T, mode="same"), atol=1e-5)


@pytest.mark.parametrize("damage", [1.0, 1000.0])
def test_distance_is_the_formula_in_float64(damage):
    rng = np.random.default_rng(5)
    # As of a badly damaged image: a few directions vary far more than the others.
    spread = 1.0 + damage * np.logspace(0.0, -6.0, 430)
    white = rng.normal(size=(36, 430)) * spread + rng.normal(size=430) * spread
    defined = np.arange(36) % 7 != 2
    kept = white[defined]
    filled = np.where(defined[:, None], white, kept.mean(axis=0))
    inverse = np.linalg.pinv((np.eye(430) + np.cov(kept.T)) / 2)
    expected = np.mean(np.sqrt(np.einsum("bi,ij,bj->b", filled, inverse, filled)))
    found = jax.jit(_ilniqe._distance)(jnp.asarray(white, jnp.float32), jnp.asarray(defined))
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_distance_has_a_gradient_where_a_block_is_left_out():
    white = jnp.asarray(np.random.default_rng(6).normal(size=(5, 9)), jnp.float32)
    defined = jnp.arange(5) != 2
    distance = jax.jit(_ilniqe._distance)
    gradient = jax.jit(jax.grad(_ilniqe._distance))(white.at[2].set(jnp.nan), defined)
    assert np.all(np.isfinite(gradient)) and np.all(gradient[2] == 0)
    bend = jnp.asarray(np.random.default_rng(7).normal(size=white.shape), jnp.float32)
    ahead, back = (distance(white + t * bend, defined) for t in (1e-2, -1e-2))
    kept = jnp.where(defined[:, None], bend, 0.0)
    np.testing.assert_allclose(jnp.vdot(gradient, kept), (ahead - back) / 2e-2, rtol=1e-2)
