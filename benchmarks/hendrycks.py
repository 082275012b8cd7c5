"""The corruptions of CIFAR-10-C as their paper and released scripts define them, written anew on NumPy and relatives.

Hendrycks, Dietterich (2019). Benchmarking Neural Network Robustness to Common Corruptions and Perturbations. They are
the reference where imagecorruptions has only the parameters of 224 pixels, or another definition. Each function takes
(generator, image float64 [H, W, 3] in [0, 1], parameters) and returns the image before it is truncated to 8 bits.
"""

import functools
import importlib.resources
import io
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import PIL.Image
import scipy.ndimage
import skimage.color
import skimage.filters
import skimage.util

Generator = np.random.Generator

# Severities 1..5 for 32 pixels, copied from the published scripts and not from the table that they judge.
CIFAR = {
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": (500, 250, 100, 75, 50),
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    "jpeg_compression": (80, 65, 58, 50, 40),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "elastic_transform": ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
}
# The same for 224 pixels where imagecorruptions differs from the paper.
IMAGENET = {
    "elastic_transform": (
        (488, 170.8, 24.4),
        (488, 19.52, 48.8),
        (12.2, 2.44, 4.88),
        (17.08, 2.44, 4.88),
        (29.28, 2.44, 4.88),
    ),
}
_FROST_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
_FROST_SCALE = 0.2


def gaussian_noise(rng: Generator, x: np.ndarray, sigma: float) -> np.ndarray:
    """Normal noise."""
    return x + rng.normal(scale=sigma, size=x.shape)


def shot_noise(rng: Generator, x: np.ndarray, photons: float) -> np.ndarray:
    """Poisson noise."""
    return rng.poisson(x * photons) / photons


def impulse_noise(rng: Generator, x: np.ndarray, amount: float) -> np.ndarray:
    """Salt and pepper in every channel."""
    return skimage.util.random_noise(x, mode="s&p", amount=amount, rng=rng)


def speckle_noise(rng: Generator, x: np.ndarray, sigma: float) -> np.ndarray:
    """Multiplicative normal noise."""
    return x * (1 + rng.normal(scale=sigma, size=x.shape))


def gaussian_blur(rng: Generator, x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur."""
    return skimage.filters.gaussian(x, sigma=sigma, channel_axis=-1)


def glass_blur(rng: Generator, x: np.ndarray, c: tuple[float, int, int]) -> np.ndarray:
    """Pixels copied from random neighbours in raster order, between two blurs: the copy of the released data."""
    sigma, reach, passes = c
    pixels = np.floor(skimage.filters.gaussian(x, sigma=sigma, channel_axis=-1) * 255) / 255
    height, width = x.shape[:2]
    for _ in range(passes):
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                dx, dy = rng.integers(-reach, reach, size=2)
                pixels[h, w] = pixels[h + dy, w + dx]
    return skimage.filters.gaussian(pixels, sigma=sigma, channel_axis=-1)


def defocus_blur(rng: Generator, x: np.ndarray, c: tuple[float, float]) -> np.ndarray:
    """A disk, smoothed by a small Gaussian."""
    radius, sigma = c
    half, side = (8, 3) if radius <= 8 else (int(radius), 5)
    y, z = np.mgrid[-half : half + 1, -half : half + 1]
    disk = (y**2 + z**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disk / disk.sum(), ksize=(side, side), sigmaX=sigma)
    return np.stack([cv2.filter2D(x[..., i], -1, kernel) for i in range(3)], axis=-1)


def smear(x: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's motion blur: taps of a half Gaussian, a pixel apart along a line, edges repeated."""
    taps = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    direction = math.radians(angle)
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    out = np.zeros_like(x)
    for i, tap in enumerate(taps):
        down, right = (math.ceil(i * f(direction) - 0.5) for f in (math.sin, math.cos))
        from_row = np.clip(rows + down, 0, x.shape[0] - 1)
        from_column = np.clip(columns + right, 0, x.shape[1] - 1)
        out += tap * x[from_row][:, from_column]
    return out


def motion_blur(rng: Generator, x: np.ndarray, c: tuple[int, float]) -> np.ndarray:
    """Blur along a random direction within 45 degrees of the horizontal."""
    return smear(x, c[0], c[1], rng.uniform(-45, 45))


def clipped_zoom(x: np.ndarray, factor: float) -> np.ndarray:
    """The centre, enlarged linearly and trimmed to the size of the image."""
    side = len(x)
    kept = math.ceil(side / factor)
    top = (side - kept) // 2
    zoomed = scipy.ndimage.zoom(x[top : top + kept, top : top + kept], (factor, factor, 1), order=1)
    trim = (len(zoomed) - side) // 2
    return zoomed[trim : trim + side, trim : trim + side]


def zoom_blur(rng: Generator, x: np.ndarray, c: tuple[float, float]) -> np.ndarray:
    """Mean of the image and its enlargements."""
    factors = np.arange(1, *c)
    return (x + sum(clipped_zoom(x, factor) for factor in factors)) / (len(factors) + 1)


def plasma(rng: Generator, side: int, decay: float) -> np.ndarray:
    """Diamond-square heights in [0, 1]; the shake is the square of the amplitude that decays."""
    field, step, amplitude = np.zeros((side, side)), side, 100.0

    def shaken(total):
        return total / 4 + amplitude * rng.uniform(-amplitude, amplitude, total.shape)

    while step >= 2:
        half = step // 2
        corner = field[::step, ::step]
        both = corner + np.roll(corner, -1, axis=0)
        field[half::step, half::step] = shaken(both + np.roll(both, -1, axis=1))
        centre = field[half::step, half::step]
        field[::step, half::step] = shaken(centre + np.roll(centre, 1, axis=0) + corner + np.roll(corner, -1, axis=1))
        field[half::step, ::step] = shaken(centre + np.roll(centre, 1, axis=1) + corner + np.roll(corner, -1, axis=0))
        step, amplitude = half, amplitude / decay
    return (field - field.min()) / np.ptp(field)


def fog(rng: Generator, x: np.ndarray, c: tuple[float, float]) -> np.ndarray:
    """Plasma added, the sum scaled back to the image's maximum."""
    side = 2 ** math.ceil(math.log2(len(x)))
    thick = x + c[0] * plasma(rng, side, c[1])[: len(x), : len(x), None]
    return thick * x.max() / (x.max() + c[0])


@functools.cache
def _frost_textures() -> tuple[np.ndarray, ...]:
    folder = importlib.resources.files("imagecorruptions") / "frost"
    textures = [cv2.imread(str(folder / name))[..., ::-1] for name in _FROST_FILES]
    return tuple(cv2.resize(t, (0, 0), fx=_FROST_SCALE, fy=_FROST_SCALE) / 255.0 for t in textures)


def frost(rng: Generator, x: np.ndarray, c: tuple[float, float]) -> np.ndarray:
    """A piece of a photograph of frost, added."""
    texture = _frost_textures()[rng.integers(5)]
    top, left = (rng.integers(0, texture.shape[i] - x.shape[i]) for i in (0, 1))
    return c[0] * x + c[1] * texture[top : top + x.shape[0], left : left + x.shape[1]]


def snow(rng: Generator, x: np.ndarray, c: tuple[float, ...]) -> np.ndarray:
    """Smeared flakes over a whitened image."""
    mean, deviation, zoom, level, radius, sigma, kept = c
    flakes = clipped_zoom(rng.normal(mean, deviation, x.shape[:2])[..., None], zoom)[..., 0]
    flakes = np.clip(np.where(flakes < level, 0, flakes), 0, 1)
    flakes = smear(np.floor(flakes * 255) / 255, int(radius), sigma, rng.uniform(-135, -45))
    flakes = np.rint(flakes * 255)[..., None] / 255
    grey = cv2.cvtColor(x.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    return kept * x + (1 - kept) * np.maximum(x, grey * 1.5 + 0.5) + flakes + np.rot90(flakes, k=2)


def spatter(rng: Generator, x: np.ndarray, c: tuple[float, ...]) -> np.ndarray:
    """Drops of water with lit edges, or patches of mud."""
    mean, deviation, sigma, level, strength, mud = c
    liquid = skimage.filters.gaussian(rng.normal(mean, deviation, x.shape[:2]), sigma=sigma)
    liquid[liquid < level] = 0
    if mud:
        cover = skimage.filters.gaussian((liquid > level).astype(np.float32), sigma=strength)
        cover = np.where(cover < 0.8, 0, cover)[..., None]
        return x * (1 - cover) + cover * np.asarray([63, 42, 20]) / 255
    liquid = (liquid * 255).astype(np.int64).astype(np.uint8)  # Wraps around above 1, as released.
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.equalizeHist(cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8))
    emboss = np.asarray([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    relief = cv2.blur(cv2.filter2D(distance, cv2.CV_8U, emboss), (3, 3)).astype(np.float32) * liquid
    water = strength * relief / max(relief.max(), 1e-12)
    return x + np.clip(water[..., None] * np.asarray([175, 238, 238]) / 255, 0, 1)


def contrast(rng: Generator, x: np.ndarray, gain: float) -> np.ndarray:
    """Drawn together about the mean of each channel."""
    mean = x.mean(axis=(0, 1), keepdims=True)
    return (x - mean) * gain + mean


def brightness(rng: Generator, x: np.ndarray, added: float) -> np.ndarray:
    """Added to the value of HSV."""
    hsv = skimage.color.rgb2hsv(x)
    hsv[..., 2] = np.clip(hsv[..., 2] + added, 0, 1)
    return skimage.color.hsv2rgb(hsv)


def saturate(rng: Generator, x: np.ndarray, c: tuple[float, float]) -> np.ndarray:
    """The saturation of HSV scaled and shifted."""
    hsv = skimage.color.rgb2hsv(x)
    hsv[..., 1] = np.clip(hsv[..., 1] * c[0] + c[1], 0, 1)
    return skimage.color.hsv2rgb(hsv)


def _pillow(x: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.rint(x * 255).astype(np.uint8))


def jpeg_compression(rng: Generator, x: np.ndarray, quality: int) -> np.ndarray:
    """Saved as JPEG and read again."""
    file = io.BytesIO()
    _pillow(x).save(file, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(file)) / 255


def pixelate(rng: Generator, x: np.ndarray, share: float) -> np.ndarray:
    """Box filter down and up."""
    height, width = x.shape[:2]
    small = _pillow(x).resize((int(width * share), int(height * share)), PIL.Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), PIL.Image.Resampling.BOX)) / 255


def elastic_transform(rng: Generator, x: np.ndarray, c: tuple[float, float, float]) -> np.ndarray:
    """A random affine map, then a smooth random displacement."""
    amplitude, sigma, reach = c
    shape = x.shape[:2]
    centre, third = np.float32(shape) // 2, min(shape) // 3
    corners = np.float32([centre + third, [centre[0] + third, centre[1] - third], centre - third])
    moved = corners + rng.uniform(-reach, reach, size=corners.shape).astype(np.float32)
    affine = cv2.getAffineTransform(corners, moved)
    warped = cv2.warpAffine(x.astype(np.float32), affine, shape[::-1], borderMode=cv2.BORDER_REFLECT_101)
    rows, columns = np.meshgrid(*map(np.arange, shape), indexing="ij")
    shifts = [
        amplitude * skimage.filters.gaussian(rng.uniform(-1, 1, shape), sigma, mode="reflect", truncate=3)
        for _ in range(2)
    ]
    places = (rows + shifts[0], columns + shifts[1])
    return np.stack(
        [scipy.ndimage.map_coordinates(warped[..., i], places, order=1, mode="reflect") for i in range(3)], axis=-1
    )


def corrupt(
    rng: Generator, image: np.ndarray, name: str, severity: int, parameters: dict[str, tuple[Any, ...]]
) -> np.ndarray:
    """Corrupts one image.

    Args:
      rng: generator of the draws.
      image: uint8 [H, W, 3].
      name: name of the corruption.
      severity: 1..5.
      parameters: CIFAR or IMAGENET.

    Returns:
      uint8 [H, W, 3], truncated as the originals do.
    """
    fn: Callable[..., np.ndarray] = globals()[name]
    out = fn(rng, image / 255.0, parameters[name][severity - 1])
    # Files and Pillow images are whole numbers already, which 255 * (k / 255) may miss by a rounding error.
    return np.floor(np.clip(out, 0, 1) * 255 + 1e-9).astype(np.uint8)
