"""Low resolution against Pillow, over-sharpening against SciPy."""

import jax
import numpy as np
from PIL import Image
from scipy import ndimage

from causal_iqa.degradations import _resolution as resolution
from causal_iqa.degradations import spec
from tests.degradations.linear import ladder_of
from tests.degradations.scenes import picture


def _pillow(image, shape):
    planes = [Image.fromarray(image[..., c]).resize(shape[::-1], Image.Resampling.BILINEAR) for c in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def test_low_resolution_is_pillows_resize():
    image = picture(39, 50)
    ours = ladder_of(resolution.low_resolution, image, severities=[1, 2, 3, 4, 5, 2.5])
    expected = []
    for share in resolution.LOW_RESOLUTION_SHARE[spec.ANY_SIZE]:
        small = _pillow(image, (round(39 * share), round(50 * share)))
        expected.append(_pillow(small, (39, 50)))
    np.testing.assert_allclose(ours[:5], expected, atol=2e-6)
    np.testing.assert_allclose(ours[5], 0.5 * (ours[1] + ours[2]), atol=1e-6)


def test_over_sharpening_is_an_unsharp_mask():
    image = picture(33, 40)
    smooth = ndimage.gaussian_filter(image.astype(float), (0.8, 0.8, 0), mode="mirror", truncate=3.0)
    ours = ladder_of(resolution.over_sharpening, image)
    for out, amount in zip(ours, resolution.OVER_SHARPENING_AMOUNT[spec.ANY_SIZE], strict=True):
        np.testing.assert_allclose(out, np.clip(image + amount * (image - smooth), 0, 1), atol=5e-6)


def test_the_mask_has_its_sigma():
    edge = np.zeros((400, 24, 3), np.float32)
    edge[200:] = 0.5
    smooth = np.asarray(jax.jit(resolution._smoothed, static_argnums=1)(edge, 2.0))[:, 0, 0]
    # The slope of a blurred edge is the blur itself.
    slope = np.diff(smooth)
    place = np.arange(399) + 0.5
    np.testing.assert_allclose(np.sqrt((slope * (place - 199.5) ** 2).sum() / slope.sum()), 2.0, rtol=0.03)
