"""Blur by a point spread function of two dimensions: camera shake and astigmatism, in linear light."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy import fft as host_fft

from causal_iqa import _checks, colour
from causal_iqa._arrays import pair
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["astigmatism", "camera_shake"]

# Largest distance of the trajectory from its mean, as a share of the shorter side.
CAMERA_SHAKE_RADIUS = {spec.ANY_SIZE: (0.01, 0.02, 0.03, 0.045, 0.065)}
# Half axes of the blur ellipse, as shares of the shorter side.
ASTIGMATISM_AXES = {spec.ANY_SIZE: ((0.01, 0.004), (0.018, 0.006), (0.026, 0.008), (0.036, 0.01), (0.05, 0.013))}

_MODES = ("reflect", "edge")
# Boracchi and Foi (2012) integrate the exposure over a random motion; number of its instants.
_INSTANTS = 64
# Share of the velocity kept from one instant to the next; normal quantile of the chance per instant, 4 %, of a sudden
# shake that reverses it.
_INERTIA = 0.93
_SHAKE_LEVEL = -1.7507


def fast_shape(height: int, width: int) -> tuple[int, int]:
    """The smallest sides, none below these, of which a real Fourier transform is fast."""
    fast = (host_fft.next_fast_len(side, real=True) for side in (height, width))
    return pair(fast)  # pyright: ignore[reportReturnType] (SciPy's function is a stub that a backend fills.)


def convolve(image: jax.Array, kernel: jax.Array, *, border: str = "reflect") -> jax.Array:
    """Convolves every channel with one kernel by the fast Fourier transform.

    Args:
      image: float32 [H, W, C].
      kernel: float32 [k, k], k odd, k <= 2 min(H, W) - 1, its middle the origin.
      border: static, "reflect" (mirrored about the outer pixels' centres) or "edge" (repeated).

    Returns:
      float32 [H, W, C].

    Raises:
      InputError: when the border is unknown.
      ValueError: when the kernel is not square with an odd side.
    """
    _checks.check_choice(border, _MODES, "border")
    size = kernel.shape[0]
    if kernel.shape != (size, size) or size % 2 == 0:
        raise ValueError(f"kernel: expected a square of odd side, got shape {kernel.shape}")
    reach, (height, width, _) = size // 2, image.shape
    padded = jnp.pad(jnp.moveaxis(image, -1, 0), ((0, 0), (reach, reach), (reach, reach)), mode=border)
    shape = fast_shape(height + 2 * reach, width + 2 * reach)
    spectrum = jnp.fft.rfft2(padded, shape) * jnp.fft.rfft2(kernel, shape)[None]
    # The transform is circular: what wraps around stays within the padding.
    out = jnp.fft.irfft2(spectrum, shape)[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return jnp.moveaxis(out, 0, -1)


def _blurred(image: jax.Array, kernel: jax.Array, severity: jax.Array) -> jax.Array:
    linear = colour.to_linear(_light.wide(image)).reshape(image.shape)
    return _light.finish_wide(image, colour.to_srgb(_light.wide(convolve(linear, kernel))), severity)


def camera_shake(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Blurs along the random path of a hand-held camera.

    Args:
      key: random key; decides the path, which grows with severity.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Boracchi, Foi (2012). Modeling the performance of image restoration from motion blur. IEEE TIP, section III.

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.camera_shake, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    side = _light.check_any_size(image, family)
    rows = CAMERA_SHAKE_RADIUS[spec.ANY_SIZE]
    radius = side * ladder.mix(0.0, rows, severity)
    kernel = path_kernel(radius * shake_path(key), math.ceil(side * max(rows)) + 1)
    return _blurred(image, kernel, severity)


def shake_path(key: jax.Array) -> jax.Array:
    """Draws the path of a shaking camera: velocity with inertia, random pushes and rare reversals.

    Args:
      key: random key.

    Returns:
      float32 [instants, 2], (down, right), mean 0, largest distance from it 1.

    References:
      [1] Boracchi, Foi (2012). Modeling the performance of image restoration from motion blur. IEEE TIP, section III.
    """
    draws = jax.random.normal(key, (1 + _INSTANTS, 3), jnp.float32)
    push = 0.3 * draws[1:, :2]
    keep = jnp.where(draws[1:, 2] < _SHAKE_LEVEL, -_INERTIA, _INERTIA)

    def step(velocity: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        velocity = now[1] * velocity + now[0]
        return velocity, velocity

    _, velocities = jax.lax.scan(step, draws[0, :2], (push, keep))
    path = jnp.cumsum(velocities, axis=0)
    path = path - jnp.mean(path, axis=0, keepdims=True)
    return path / jnp.maximum(jnp.sqrt(jnp.max(jnp.sum(jnp.square(path), axis=1))), 1e-6)


def path_kernel(path: jax.Array, reach: int) -> jax.Array:
    """Kernel of a point that dwells evenly at the instants of a path, each shared by its four nearest pixels.

    Args:
      path: float32 [n, 2] in pixels, (down, right) from the middle, at most reach - 1 away.
      reach: static int, half the side of the kernel.

    Returns:
      float32 [2 reach + 1, 2 reach + 1], not negative, of sum 1 and mean that of the path.
    """
    grid = np.arange(-reach, reach + 1, dtype=np.float32)[None, :]
    down = jnp.maximum(0.0, 1.0 - jnp.abs(path[:, :1] - grid))
    right = jnp.maximum(0.0, 1.0 - jnp.abs(path[:, 1:] - grid))
    return jnp.einsum("ty,tx->yx", down, right, precision="highest") / path.shape[0]


def astigmatism(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Defocuses more along one direction than across it: the blur is an even ellipse at a random angle.

    Args:
      key: random key; it determines the angle, which is the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Born, Wolf (1999). Principles of Optics, 7th ed., section 5.3 (between the foci of an astigmatic pencil the
      geometric image of a point is an ellipse).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.astigmatism)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.44')
    """
    side = _light.check_any_size(image, family)
    rows = ASTIGMATISM_AXES[spec.ANY_SIZE]
    axes = side * ladder.mix((0.0, 0.0), rows, severity)
    angle = jax.random.uniform(key, (), jnp.float32, 0.0, np.pi)
    kernel = ellipse_kernel(axes, angle, math.ceil(side * max(row[0] for row in rows)) + 1)
    return _blurred(image, kernel, severity)


def ellipse_kernel(axes: jax.Array, angle: jax.Array, reach: int) -> jax.Array:
    """Even ellipse whose edge falls off linearly over a pixel.

    Args:
      axes: float32 [2], half axes in pixels, traced.
      angle: scalar in radians of the first axis, from right towards down, traced.
      reach: static int, half the side of the kernel.

    Returns:
      float32 [2 reach + 1, 2 reach + 1], not negative, of sum 1.
    """
    grid = np.arange(-reach, reach + 1, dtype=np.float32)
    down, right = grid[:, None], grid[None, :]
    # Half a pixel more: an ellipse of no size is then one pixel.
    first, second = axes[0] + 0.5, axes[1] + 0.5
    along = (right * jnp.cos(angle) + down * jnp.sin(angle)) / first
    across = (down * jnp.cos(angle) - right * jnp.sin(angle)) / second
    distance = jnp.sqrt(jnp.square(along) + jnp.square(across) + 1e-12)
    # One over the slope of `distance` turns it into pixels from the edge, to first order.
    slope = jnp.sqrt(jnp.square(along / first) + jnp.square(across / second) + 1e-12) / distance
    inside = jnp.clip(0.5 + (1.0 - distance) / slope, 0.0, 1.0)
    return inside / jnp.sum(inside)


SPECS = (
    spec.DegradationSpec(
        name="camera_shake",
        fn=camera_shake,
        group="blur",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=CAMERA_SHAKE_RADIUS,
        convention="largest distance of a random path from its mean as a share of the shorter side; blur in linear "
        "light, border mirrored; neutral 0",
        published=False,
        reference="Boracchi, Foi (2012). Modeling the performance of image restoration from motion blur. IEEE TIP; "
        "rows reasoned",
    ),
    spec.DegradationSpec(
        name="astigmatism",
        fn=astigmatism,
        group="blur",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=ASTIGMATISM_AXES,
        convention="half axes of an ellipse at a random angle as shares of the shorter side, half a pixel added; blur "
        "in linear light, border mirrored; neutral (0, 0)",
        published=False,
        reference="Born, Wolf (1999). Principles of Optics, section 5.3; rows reasoned",
    ),
)
