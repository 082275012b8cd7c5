"""Checks of values: they see what is concrete, cost nothing under jit, and name the mend."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import _checks, degradations, images, metrics
from causal_iqa.degradations import structural

_IMAGE = np.linspace(0, 1, 4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray, lambda x: jnp.asarray(x, jnp.bfloat16), np.float64])
def test_images_in_range_pass_with_what_rounding_leaves(array):
    for image in (_IMAGE, _IMAGE * (1 + 1e-6) - 5e-7, np.zeros((0, 5, 3), np.float32)):
        _checks.check_image(array(image))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (_IMAGE * 255, r"got 0 to 255 \(divide by 255, or give uint8 to causal_iqa.images.from_uint8\)"),
        (_IMAGE * 2 - 1, r"got -1 to 1 \(clip or scale it\)"),
        (_IMAGE * 65535, r"got 0 to 65535 \(clip or scale it\)"),
        (_IMAGE + 0.01, r"got 0.01 to 1.01"),
        (np.where(_IMAGE > 0.5, np.nan, _IMAGE), "got NaN in 30 of 60 values"),
        (np.where(_IMAGE > 0.5, np.inf, _IMAGE), "got 0 to inf"),
    ],
)
def test_images_out_of_range_are_named(image, said):
    for array in (np.asarray, jnp.asarray):
        with pytest.raises(ValueError, match=rf"image: expected numbers in \[0, 1\], {said}"):
            _checks.check_image(array(image))


def test_nothing_is_looked_at_inside_a_transformation():
    for transform in (jax.jit, jax.vmap, jax.grad, jax.checkpoint):
        images_ = _IMAGE[None] if transform is jax.vmap else _IMAGE
        transform(lambda x: _checks.check_image(x * 255) or jnp.sum(x))(images_)
    program = jax.make_jaxpr(lambda x: _checks.check_image(x) or x)(_IMAGE)
    assert not program.eqns


def test_a_constant_of_a_traced_function_is_looked_at():
    image, bad = jnp.full((8, 8, 3), 0.5), jnp.full((8, 8, 3), jnp.nan)

    def checked(constant):
        return jax.jit(lambda scale: (_checks.check_image(constant), constant * scale)[1])

    assert checked(image)(2.0).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="got NaN in 192 of 192 values"):
        checked(bad)(2.0)


def test_the_doors_of_the_library_check():
    photo = _IMAGE * 255
    for call in (
        lambda: metrics.psnr(photo, photo),
        lambda: metrics.evaluate_all(["mse", "entropy"], photo, photo),
        lambda: degradations.do("fog/3")(jax.random.key(0), photo),
        lambda: degradations.do("clean")(jax.random.key(0), photo),
        lambda: images.luma(photo),
        lambda: images.resize(photo, 2, 2),
        lambda: images.to_uint8(photo),
    ):
        with pytest.raises(ValueError, match=r"(image|reference): expected numbers in \[0, 1\], got 0 to 255"):
            call()
    with pytest.raises(ValueError, match="NaN"):
        images.to_uint8(np.full((2, 2, 3), np.nan, np.float32))
    np.testing.assert_array_equal(images.to_uint8(np.asarray([[[-0.2, 0.5, 1.2]]])), [[[0, 128, 255]]])


def test_conditions_check_severities_and_how_images_are_kept():
    graded = degradations.do_graded(degradations.Condition.parse("contrast/1+brightness/2"))
    image, key = np.full((32, 32, 3), 0.5, np.float32), jax.random.key(0)
    with pytest.raises(ValueError, match="severity"):
        graded(key, image, np.asarray([1.0, 6.0]))
    for severities in (np.ones(1), np.ones(3), 1.0):
        with pytest.raises(ValueError, match=r"severities: expected one per step, \[2\], got shape"):
            graded(key, image, severities)
    with pytest.raises(ValueError, match="quantise"):
        degradations.keep(image, quantise="rounded")
    with pytest.raises(ValueError, match="stored"):
        degradations.keep(image, stored=101)
    for compose in (lambda: degradations.compose("fog/7"), lambda: degradations.Condition("fog", -1)):
        with pytest.raises(ValueError, match="severity"):
            compose()


def test_structural_models_check_what_is_forced_and_drawn():
    key, photos = jax.random.key(0), np.full((3, 32, 32, 3), 0.5, np.float32)
    model = structural.Model(
        (structural.logistic("which", {}), structural.uniform("severity", low=0.0, high=5.0)),
        conditions=("clean", "contrast"),
    )
    for values in ({"severity": 7.0}, {"severity": float("nan")}, {"which": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(values))}: expected"):
            structural.do(model, **values)
    draws = structural.sample(key, model, salts=np.arange(3))
    assert structural.apply(key, model, photos, draws).shape == photos.shape
    broken = structural.do(model, severity=structural.Variable("severity", (), lambda key: jnp.float32(jnp.nan)))
    with pytest.raises(ValueError, match="severity: expected numbers from 0 to 5, got nan in 3 of 3 draws"):
        structural.sample(key, broken, salts=np.arange(3))
    for bad, said in (
        (draws._replace(which=draws.which + 2), "which: expected places from 0 to 1"),
        (draws._replace(severity=draws.severity + 6), "severity: expected numbers from 0 to 5"),
        (draws._replace(severity=draws.severity[:2]), "draws: expected one for each of 3 images"),
    ):
        with pytest.raises(ValueError, match=said):
            structural.apply(key, model, photos, bad)
    for bad, error in ((photos[0], ValueError), (photos * 255, ValueError), (photos.astype(np.uint8), TypeError)):
        with pytest.raises(error, match="images: expected"):
            structural.apply(key, model, bad, draws)
