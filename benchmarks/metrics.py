"""Conventional metrics against scikit-image (the bench extra): python -m benchmarks.metrics --json=PATH"""

import functools

import jax
import numpy as np
import skimage
import skimage.measure
import skimage.metrics
from absl import app, flags

from benchmarks import harness
from causal_iqa import metrics

_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_SIDES = flags.DEFINE_list("sides", ["32", "224"], "Sides of the images in pixels.")
_BATCH = flags.DEFINE_integer("batch", 32, "Images in one run.")

_SSIM = {"channel_axis": 2, "data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    # scikit-image pads by reflection; the valid part, five pixels in, is the convention of ours.
    values = skimage.metrics.structural_similarity(a, b, full=True, **_SSIM)[1]
    return float(values[5:-5, 5:-5].mean())


_PEERS = {
    "mse": lambda a, b: skimage.metrics.mean_squared_error(a, b),
    "psnr": lambda a, b: skimage.metrics.peak_signal_noise_ratio(a, b, data_range=1.0),
    "ssim": _ssim,
}


def main(_: list[str]) -> None:
    """Checks that both agree, then times them."""
    rows = []
    for side in map(int, _SIDES.value):
        rng = np.random.default_rng(0)
        reference = rng.uniform(size=(_BATCH.value, side, side, 3)).astype(np.float32)
        image = np.clip(reference + 0.1 * rng.normal(size=reference.shape), 0, 1).astype(np.float32)
        for name, peer in _PEERS.items():
            ours = functools.partial(jax.jit(jax.vmap(metrics.TABLE[name].fn)), reference, image)
            loop = functools.partial(lambda peer, a, b: [peer(x, y) for x, y in zip(a, b, strict=True)], peer)
            np.testing.assert_allclose(ours(), loop(reference, image), rtol=1e-4)
            peer_name = f"scikit-image {skimage.__version__}"
            rows.append(
                harness.compare(
                    name,
                    f"{side} px",
                    ours,
                    functools.partial(loop, reference, image),
                    peer_name=peer_name,
                    images=_BATCH.value,
                )
            )
    harness.write(rows, _JSON.value)


if __name__ == "__main__":
    app.run(main)
