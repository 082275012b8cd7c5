"""Occlusion by counting covered pixels."""

import jax
import numpy as np
import pytest

from causal_iqa.degradations import _occlusion as occlusion
from causal_iqa.degradations import spec
from tests.degradations.linear import ladder_of
from tests.degradations.scenes import picture

SHARES = occlusion.OCCLUSION_SHARE[spec.ANY_SIZE]


def _covered(shape, key, patches):
    """Share of each pixel that is covered, at severities 1..5."""
    white = np.ones((*shape, 3), np.float32)
    return 1.0 - ladder_of(occlusion.occlusion, white, key, patches=patches, fill="black")[..., 0]


def test_area_shape_and_nesting():
    run = jax.jit(
        jax.vmap(
            jax.vmap(
                lambda key, s: occlusion.occlusion(key, np.ones((40, 52, 3), np.float32), s, patches=1, fill="black"),
                (None, 0),
            ),
            (0, None),
        )
    )
    covered = 1.0 - np.asarray(run(jax.random.split(jax.random.key(0), 40), np.arange(1.0, 6.0)))[..., 0]
    # One patch lies inside, so its area is exact, unless a side reaches the image's.
    np.testing.assert_allclose(np.median(covered.mean(axis=(2, 3)), axis=0), SHARES, rtol=1e-4)
    assert (covered.mean(axis=(2, 3)) < np.asarray(SHARES) + 1e-5).all()
    assert (np.diff(covered, axis=1) > -1e-5).all()
    whole = covered[:, 2] > 0.999
    aspects = whole.any(axis=2).sum(axis=1) / whole.any(axis=1).sum(axis=1)
    assert aspects.min() < 0.6 and aspects.max() > 1.6
    # A rectangle: every covered row has the same columns.
    for mask in whole:
        np.testing.assert_array_equal(mask, mask.any(axis=1)[:, None] & mask.any(axis=0)[None, :])


def test_several_patches_share_the_area():
    covered = _covered((60, 60), jax.random.key(1), 5)
    # Overlaps can only lose area.
    assert (covered.mean(axis=(1, 2)) <= np.asarray(SHARES) + 1e-5).all()
    assert covered[0].mean() > 0.5 * SHARES[0]


def test_fills():
    image, key = picture(32, 35), jax.random.key(6)
    fills = ("grey", "black", "white", "mean", "noise")
    run = jax.jit(lambda image: [occlusion.occlusion(key, image, 5.0, fill=fill) for fill in fills])
    covered = 1.0 - np.asarray(run(np.ones_like(image))[1])[..., 0] > 0.9999
    assert covered.sum() > 200
    *plain, noise = (np.asarray(out)[covered] for out in run(image))
    for out, level in zip(plain, (0.5, 0.0, 1.0, image.mean(axis=(0, 1))), strict=True):
        np.testing.assert_allclose(out, np.broadcast_to(level, out.shape), atol=1e-4)
    assert abs(noise.mean() - 0.5) < 0.05 and abs(noise.std() - 12**-0.5) < 0.03


def test_no_patch_is_refused():
    with pytest.raises(ValueError, match=r"patches.*got 0"):
        occlusion.occlusion(jax.random.key(0), picture(16, 16), 1.0, patches=0)
