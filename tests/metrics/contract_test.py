"""What every row of the metric table promises, checked for every row."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from causal_iqa import images, metrics
from tests.golden import photographs

SIDE = 24
NAMES = tuple(metrics.TABLE)
REFERENCED = tuple(name for name, spec in metrics.TABLE.items() if spec.needs_reference)


def _every_score(reference, image):
    return {name: metrics.evaluate(spec, reference, image) for name, spec in metrics.TABLE.items()}


_score_batch = jax.jit(jax.vmap(_every_score))


@pytest.fixture(scope="module")
def batch():
    """32 references and images; the last image equals its reference."""
    references = np.stack([photographs.photograph(i, SIDE, SIDE) for i in range(32)])
    noisy = np.stack([photographs.noisy(r, i, 0.01 * (i % 8 + 1)) for i, r in enumerate(references)])
    noisy[-1] = references[-1]
    return images.from_uint8(references), images.from_uint8(noisy)


@pytest.fixture(scope="module")
def scores(batch):
    return _score_batch(*batch)


@pytest.fixture(scope="module")
def eager(batch):
    return [_every_score(r, i) for r, i in zip(*(part[:3] for part in batch), strict=True)]


def test_the_table_is_read_only_and_named_by_its_rows():
    assert all(name == spec.name for name, spec in metrics.TABLE.items())
    with pytest.raises(TypeError):
        metrics.TABLE["ssim"] = metrics.TABLE["mse"]


def test_the_table_refuses_a_name_twice():
    with pytest.raises(ValueError, match="'mse' is in the table twice"):
        metrics.spec.table_of([metrics.TABLE["mse"], metrics.TABLE["mse"]])


@pytest.mark.parametrize("name", NAMES)
def test_passport_is_json_and_complete(name):
    spec = metrics.TABLE[name]
    passport = spec.passport()
    assert json.loads(json.dumps(passport)) == passport
    assert passport["needs_reference"] == (spec.family == "full_reference")
    assert {"convention", "reference", "colour", "range", "smallest_side", "higher_is_better"} <= passport.keys()
    assert spec.convention and spec.reference and "fn" not in passport


@pytest.mark.parametrize("name", NAMES)
def test_scalar_float32_finite_and_in_range(name, scores):
    value = scores[name]
    assert value.shape == (32,) and value.dtype == jnp.float32
    value = np.asarray(value)[:-1]
    assert np.all(np.isfinite(value))
    low, high = metrics.TABLE[name].range
    assert low is None or value.min() >= low
    assert high is None or value.max() <= high


@pytest.mark.parametrize("name", NAMES)
def test_jit_and_vmap_equal_the_eager_loop(name, scores, eager):
    loop = np.stack([row[name] for row in eager])
    np.testing.assert_allclose(scores[name][:3], loop, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7])
def test_batch_size_does_not_change_a_score(size, batch, scores):
    reference, image = (part[-size:] for part in batch)
    smaller = _score_batch(reference, image)
    for name in NAMES:
        np.testing.assert_allclose(smaller[name], scores[name][-size:], rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", REFERENCED)
def test_value_on_equal_images(name, scores):
    perfect, value = metrics.TABLE[name].perfect, float(scores[name][-1])
    assert np.isnan(value) if perfect is None else value == pytest.approx(perfect, abs=1e-6)


def test_symmetry(batch, scores):
    reference, image = batch
    swapped = _score_batch(image, reference)
    symmetric = [name for name in REFERENCED if metrics.TABLE[name].symmetric]
    assert symmetric
    for name in symmetric:
        np.testing.assert_allclose(swapped[name], scores[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("degradation", ["blur", "noise"])
def test_more_degradation_is_worse(degradation):
    reference = np.stack([photographs.photograph(i, SIDE, SIDE) for i in range(32)])
    levels = []
    for level in (1, 2, 3):
        if degradation == "blur":
            levels.append([scipy.ndimage.gaussian_filter(r, (0.6 * level, 0.6 * level, 0)) for r in reference])
        else:
            levels.append([photographs.noisy(r, i, 0.06 * level) for i, r in enumerate(reference)])
    references = images.from_uint8(reference)
    rows = [_score_batch(references, images.from_uint8(np.stack(level))) for level in levels]
    for name, spec in metrics.TABLE.items():
        if degradation in spec.worse_with:
            means = np.array([np.mean(row[name]) for row in rows])
            assert np.all(np.diff(means) * (1 if spec.higher_is_better else -1) < 0), (name, means)


def test_every_row_claims_some_degradation():
    assert all(spec.worse_with for spec in metrics.TABLE.values())


def test_gradient_is_finite_also_on_flat_and_equal_images(batch):
    names = [name for name, spec in metrics.TABLE.items() if spec.differentiable]
    flat = jnp.full((SIDE, SIDE, 3), 0.3)
    pairs = [(batch[0][0], batch[1][0]), (flat, flat), (batch[0][0], batch[0][0]), (batch[0][0], flat)]
    pairs = [jnp.stack(part) for part in zip(*pairs, strict=True)]

    def gradients(reference, image):
        scored = (functools.partial(metrics.evaluate, metrics.TABLE[name], reference) for name in names)
        return {name: jax.grad(score)(image) for name, score in zip(names, scored, strict=True)}

    gradients = jax.jit(jax.vmap(gradients))(*pairs)
    for name, value in gradients.items():
        assert np.all(np.isfinite(value)), name
        assert np.any(value[0] != 0.0), name


def test_flat_images_have_finite_values(batch):
    levels = jnp.linspace(0.0, 1.0, 32)
    row = _score_batch(batch[0], jnp.broadcast_to(levels[:, None, None, None], batch[0].shape))
    for name, score in row.items():
        assert np.all(np.isfinite(score)), name
    for name in ("variance_of_laplacian", "total_variation", "entropy", "rms_contrast", "noise_sigma"):
        np.testing.assert_array_equal(row[name], 0.0, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_smallest_side_is_scored_and_one_less_refused(name):
    spec = metrics.TABLE[name]
    side = spec.smallest_side
    reference = images.from_uint8(photographs.photograph(0, side, side + 2))
    image = images.from_uint8(photographs.noisy(photographs.photograph(0, side, side + 2), 0, 0.2))
    assert np.isfinite(jax.jit(functools.partial(metrics.evaluate, spec))(reference, image))
    if side > 1:
        with pytest.raises(ValueError, match=rf"{name} is undefined below its smallest side of {side} pixels, got"):
            metrics.evaluate(spec, reference[: side - 1], image[: side - 1])


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_named(name):
    spec = metrics.TABLE[name]
    image = jnp.zeros((16, 16, 3))
    with pytest.raises(ValueError, match=r"image: expected one image of shape \[H, W, 3\]"):
        metrics.evaluate(spec, image, image[None])
    with pytest.raises(TypeError, match="image: expected float32"):
        metrics.evaluate(spec, image, image.astype(jnp.uint8))
    if spec.needs_reference:
        with pytest.raises(ValueError, match="reference, image: expected equal shapes"):
            metrics.evaluate(spec, image[:-1], image)
        with pytest.raises(ValueError, match=f"reference: {name} compares with a pristine image"):
            metrics.evaluate(spec, None, image)
