"""Optical and motion blur: Gaussian, defocus and motion, after Hendrycks and Dietterich (2019)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import total
from causal_iqa.degradations import _filters, _point_spread, ladder, spec

__all__ = ["defocus_blur", "gaussian_blur", "motion_blur"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
GAUSSIAN_BLUR_SIGMA = {
    "imagenet224": (1.0, 2.0, 3.0, 4.0, 6.0),
    "inception299": (1.5, 2.5, 3.5, 4.5, 6.5),
    "tiny64": (0.5, 0.75, 1.0, 1.25, 1.5),
    "cifar32": (0.4, 0.6, 0.7, 0.8, 1.0),
}
# Radius of the disk and sigma of the blur of its edge, both in pixels.
DEFOCUS_BLUR_DISK = {
    "imagenet224": ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    "inception299": ((4.0, 0.1), (5.0, 0.5), (7.0, 0.5), (10.0, 0.5), (12.0, 0.5)),
    "tiny64": ((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
    "cifar32": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
}
# Radius r (2 r + 1 taps) and sigma of the half Gaussian, both in pixels.
MOTION_BLUR_LINE = {
    "imagenet224": ((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
    "inception299": ((12.0, 4.0), (17.0, 6.0), (17.0, 9.0), (17.0, 13.0), (22.0, 16.0)),
    "tiny64": ((10.0, 1.0), (10.0, 1.5), (10.0, 2.0), (10.0, 2.5), (12.0, 3.0)),
    "cifar32": ((6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)),
}

# Up to this reach shifted images are faster than matrices.
_SHORT = 12
_MOTION_DEGREES = 45.0
_MOTION_ANGLES = 1024


def gaussian_blur(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Blurs by a Gaussian cut at four sigmas, edge pixels repeated.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019), extra corruptions; scikit-image `gaussian(mode="nearest", truncate=4)`.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.gaussian_blur)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.17')
    """
    del key
    family = ladder.family_of(image, family)
    table = GAUSSIAN_BLUR_SIGMA[family]
    sigma = ladder.mix(0.0, table, severity)
    reach = _filters.gaussian_reach(max(table))
    if reach <= _SHORT:
        return ladder.finish(image, _filters.short_gaussian(image, sigma, reach), severity)
    rows, columns = (_filters.edge_gaussian(side, sigma, reach) for side in image.shape[:2])
    return ladder.finish(image, _filters.separable(image, rows, columns), severity)


def defocus_blur(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Blurs by a disk whose edge is softened by a small Gaussian, borders reflected without the edge pixel.

    Between rows the kernels are mixed, as a disk on whole pixels jumps with its radius.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); OpenCV `GaussianBlur` and `filter2D` with their default border.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.defocus_blur)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.13')
    """
    del key
    family = ladder.family_of(image, family)
    table = _disk_kernels(DEFOCUS_BLUR_DISK[family])
    kernel = ladder.mix(table[0], table[1:], severity)
    reach = kernel.shape[0] // 2
    height, width, _ = image.shape
    shape = _point_spread.fast_shape(height + 2 * reach, width + 2 * reach)
    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    # The kernel is symmetric, so convolution and correlation agree.
    spectrum = jnp.fft.rfft2(jnp.moveaxis(padded, -1, 0), shape) * jnp.fft.rfft2(kernel, shape)[None]
    out = jnp.fft.irfft2(spectrum, shape)[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return ladder.finish(image, jnp.moveaxis(out, 0, -1), severity)


@functools.lru_cache(maxsize=8)
def _disk_kernels(disks: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Kernels of severities 0..5 on one grid, float32 [6, n, n]; the first is the identity."""
    kernels = [_disk(radius, alias) for radius, alias in disks]
    # The published grid is at least 17 wide; most of it is zero for the small disks.
    reach = max(int(np.abs(np.argwhere(k > 0) - k.shape[0] // 2).max()) for k in kernels)
    table = np.zeros((len(disks) + 1, 2 * reach + 1, 2 * reach + 1))
    table[0, reach, reach] = 1.0
    for row, kernel in zip(table[1:], kernels, strict=True):
        centre = kernel.shape[0] // 2
        keep = min(reach, centre)
        row[reach - keep : reach + keep + 1, reach - keep : reach + keep + 1] = kernel[
            centre - keep : centre + keep + 1, centre - keep : centre + keep + 1
        ]
    return table.astype(np.float32)


def _disk(radius: float, alias: float) -> np.ndarray:
    """One published kernel: a disk on whole pixels, normalised, then a Gaussian of 3 (5 for radius > 8) taps."""
    reach, taps = (8, 3) if radius <= 8 else (int(radius), 5)
    grid = np.arange(-reach, reach + 1)
    disk = (grid[:, None] ** 2 + grid[None, :] ** 2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    gauss = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / alias) ** 2)
    gauss /= gauss.sum()
    padded = np.pad(disk, taps // 2, mode="reflect")
    size = disk.shape[0]
    padded = total(g * padded[i : i + size, :] for i, g in enumerate(gauss))
    return total(g * padded[:, i : i + size] for i, g in enumerate(gauss))


def motion_blur(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Averages the image along a line that leaves each pixel at a random angle in (-45, 45) degrees.

    y[p] = sum_i g_i x[p + round(i (cos t, sin t))], i = 0..2 r, g the right half of a Gaussian, edge pixels repeated.

    Args:
      key: random key; decides the angle.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); ImageMagick `MotionBlurImage`.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.motion_blur)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.53')
    """
    family = ladder.family_of(image, family)
    table = MOTION_BLUR_LINE[family]
    radius, sigma = ladder.mix((0.0, 0.0), table, severity)
    taps = 2 * math.ceil(max(row[0] for row in table)) + 1
    return ladder.finish(image, line_blur(image, radius, sigma, line_offsets(key, taps)), severity)


def line_blur(image: jax.Array, radius: jax.Array, sigma: jax.Array, offsets: jax.Array) -> jax.Array:
    """Averages along a line by the right half of a Gaussian, edge pixels repeated.

    Args:
      image: float32 [H, W, C].
      radius: scalar in pixels, traced; 2 ceil(radius) + 1 taps count.
      sigma: scalar in pixels, traced.
      offsets: int32 [taps, 2] of `line_offsets`.

    Returns:
      float32 [H, W, C].

    References:
      [1] ImageMagick `MotionBlurImage`.
    """
    taps = offsets.shape[0]
    step = np.arange(taps, dtype=np.float32)
    gauss = jnp.exp(-0.5 * jnp.square(step / jnp.maximum(sigma, 1e-3)))
    gauss = jnp.where(step <= 2.0 * jnp.ceil(radius), gauss, 0.0)
    gauss = gauss / jnp.sum(gauss)
    reach = taps - 1
    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        start = (offsets[i, 1] + reach, offsets[i, 0] + reach, 0)
        return total + gauss[i] * jax.lax.dynamic_slice(padded, start, image.shape)

    return jax.lax.fori_loop(0, taps, add, jnp.zeros_like(image))


def line_offsets(key: jax.Array, taps: int, middle: float = 0.0) -> jax.Array:
    """Offsets (x, y) in whole pixels of the taps of a line at a random angle within 45 degrees of `middle`.

    Args:
      key: random key; chooses one of 1024 angles.
      taps: static.
      middle: middle of the range of angles in degrees, static.

    Returns:
      int32 [taps, 2].
    """
    return jnp.asarray(_line_offsets(taps, middle))[jax.random.randint(key, (), 0, _MOTION_ANGLES)]


@functools.lru_cache(maxsize=8)
def _line_offsets(taps: int, middle: float) -> np.ndarray:
    """Offsets (x, y) in whole pixels of each tap for each angle, int32 [angles, taps, 2].

    Rounded here in double precision, so that no rounding depends on how the image was batched.
    """
    share = (np.arange(_MOTION_ANGLES) + 0.5) / _MOTION_ANGLES
    angle = np.deg2rad(middle + _MOTION_DEGREES * (2.0 * share - 1.0))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.ceil(np.arange(taps)[None, :, None] * direction[:, None, :] - 0.5).astype(np.int32)


SPECS = (
    spec.DegradationSpec(
        name="gaussian_blur",
        fn=gaussian_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=GAUSSIAN_BLUR_SIGMA,
        convention="scikit-image's Gaussian: cut at 4 sigma, edge repeated; neutral sigma 0",
        for_validation=True,
    ),
    spec.DegradationSpec(
        name="defocus_blur",
        fn=defocus_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=DEFOCUS_BLUR_DISK,
        convention="(radius, alias sigma); OpenCV's reflect-101 border; kernels mixed between rows, neutral a point",
    ),
    spec.DegradationSpec(
        name="motion_blur",
        fn=motion_blur,
        group="blur",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=MOTION_BLUR_LINE,
        convention="(radius, sigma); ImageMagick's one-sided half Gaussian of 2 r + 1 nearest-pixel taps, edge "
        "repeated; angle in U(-45, 45) drawn from 1024 values; neutral (0, 0)",
    ),
)
