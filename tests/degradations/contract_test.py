"""What every row of the table keeps, and what its fields promise."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import degradations
from causal_iqa._checks import InputError
from causal_iqa.degradations import spec
from tests.degradations.scenes import picture

TABLE = degradations.TABLE
SEVERITIES = np.asarray([0.0, 0.4, 1.0, 2.0, 3.0, 4.0, 4.6, 5.0], np.float32)
SHAPE = (32, 37)
BATCH = 7


# Gradients of the conditions beyond ImageNet-C are minutes of compilation: `pytest -m slow` runs them.
_GRADIENTS = [name if row.published else pytest.param(name, marks=pytest.mark.slow) for name, row in TABLE.items()]


@functools.cache
def _pictures(count: int) -> np.ndarray:
    return np.stack([picture(*SHAPE, seed=i) for i in range(count)])


@functools.cache
def _keys(count: int) -> jax.Array:
    # Row i does not depend on how many rows there are.
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(5), jnp.arange(count))


@functools.cache
def _lifted(name: str):
    fn = TABLE[name].fn
    return jax.jit(jax.vmap(jax.vmap(fn, (None, None, 0)), (0, 0, None)))


@functools.cache
def _run(name: str, count: int = BATCH) -> np.ndarray:
    return np.asarray(_lifted(name)(_keys(count), _pictures(count), SEVERITIES))


@functools.cache
def _many(name: str) -> np.ndarray:
    """Four batches of one compiled size: compilation is most of this suite's time."""
    starts = range(0, 4 * BATCH, BATCH)
    keys, pictures = _keys(4 * BATCH), _pictures(4 * BATCH)
    return np.concatenate(
        [np.asarray(_lifted(name)(keys[i : i + BATCH], pictures[i : i + BATCH], SEVERITIES)) for i in starts]
    )


@pytest.mark.parametrize("name", TABLE)
def test_shape_dtype_and_range(name):
    out = _run(name)
    assert out.shape == (BATCH, len(SEVERITIES), *SHAPE, 3)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0.0 and out.max() <= 1.0


@pytest.mark.parametrize("name", TABLE)
def test_severity_zero_is_the_image_bit_for_bit(name):
    np.testing.assert_array_equal(_run(name)[:, 0], _pictures(BATCH))
    assert np.abs(_run(name)[:, -1] - _pictures(BATCH)).max() > 0.02


@pytest.mark.parametrize("name", TABLE)
def test_batch_size_does_not_matter(name):
    # One image and one severity, mapped over nothing; sRGB multiplies the rounding of linear light by 13 in the dark.
    one = jax.jit(TABLE[name].fn)(_keys(1)[0], _pictures(1)[0], SEVERITIES[4])
    np.testing.assert_allclose(np.asarray(one), _run(name)[0, 4], rtol=0, atol=2e-6)
    if TABLE[name].published:
        np.testing.assert_allclose(_run(name), _run(name, 32)[:BATCH], rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", TABLE)
def test_keys(name):
    fn = _lifted(name)
    other = _keys(BATCH)[::-1]
    again, changed = np.asarray(fn(_keys(BATCH), _pictures(BATCH), SEVERITIES)), fn(other, _pictures(BATCH), SEVERITIES)
    np.testing.assert_array_equal(again, _run(name))
    differs = (np.asarray(changed)[:, 4] != again[:, 4]).any(axis=(1, 2, 3))
    # The middle key of an odd batch is its own mirror image.
    expected = np.arange(BATCH) != BATCH // 2 if TABLE[name].stochastic else np.zeros(BATCH, bool)
    np.testing.assert_array_equal(differs, expected)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.monotone])
def test_damage_grows_with_severity(name):
    error = np.mean((_many(name) - _pictures(4 * BATCH)[:, None]) ** 2, axis=(2, 3, 4))
    psnr = np.mean(-10 * np.log10(np.maximum(error, 1e-9)), axis=0)
    # Between 0 and 1 a blur may be too small to reach the next pixel.
    # CIFAR's motion blur has two rungs that differ only far out in the tail.
    assert (np.diff(psnr) < 1e-3).all(), psnr
    assert (np.diff(psnr[[0, 2, 4, 7]]) < 0).all(), psnr


@pytest.mark.parametrize("name", _GRADIENTS)
def test_gradient_with_respect_to_the_image(name):
    fn = functools.partial(TABLE[name].fn, family="cifar32")
    weight = np.asarray(picture(16, 17, seed=3))
    slope = jax.jit(jax.grad(lambda image: jnp.sum(weight * fn(jax.random.key(1), image, jnp.float32(2.5)))))
    for image in (picture(16, 17), np.zeros((16, 17, 3), np.float32), np.full((16, 17, 3), 0.5, np.float32)):
        assert np.isfinite(slope(image)).all()
    useful = np.mean(np.asarray(slope(picture(16, 17))) != 0) > 0.5
    assert useful == TABLE[name].differentiable


@pytest.mark.parametrize("name", _GRADIENTS)
def test_gradient_with_respect_to_the_severity(name):
    middles, step = np.asarray([0.5, 1.5, 2.5, 4.5], np.float32), np.float32(0.02)
    key, image = _keys(1)[0], _pictures(1)[0]
    slope = jax.jit(jax.vmap(lambda s: jax.jvp(lambda s: TABLE[name].fn(key, image, s), (s,), (jnp.float32(1),))[1]))
    slopes = np.asarray(slope(middles), np.float64)
    assert np.isfinite(slopes).all()
    # As many severities as elsewhere, so that nothing is compiled again.
    around = np.stack([middles - step, middles + step], axis=1).reshape(-1)
    values = np.asarray(_lifted(name)(_keys(BATCH), _pictures(BATCH), around))[0].astype(np.float64)
    differences = (values[1::2] - values[::2]) / (2 * step)
    axes = (1, 2, 3)
    norms = np.sqrt(np.sum(slopes**2, axis=axes) * np.sum(differences**2, axis=axes))
    agreement = np.sum(slopes * differences, axis=axes) / np.maximum(norms, 1e-12)
    assert (agreement > 0.9).all() == TABLE[name].differentiable_in_severity, agreement


@pytest.mark.parametrize("name", TABLE)
def test_flat_images_stay_finite(name):
    # As many as the batch, so that nothing is compiled again.
    grey = np.linspace(0, 1, BATCH, dtype=np.float32)[:, None, None, None]
    out = np.asarray(_lifted(name)(_keys(BATCH), np.broadcast_to(grey, (BATCH, *SHAPE, 3)), SEVERITIES))
    assert np.isfinite(out).all()
    if TABLE[name].group == "blur":
        np.testing.assert_allclose(out, np.broadcast_to(grey[:, None], out.shape), atol=1e-5)


@pytest.mark.parametrize("name", TABLE)
def test_family_is_chosen_by_size_and_can_be_given(name):
    def program(family):
        fn = functools.partial(TABLE[name].fn, family=family)
        jaxpr = jax.make_jaxpr(fn)(jax.random.key(0), picture(32, 40), 3.0)
        return str(jaxpr), jax.tree.map(np.asarray, jaxpr.consts)

    def same(a, b):
        return a[0] == b[0] and all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))

    default, small, large = program(None), program("cifar32"), program("imagenet224")
    assert same(default, small)
    assert same(small, large) == (spec.ANY_SIZE in TABLE[name].parameters)


@pytest.mark.parametrize("name", TABLE)
def test_bad_arguments(name):
    fn = TABLE[name].fn
    with pytest.raises(ValueError, match="shape"):
        fn(jax.random.key(0), np.zeros((2, 16, 16, 3), np.float32), 1.0)
    with pytest.raises(TypeError, match="uint8"):
        fn(jax.random.key(0), np.zeros((16, 16, 3), np.uint8), 1.0)
    with pytest.raises(ValueError, match="imagenet224"):
        fn(jax.random.key(0), np.zeros((16, 16, 3), np.float32), 1.0, family="imagenet")
    image = np.full((32, 32, 3), 0.5, np.float32)
    for severity in (7, -1.0, float("nan"), np.float32(5.5)):
        with pytest.raises(ValueError, match="severity: expected a number from 0"):
            fn(jax.random.key(0), image, severity)
    with pytest.raises(ValueError, match=r"image: expected numbers in \[0, 1\], got 127.5 to 127.5 \(divide by 255"):
        fn(jax.random.key(0), 255 * image, 1.0)
    image[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match="got NaN in 1 of 3072 values"):
        fn(jax.random.key(0), image, 1.0)


def test_table_rows_are_complete():
    assert sum(row.published for row in TABLE.values()) == 19
    for name, row in TABLE.items():
        assert row.name == name
        families = degradations.FAMILIES if row.published else [spec.ANY_SIZE]
        assert set(row.parameters) == set(families)
        assert all(len(rows) == degradations.MAX_SEVERITY for rows in row.parameters.values())
        assert row.convention and row.reference
        json.dumps(row.passport())
    with pytest.raises(TypeError):
        TABLE["fog"] = TABLE["contrast"]


@pytest.mark.parametrize("value", [-0.1, 5.01, float("nan"), float("inf"), "many", None])
def test_severity_outside_the_ladder_is_refused(value):
    with pytest.raises(InputError, match="severity"):
        degradations.check_severity(value)


@pytest.mark.parametrize("value", [0, 5, 2.7, np.float32(1)])
def test_severity_on_the_ladder_is_taken(value):
    degradations.check_severity(value)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.published])
def test_any_size_is_taken_with_a_family(name):
    for shape, family in (((17, 301), "imagenet224"), ((45, 16), "inception299"), ((16, 16), "tiny64")):
        fn = functools.partial(TABLE[name].fn, family=family)
        out = jax.eval_shape(fn, jax.random.key(0), jax.ShapeDtypeStruct((*shape, 3), np.float32), np.float32(2))
        assert out.shape == (*shape, 3) and out.dtype == np.float32


@pytest.mark.parametrize(
    ("height", "width", "family"),
    [
        (22, 22, "cifar32"),
        (32, 32, "cifar32"),
        (45, 500, "cifar32"),
        (46, 46, "tiny64"),
        (64, 96, "tiny64"),
        (96, 96, "tiny64"),
        (150, 150, "imagenet224"),
        (224, 300, "imagenet224"),
        (258, 258, "imagenet224"),
        (259, 259, "inception299"),
        (448, 600, "inception299"),
    ],
)
def test_family_for(height, width, family):
    assert degradations.family_for(height, width) == family


@pytest.mark.parametrize(("height", "width"), [(21, 21), (97, 97), (149, 2000), (449, 449)])
def test_sizes_far_from_every_family_ask_for_one(height, width):
    with pytest.raises(InputError, match=r"imagenet224.*inception299.*tiny64.*cifar32"):
        degradations.family_for(height, width)
