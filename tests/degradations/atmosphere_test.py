"""Haze by Koschmieder's law, rain by what its model implies."""

import jax
import numpy as np
import pytest

from causal_iqa._checks import InputError
from causal_iqa.degradations import _atmosphere as atmosphere
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture

THICKNESS = atmosphere.HAZE_THICKNESS[spec.ANY_SIZE]


@pytest.mark.parametrize("kind", ["uniform", "ground", "given"])
def test_haze_is_koschmieders_law(kind):
    image, key = picture(24, 31), jax.random.key(5)
    depth = {
        "uniform": np.ones((24, 31)),
        "ground": np.asarray(atmosphere.ground_depth(key, 24, 31), float),
        "given": np.random.default_rng(0).uniform(size=(24, 31)),
    }[kind]
    option = depth.astype(np.float32) if kind == "given" else kind
    ours = ladder_of(atmosphere.haze, image, key, depth=option, airlight=0.7)
    for out, thickness in zip(ours, THICKNESS, strict=True):
        transmission = np.exp(-thickness * depth)[..., None]
        np.testing.assert_allclose(out, encode(decode(image) * transmission + 0.7 * (1 - transmission)), atol=4e-6)


def test_ground_is_far_above_and_near_below():
    run = jax.jit(jax.vmap(lambda key: atmosphere.ground_depth(key, 40, 50)))
    depth = np.asarray(run(jax.random.split(jax.random.key(1), 50)))
    assert depth.min() > 0.04 and depth.max() <= 1.0
    rows = depth.mean(axis=(0, 2))
    assert rows[0] > 0.85 and rows[-1] < 0.2
    assert (np.diff(rows[20:]) < 0).all()


def test_haze_refuses_other_depths():
    with pytest.raises(InputError, match="depth"):
        atmosphere.haze(jax.random.key(0), picture(16, 16), 1.0, depth="sky")
    with pytest.raises(ValueError, match=r"\(16, 17\)"):
        atmosphere.haze(jax.random.key(0), picture(16, 17), 1.0, depth=np.ones((17, 16), np.float32))


def test_rain_covers_and_veils():
    key, shape = jax.random.key(2), (96, 80, 3)
    black, grey = (decode(ladder_of(atmosphere.rain, np.full(shape, encode(v), np.float32), key)) for v in (0.0, 0.3))
    # What is left of the scene is the same for every light and channel: t times what no streak covers.
    left = (grey - black) / 0.3
    np.testing.assert_allclose(left, np.broadcast_to(left[..., :1], left.shape), atol=2e-4)
    transmission = np.asarray([row[2] for row in atmosphere.RAIN_STREAKS[spec.ANY_SIZE]])
    clear = left[..., 0] / transmission[:, None, None]
    assert clear.max() <= 1.0 + 1e-4 and clear.min() >= -1e-4
    # Away from streaks only the veil remains, and drops are brighter than a dark scene.
    free = clear > 0.9999
    assert (free.mean(axis=(1, 2))[:4] > 0.05).all()
    for out, mask, t in zip(black, free, transmission, strict=True):
        np.testing.assert_allclose(out[mask], 0.8 * (1 - t), atol=2e-3)
        assert out.min() >= 0.8 * (1 - t) - 2e-3
    # Streaks of a lower severity remain at a higher one.
    assert (np.diff(clear, axis=0) < 1e-3).all()
    # They are tall: neighbours up and down agree more than neighbours left and right.
    across, along = np.abs(np.diff(clear[2], axis=1)).mean(), np.abs(np.diff(clear[2], axis=0)).mean()
    assert along < 0.6 * across
