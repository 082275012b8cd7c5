"""The coder like WebP against a sequential one written from RFC 6386, and against Pillow's WebP."""

import io

import jax
import numpy as np
import pytest
from PIL import Image, features

from causal_iqa.degradations import _webp as webp
from causal_iqa.degradations import spec
from tests.degradations.linear import ladder_of
from tests.degradations.scenes import picture

COS, SIN = 20091, 35468
HADAMARD = np.asarray([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, 1], [1, -1, 1, -1]])


def _inverse_of_four(x):
    """RFC 6386, section 14.3, one vector."""
    a, b = x[0] + x[2], x[0] - x[2]
    c = ((x[1] * SIN) >> 16) - (x[3] + ((x[3] * COS) >> 16))
    d = (x[1] + ((x[1] * COS) >> 16)) + ((x[3] * SIN) >> 16)
    return np.asarray([a + d, b + c, b - c, a - d])


def _inverse(block):
    block = np.apply_along_axis(_inverse_of_four, 0, block)
    return (np.apply_along_axis(_inverse_of_four, 1, block) + 4) >> 3


def _forward(block):
    """The inverse's matrix transposed, in double precision but with the coder's rounding after the first pass."""
    k, s = 1 + COS / 65536, SIN / 65536
    k, s = round(k * 4096) / 4096, round(s * 4096) / 4096
    basis = np.asarray([[1, 1, 1, 1], [k, s, -s, -k], [1, -1, -1, 1], [s, -k, k, -s]])
    first = np.floor(basis @ block * 8 + 0.5)
    return np.floor(first @ basis.T / 16 + 0.5).astype(int)


def _quantise(value, step, rounding):
    return np.sign(value) * ((256 * np.abs(value) + rounding * step) // (256 * step)) * step


def _code(planes, index, n):
    """Macroblocks in raster order, [p, H, W]."""
    dc, ac = webp._DC_STEPS[index], webp._AC_STEPS[index]
    out = np.zeros_like(planes)
    for y in range(0, planes.shape[1], n):
        for x in range(0, planes.shape[2], n):
            source = planes[:, y : y + n, x : x + n]
            above = out[:, y - 1, x : x + n] if y else np.full((len(planes), n), 127)
            left = out[:, y : y + n, x - 1] if x else np.full((len(planes), n), 129)
            corner = out[:, y - 1, x - 1] if x and y else np.full(len(planes), 127 if not y else 129)
            edges = [edge for edge, there in ((above, y), (left, x)) if there]
            mean = np.full(len(planes), 128)
            if edges:
                count = n * len(edges)
                mean = (sum(edge.sum(axis=1) for edge in edges) + count // 2) // count
            modes = [
                np.broadcast_to(mean[:, None, None], source.shape),
                np.broadcast_to(above[:, None], source.shape),
                np.broadcast_to(left[:, :, None], source.shape),
                np.clip(left[:, :, None] + above[:, None] - corner[:, None, None], 0, 255),
            ]
            guess = min(modes, key=lambda mode: ((source - mode) ** 2).sum())
            for p, residual in enumerate(source - guess):
                blocks = residual.reshape(n // 4, 4, n // 4, 4).swapaxes(1, 2)
                blocks = np.asarray([[_forward(block) for block in row] for row in blocks])
                means = blocks[:, :, 0, 0]
                if n == 16:
                    second = (HADAMARD @ means @ HADAMARD + 1) >> 1
                    steps = np.full((4, 4), max(8, ac * 155 // 100))
                    steps[0, 0] = 2 * dc
                    offsets = np.full((4, 4), 108)
                    offsets[0, 0] = 96
                    means = (HADAMARD @ _quantise(second, steps, offsets) @ HADAMARD + 3) >> 3
                    blocks = _quantise(blocks, ac, 110)
                else:
                    means, blocks = _quantise(means, min(dc, 132), 110), _quantise(blocks, ac, 115)
                blocks[:, :, 0, 0] = means
                restored = np.asarray([[_inverse(block) for block in row] for row in blocks])
                restored = restored.swapaxes(1, 2).reshape(n, n)
                out[p, y : y + n, x : x + n] = np.clip(guess[p] + restored, 0, 255)
    return out


def test_wavefront_is_raster_order():
    rng = np.random.default_rng(0)
    image = 255 * np.moveaxis(picture(48, 64), -1, 0)
    luma = np.clip(image[:1] + rng.integers(-9, 9, (1, 48, 64)), 0, 255).astype(np.int32)
    chroma = np.clip(image[1:, :24, :32] + rng.integers(-9, 9, (2, 24, 32)), 0, 255).astype(np.int32)
    run = jax.jit(lambda index: webp._code(luma, chroma, index))
    for index in (0, 40, 127):
        ours = run(np.int32(index))
        for out, planes, side in zip(ours, (luma, chroma), (16, 8), strict=True):
            np.testing.assert_array_equal(out, _code(planes.astype(int), index, side))


def test_quality_chooses_a_quantiser_as_libwebp():
    # Least and largest index of the four segments in the headers of a flat image's files, Pillow 13.0, libwebp 1.6.
    headers = {
        5: (74, 102),
        10: (64, 92),
        20: (51, 78),
        40: (36, 59),
        60: (26, 45),
        75: (20, 36),
        85: (11, 20),
        90: (7, 12),
    }
    indices = webp._quantiser_indices()
    assert indices[0] == 127 and indices[100] == 0
    assert (np.diff(indices) <= 0).all()
    for quality, (least, largest) in headers.items():
        assert least < indices[quality] < largest


def test_severities_and_finest_quantiser():
    # Grey, so that halving the chroma loses nothing.
    grey = picture(40, 35).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    qualities = np.float32([*webp.WEBP_QUALITY[spec.ANY_SIZE], 100])
    ours = np.asarray(jax.jit(jax.vmap(lambda quality: webp.webp(grey, quality)))(qualities))
    assert np.abs(ours[-1] - grey).max() < 4 / 255
    np.testing.assert_allclose(np.round(255 * ours), 255 * ours, atol=1e-4)
    np.testing.assert_array_equal(ladder_of(webp.webp_compression, grey), ours[:-1])


@pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")
def test_photographs_lose_as_much_as_in_webp(shared_data):
    folder = shared_data("data", "imagenet_sample", "validation")
    qualities = np.float32([5, 20, 60, 90])
    run = jax.jit(jax.vmap(webp.webp, (None, 0)))
    differences = []
    for path in sorted(folder.glob("*/*.JPEG"))[::250]:
        photo = Image.open(path).convert("RGB").resize((160, 144))
        image = np.asarray(photo).astype(np.float32) / np.float32(255)
        for out, quality in zip(np.asarray(run(image, qualities)), qualities, strict=True):
            stream = io.BytesIO()
            photo.save(stream, "WEBP", quality=int(quality))
            pillow = np.asarray(Image.open(stream).convert("RGB")) / 255.0
            differences.append(10 * np.log10(np.mean((out - image) ** 2) / np.mean((pillow - image) ** 2)))
    assert np.abs(differences).max() < 1.5
    assert np.abs(np.mean(differences)) < 0.6
