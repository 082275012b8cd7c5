"""Every file mode becomes the RGB it shows; a damaged file is an error, never grey pixels."""

import io

import numpy as np
import PIL.Image
import pytest

from causal_iqa import data
from causal_iqa.data import decoding


def _encode(image: PIL.Image.Image, format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def _smooth(height: int = 96, width: int = 128) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (height + width)], -1).astype(np.uint8)


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_lossless_formats_keep_every_pixel(pixels, format, options):
    decoded = decoding.decode(_encode(PIL.Image.fromarray(pixels), format, **options), "x")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


def test_grey_becomes_three_equal_channels(pixels):
    decoded = decoding.decode(_encode(PIL.Image.fromarray(pixels[..., 0])), "x")
    np.testing.assert_array_equal(decoded, np.repeat(pixels[..., :1], 3, axis=2))


def test_one_bit_becomes_black_and_white(pixels):
    bits = pixels[..., 0] > 127
    decoded = decoding.decode(_encode(PIL.Image.fromarray(bits)), "x")
    np.testing.assert_array_equal(decoded, np.repeat(np.where(bits, 255, 0)[..., None], 3, axis=2))


def _over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    alpha = alpha[..., None] / 255.0
    return colour * alpha + 255.0 * (1 - alpha)


def test_alpha_is_composited_over_white(pixels):
    alpha = np.random.default_rng(1).integers(0, 256, pixels.shape[:2], dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    rgba = decoding.decode(_encode(PIL.Image.fromarray(np.dstack([pixels, alpha]))), "x")
    # Pillow composites in integers, so the last digit may differ.
    np.testing.assert_allclose(rgba, _over_white(pixels, alpha), atol=1.01)
    assert (rgba[0] == 255).all()
    np.testing.assert_array_equal(rgba[1], pixels[1])
    grey = np.dstack([pixels[..., 0], alpha])
    la = decoding.decode(_encode(_la(grey)), "x")
    np.testing.assert_allclose(la, _over_white(np.repeat(pixels[..., :1], 3, 2), alpha), atol=1.01)


def _la(array: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.merge("LA", [PIL.Image.fromarray(np.ascontiguousarray(array[..., i])) for i in range(2)])


def test_palette_with_and_without_a_transparent_entry():
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], np.uint8)
    image = PIL.Image.fromarray(indices)
    image.putpalette(colours.ravel().tolist())
    np.testing.assert_array_equal(decoding.decode(_encode(image), "x"), colours[indices])
    shown = colours.copy()
    shown[2] = 255
    np.testing.assert_array_equal(decoding.decode(_encode(image, transparency=2), "x"), shown[indices])


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 1, 128, 129], [255, 256, 257, 32768], [65535, 65407, 65406, 40000]], np.uint16)
    data_ = _encode(PIL.Image.fromarray(values))
    assert PIL.Image.open(io.BytesIO(data_)).mode.startswith("I")
    expected = np.rint(values.astype(np.float64) * 255 / 65535).astype(np.uint8)
    np.testing.assert_array_equal(decoding.decode(data_, "x"), np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(("mode", "dtype", "white"), [("I", np.int32, 65535), ("F", np.float32, 1.0)])
def test_wide_modes_have_a_stated_white(mode, dtype, white):
    values = (np.linspace(0, 1, 12).reshape(3, 4) * white).astype(dtype)
    expected = np.rint(values.astype(np.float64) * 255 / white).astype(np.uint8)
    decoded = np.asarray(decoding.to_rgb(PIL.Image.fromarray(values)))
    np.testing.assert_array_equal(decoded, np.repeat(expected[..., None], 3, axis=2))
    values[0, 0] = -1
    with pytest.raises(data.UnreadableImage, match=f"mode {mode}"):
        decoding.decode(_encode(PIL.Image.fromarray(values), "TIFF"), "x")


def test_cmyk_subtracts_ink():
    cmyk = np.zeros((2, 2, 4), np.uint8)
    cmyk[0, 0] = [255, 0, 0, 0]
    cmyk[0, 1] = [0, 0, 0, 255]
    cmyk[1, 0] = [0, 255, 255, 0]
    expected = np.array([[[0, 255, 255], [0, 0, 0]], [[255, 0, 0], [255, 255, 255]]])
    np.testing.assert_array_equal(decoding.decode(_encode(_cmyk(cmyk), "TIFF"), "x"), expected)
    large = _cmyk(np.kron(cmyk, np.ones((16, 16, 1), np.uint8)))
    decoded = decoding.decode(_encode(large, "JPEG", quality=100, subsampling=0), "x")
    np.testing.assert_allclose(decoded, np.kron(expected, np.ones((16, 16, 1), int)), atol=4)


def _cmyk(array: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.merge("CMYK", [PIL.Image.fromarray(np.ascontiguousarray(array[..., i])) for i in range(4)])


# What the viewer must see, by numpy: the stored image turned as EXIF tag 274 defines.
_TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", _TURNS)
def test_exif_orientation_is_applied(pixels, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    encoded = _encode(PIL.Image.fromarray(pixels), exif=exif)
    upright = decoding.decode(encoded, "x")
    np.testing.assert_array_equal(upright, _TURNS[orientation](pixels))
    assert decoding.upright_size(io.BytesIO(encoded)) == upright.shape[:2]
    np.testing.assert_array_equal(decoding.decode(encoded, "x", orient=False), pixels)


def test_exif_orientation_of_a_jpeg():
    stored = _smooth()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    decoded = decoding.decode(_encode(PIL.Image.fromarray(stored), "JPEG", quality=95, exif=exif), "x")
    np.testing.assert_allclose(decoded, np.rot90(stored, -1).astype(int), atol=12)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_meaningless_orientation_is_ignored(pixels, value):
    exif = PIL.Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(decoding.decode(_encode(PIL.Image.fromarray(pixels), exif=exif), "x"), pixels)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_jpeg_is_an_error(kept, progressive):
    encoded = _encode(PIL.Image.fromarray(_smooth()), "JPEG", quality=95, progressive=progressive)
    with pytest.raises(data.UnreadableImage) as raised:
        decoding.decode(encoded[: int(kept * len(encoded))], "folder/x.jpg")
    assert raised.value.id == "folder/x.jpg"
    assert raised.value.reason and "\n" not in str(raised.value)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP"])
def test_truncated_file_of_another_format_is_an_error(pixels, format):
    encoded = _encode(PIL.Image.fromarray(pixels), format)
    with pytest.raises(data.UnreadableImage):
        decoding.decode(encoded[: len(encoded) * 2 // 3], "x")


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n"]
)
def test_what_is_no_image_is_an_error(content):
    with pytest.raises(data.UnreadableImage):
        decoding.decode(content, "x")
