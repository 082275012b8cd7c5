"""Glass blur against the loop over pixels that defines it."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa._checks import InputError
from causal_iqa.degradations import _glass as glass
from tests.degradations.scenes import picture

SHAPE = (19, 24)


def _draws(key, severity, table):
    """Reach and passes of every pixel, and the offsets of every pass, as the module draws them."""
    row_key, offset_key = jax.random.split(key)
    reaches, counts = (np.asarray(a) for a in glass._per_pixel(row_key, SHAPE, severity, table))
    bits = np.asarray(jax.random.bits(offset_key, (max(row[2] for row in table), *SHAPE), "uint32"), np.int64)
    offsets = [((half * 2 * reaches) >> 16) - reaches for half in (bits >> 16, bits & 0xFFFF)]
    return reaches, counts, offsets


def _loop(key, severity, table, exchange):
    height, width = SHAPE
    reaches, counts, (dy, dx) = _draws(key, severity, table)
    source = np.arange(height * width).reshape(SHAPE)
    for number in range(len(dy)):
        for h in range(height - 1, -1, -1):
            for w in range(width - 1, -1, -1):
                d = reaches[h, w]
                if number >= counts[h, w] or not (d < h <= height - d and d < w <= width - d):
                    continue
                there = h + dy[number, h, w], w + dx[number, h, w]
                if exchange == "copy":
                    source[h, w] = source[there]
                else:
                    source[h, w], source[there] = source[there], source[h, w]
    return source.reshape(-1)


@pytest.mark.parametrize(
    ("family", "exchange"),
    [("imagenet224", "copy"), ("imagenet224", "swap"), ("inception299", "swap"), ("cifar32", "copy")],
)
def test_source_map_is_the_loop_over_pixels(family, exchange):
    table = glass.GLASS_BLUR_EXCHANGE[family]
    severities = np.asarray([0.5, 1, 2, 3, 4, 4.3, 5], np.float32)
    keys = jax.random.split(jax.random.key(2), len(severities))
    run = jax.jit(jax.vmap(lambda key, s: glass.source_map(key, SHAPE, s, table, exchange)))
    for key, severity, ours in zip(keys, severities, np.asarray(run(keys, severities)), strict=True):
        np.testing.assert_array_equal(ours, _loop(key, severity, table, exchange))
        if exchange == "swap":
            assert len(np.unique(ours)) == ours.size


def test_rows_are_mixed_by_pixel_between_severities():
    table = glass.GLASS_BLUR_EXCHANGE["imagenet224"]
    reaches, counts, _ = _draws(jax.random.key(0), np.float32(4.25), table)
    assert set(zip(reaches.ravel(), counts.ravel(), strict=True)) == {(3, 2), (4, 2)}
    assert 0.15 < np.mean(reaches == 4) < 0.35


@pytest.mark.parametrize("truncate", [False, True])
def test_glass_blur_blurs_before_and_after(truncate):
    image, key, table = picture(*SHAPE), jax.random.key(4), glass.GLASS_BLUR_EXCHANGE["imagenet224"]
    run = jax.jit(lambda s: glass.glass_blur(key, image, s, family="imagenet224", truncate=truncate))
    for severity in (1, 3, 5):
        sigma = table[severity - 1][0]
        gaussian = lambda x, sigma=sigma: ndimage.gaussian_filter(  # noqa: E731
            x.astype(float), (sigma, sigma, 0), mode="nearest", truncate=4.0
        )
        first = gaussian(image)
        if truncate:
            first = np.floor(first * 255 + 1e-4) / 255
        moved = first.reshape(-1, 3)[_loop(key, np.float32(severity), table, "copy")].reshape(image.shape)
        # A value that is a whole level may be cut one lower.
        np.testing.assert_allclose(
            run(np.float32(severity)), gaussian(moved), atol=4e-6 if not truncate else 1.01 / 255
        )


def test_unknown_exchange_is_refused():
    with pytest.raises(InputError, match="copy, swap"):
        glass.glass_blur(jax.random.key(0), picture(32, 32), 1.0, exchange="swop")
