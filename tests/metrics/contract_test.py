"""What every row of the metric table promises, checked for every row.

One program per metric, at the smallest comfortable size, scores every case of this file and differentiates them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import scipy.ndimage

from causal_iqa import images, metrics
from causal_iqa.metrics import spec as specs
from tests import shared
from tests.golden import photographs

TABLE = {name: spec for name, spec in metrics.TABLE.items() if spec.suite == "classical"}
NAMES = tuple(TABLE)
REFERENCED = tuple(name for name in NAMES if TABLE[name].needs_reference)
SEEDS = (1, 5, 9)
LEVELS = (1, 2, 3)
EAGER = ("psnr", "gmsd", "haarpsi", "entropy", "variance_of_laplacian")
# Compiles three times faster; programs of one image are compiled as usual, and must agree.
_QUICK = {"xla_backend_optimization_level": 0}


def _damaged(photo, seed, degradation, level):
    if degradation == "blur":
        return scipy.ndimage.gaussian_filter(photo, (0.7 * level, 0.7 * level, 0))
    return photographs.noisy(photo, seed, 0.05 * level)


@functools.cache
def _cases(side):
    """Named pairs of uint8 images [side, side + 3, 3]."""
    pairs = {}
    for seed in SEEDS:
        photo = photographs.photograph(seed, side, side + 3)
        for degradation in ("blur", "noise"):
            for level in LEVELS:
                pairs[degradation, level, seed] = photo, _damaged(photo, seed, degradation, level)
    photo, noisy = pairs["noise", 1, SEEDS[0]]
    flat = np.full_like(photo, 77)
    return pairs | {
        "swapped": (noisy, photo),
        "equal": (photo, photo),
        "flat image": (photo, flat),
        "flat reference": (flat, photo),
        "both flat": (flat, np.full_like(photo, 90)),
        "equal and flat": (flat, flat),
    }


def _side(name):
    # A little above the smallest: metrics that leave a margin out would see a single pixel there.
    return max(32, TABLE[name].smallest_side + 14)


def _pair(name, case):
    return tuple(images.from_uint8(part) for part in _cases(_side(name))[case])


@functools.cache
def _results(name):
    """Scores, and gradients with respect to the image, of every case: {case: (score, gradient)}."""
    spec, cases = TABLE[name], _cases(_side(name))
    score = functools.partial(metrics.evaluate, spec)

    def both(reference, image):
        if not spec.differentiable:
            return score(reference, image), jnp.zeros(())
        return jax.value_and_grad(score, argnums=1)(reference, image)

    batch = (images.from_uint8(np.stack(part)) for part in zip(*cases.values(), strict=True))
    values, gradients = jax.jit(jax.vmap(both), compiler_options=_QUICK)(*batch)
    return dict(zip(cases, zip(np.asarray(values), np.asarray(gradients), strict=True), strict=True))


def _score(name, case):
    return _results(name)[case][0]


@pytest.mark.parametrize("name", NAMES)
def test_score_is_a_finite_float32_in_range(name):
    low, high = TABLE[name].range
    for case in (c for c in _cases(_side(name)) if isinstance(c, tuple)):
        value = _score(name, case)
        assert value.shape == () and value.dtype == np.float32 and np.isfinite(value), case
        assert low is None or value >= low, case
        assert high is None or value <= high, case


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_one_image_gives(name):
    single = jax.jit(functools.partial(metrics.evaluate, TABLE[name]))
    for case in (("noise", 1, SEEDS[0]), ("blur", 3, SEEDS[1])):
        np.testing.assert_allclose(single(*_pair(name, case)), _score(name, case), rtol=1e-5, atol=1e-6)


# Step by step every primitive compiles alone, so the rest of the table waits for the slow suite.
@pytest.mark.parametrize("name", [n if n in EAGER else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_compiled_gives_what_step_by_step_gives(name):
    case = ("noise", 1, SEEDS[0])
    eager = metrics.evaluate(TABLE[name], *_pair(name, case))
    np.testing.assert_allclose(_score(name, case), eager, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", REFERENCED)
def test_value_on_equal_images(name):
    perfect, value = TABLE[name].perfect, _score(name, "equal")
    assert np.isnan(value) if perfect is None else value == pytest.approx(perfect, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in REFERENCED if TABLE[name].symmetric])
def test_symmetry(name):
    np.testing.assert_allclose(_score(name, "swapped"), _score(name, ("noise", 1, SEEDS[0])), rtol=1e-5)


@pytest.mark.parametrize(("name", "degradation"), [(n, d) for n in NAMES for d in TABLE[n].worse_with])
def test_more_degradation_is_worse(name, degradation):
    means = [np.mean([_score(name, (degradation, level, seed)) for seed in SEEDS]) for level in LEVELS]
    assert np.all(np.diff(means) * (1 if TABLE[name].higher_is_better else -1) < 0), means


@functools.cache
def _photos(side):
    """Three real photographs, uint8 [side, side + 3, 3] from their middles."""
    found = []
    for path in sorted(shared.path_or_skip("data", "imagenet_sample", "validation").glob("*/*"))[::40]:
        with PIL.Image.open(path) as file:
            photo = np.asarray(file.convert("RGB"))
        top, left = ((length - wanted) // 2 for length, wanted in zip(photo.shape, (side, side + 3), strict=False))
        if min(top, left) >= 0 and len(found) < 3:
            found.append(photo[top : top + side, left : left + side + 3])
    return found


# The drawn photographs of the test above compile once with the rest; these are for the slow suite.
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_more_degradation_of_real_photographs_is_worse(name):
    spec, photos = TABLE[name], _photos(max(96, _side(name)))
    order = [(d, level, i) for d in spec.worse_with for level in LEVELS for i in range(len(photos))]
    pairs = [(photos[i], _damaged(photos[i], i, degradation, level)) for degradation, level, i in order]
    batch = (images.from_uint8(np.stack(part)) for part in zip(*pairs, strict=True))
    values = jax.jit(jax.vmap(functools.partial(metrics.evaluate, spec)), compiler_options=_QUICK)(*batch)
    means = np.asarray(values, np.float64).reshape(len(spec.worse_with), len(LEVELS), len(photos)).mean(axis=-1)
    assert np.all(np.diff(means) * (1 if spec.higher_is_better else -1) < 0), means


@pytest.mark.parametrize("name", NAMES)
def test_undefined_has_a_reason(name):
    for case, (value, _) in _results(name).items():
        if np.isnan(value):
            assert TABLE[name].undefined != specs.MetricSpec.undefined, case
        else:
            assert np.isfinite(value), case


@pytest.mark.parametrize("name", [name for name in NAMES if TABLE[name].differentiable])
def test_gradient_is_finite_also_on_flat_and_equal_images(name):
    for case, (_, gradient) in _results(name).items():
        assert np.all(np.isfinite(gradient)), case
    assert np.any(_results(name)["noise", 3, SEEDS[0]][1] != 0.0)


@pytest.mark.parametrize("name", ["variance_of_laplacian", "total_variation", "entropy", "rms_contrast", "noise_sigma"])
def test_statistics_of_a_flat_image_are_exactly_zero(name):
    assert _score(name, "flat image") == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_smallest_side_is_scored_and_one_less_refused(name):
    spec = TABLE[name]
    side = spec.smallest_side
    traced = jax.eval_shape(functools.partial(metrics.evaluate, spec), *(jnp.zeros((side, side + 2, 3)),) * 2)
    assert traced.shape == () and traced.dtype == jnp.float32
    if side > 1:
        small = jnp.zeros((side - 1, side + 2, 3))
        with pytest.raises(ValueError, match=rf"{name} is undefined below its smallest side of {side} pixels, got"):
            metrics.evaluate(spec, small, small)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_named(name):
    spec = TABLE[name]
    image = jnp.zeros((16, 16, 3))
    with pytest.raises(ValueError, match=r"image: expected one image of shape \[H, W, 3\]"):
        metrics.evaluate(spec, image, image[None])
    with pytest.raises(TypeError, match="image: expected float32"):
        metrics.evaluate(spec, image, image.astype(jnp.uint8))
    fine, photo = np.full((16, 16, 3), 0.25, np.float32), np.full((16, 16, 3), 200.0, np.float32)
    with pytest.raises(ValueError, match=r"image: expected numbers in \[0, 1\], got 200 to 200 \(divide by 255"):
        metrics.evaluate(spec, fine, photo)
    with pytest.raises(ValueError, match=r"image: .*got NaN in 768 of 768 values"):
        metrics.evaluate(spec, fine, np.full_like(fine, np.nan))
    if spec.needs_reference:
        with pytest.raises(ValueError, match="reference: expected numbers"):
            metrics.evaluate(spec, photo, fine)
    if spec.needs_reference:
        with pytest.raises(ValueError, match="reference, image: expected equal shapes"):
            metrics.evaluate(spec, image[:-1], image)
        with pytest.raises(ValueError, match=f"reference: {name} compares with a pristine image"):
            metrics.evaluate(spec, None, image)
