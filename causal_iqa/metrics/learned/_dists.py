"""DISTS: structure and texture similarity in the features of VGG16 with smooth pooling.

Weights come from the original files: torchvision's VGG16 and the authors' alpha and beta.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, backbones
from causal_iqa._arrays import Params, total
from causal_iqa.backbones.layers import plain_cnn
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import vgg
from causal_iqa.metrics import _pixels

_CHAIN = vgg.VARIANTS["vgg16"]
_CHANNELS = (3, 64, 128, 256, 512, 512)
_C1 = _C2 = 1e-6
# Reference [1], eq. 1: Hanning window of five samples without its zeros, stride 2.
_POOL = (0.25, 0.5, 0.25)
_POOL_FLOOR = 1e-12
SMALLEST_SIDE = 16


def channel_params(checkpoint: checkpoints.Checkpoint) -> dict[str, np.ndarray]:
    """Reads the authors' weights.pt: alpha and beta, one per channel of the image and of five stages.

    Args:
      checkpoint: the file.

    Returns:
      {"alpha": float32 [1475], "beta": float32 [1475]}, divided by the sum of both.

    Raises:
      InputError: when the file holds something else, or the weights do not add up to something positive.
    """
    shape = (1, sum(_CHANNELS), 1, 1)
    checkpoints.check_layout(checkpoint, {"alpha": shape, "beta": shape}, "the weights of dists")
    checkpoints.check_numbers(checkpoint.path, checkpoint.tensors)
    alpha, beta = (np.asarray(checkpoint.tensors[name], np.float64).reshape(-1) for name in ("alpha", "beta"))
    whole = alpha.sum() + beta.sum()
    if not np.isfinite(whole) or whole <= 0:
        raise _checks.InputError(f"{checkpoint.path}: expected alpha and beta with a positive sum, got {whole}")
    return {"alpha": (alpha / whole).astype(np.float32), "beta": (beta / whole).astype(np.float32)}


def _smooth_pool(x: jax.Array) -> jax.Array:
    """Root of the Hanning-weighted mean square, every second pixel, zeros beyond the border; [B, H, W, C]."""
    x = jnp.square(x)
    for axis in (1, 2):
        count = (x.shape[axis] - 1) // 2 + 1
        x = jnp.pad(x, [(0, 0) if a != axis else (1, 1) for a in range(4)])
        x = total(
            weight * jax.lax.slice_in_dim(x, k, k + 2 * count - 1, 2, axis=axis) for k, weight in enumerate(_POOL)
        )
    return jnp.sqrt(x + _POOL_FLOOR)


def _maps(params: Params, images: jax.Array) -> list[jax.Array]:
    """The images and the five stages, [B, h, w, c]."""
    x = jax.vmap(lambda image: backbones.normalise(plain_cnn.preprocessing(_CHAIN), image))(images)
    maps = [images]
    for layer in _CHAIN.layers[:-1]:
        if isinstance(layer, plain_cnn.Pool):
            x = _smooth_pool(x)
            continue
        weights = params[f"conv{layer.index}"]
        pads = [(layer.padding, layer.padding)] * 2
        x = jax.lax.conv_general_dilated(
            x, weights["kernel"], (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
        )
        x = jax.nn.relu(x + weights["bias"].reshape(1, 1, 1, -1))
        if layer.stage:
            maps.append(x)
    return maps


def dists(params: Params, reference: jax.Array, image: jax.Array) -> jax.Array:
    """Deep image structure and texture similarity.

    1 - sum over channels of alpha l + beta s, l = (2 mx my + c1) / (mx^2 + my^2 + c1) of the means of a feature map and
    s = (2 sxy + c2) / (sx^2 + sy^2 + c2) of its variances and covariance. No resizing (the authors' script brings the
    shorter side to 256 first; piq does, pyiqa and torchmetrics do not).

    Args:
      params: {"trunk": of `lpips.trunk_params("vgg16", ...)`, "channels": of `channel_params`}.
      reference: float32 [H, W, 3] in [0, 1], sides of at least 16.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, about 0 to 1; lower is better, 0 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 16 pixels.

    References:
      [1] Ding, Ma, Wang, Simoncelli, "Image quality assessment: unifying structure and texture similarity", TPAMI 2022,
          eq. 1 to 7.

    Examples:
      >>> dists = metrics.resolve("dists@FILE").fn  # needs weights  # doctest: +SKIP
      >>> distance = dists(reference, image)  # needs weights  # doctest: +SKIP
    """
    _pixels.check_pair(reference, image, SMALLEST_SIDE, "dists")
    similarity, start = jnp.zeros((), image.dtype), 0
    alpha, beta = (jnp.asarray(params["channels"][name]) for name in ("alpha", "beta"))
    for pair in _maps(params["trunk"], jnp.stack([reference, image])):
        stop = start + pair.shape[-1]
        means = jnp.mean(pair, axis=(1, 2))
        x, y = pair - means[:, None, None, :]
        mx, my = means
        vx, vy, vxy = (jnp.mean(product, axis=(0, 1)) for product in (x * x, y * y, x * y))
        luminance = (2.0 * mx * my + _C1) / (mx * mx + my * my + _C1)
        structure = (2.0 * vxy + _C2) / (vx + vy + _C2)
        similarity = similarity + jnp.sum(alpha[start:stop] * luminance + beta[start:stop] * structure)
        start = stop
    return 1.0 - similarity
