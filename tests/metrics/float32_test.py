"""Float32 has the digits of float64, compiled or not, where an image is partly flat and small differences are left."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import images, metrics

# Those whose formulas subtract what nearly cancels, take roots of what may vanish, or compare with a threshold.
_NAMES = (
    "psnr", "ssim_scikit_image", "uqi", "gmsd", "mdsi", "dss", "variance_of_laplacian", "noise_sigma", "colourfulness",
    "jpeg_quality", "spectral_slope", "piqe",
)  # fmt: skip
_SIDE = 64


def _pair(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    sky = np.stack([170 + 40 * (rows < _SIDE // 2), 190 + 20 * (columns < _SIDE // 3), 230 + 0 * rows], -1)
    sky[_SIDE // 2 :, _SIDE // 2 :] = rng.normal(120, 40, (_SIDE // 2, _SIDE // 2, 3)).clip(0, 255)
    reference = sky.astype(np.uint8)
    if kind == "jpeg":
        stored = io.BytesIO()
        PIL.Image.fromarray(reference).save(stored, "jpeg", quality=8)
        return reference, np.asarray(PIL.Image.open(stored))
    return reference, np.where(reference > 128, 255, reference // 16 * 16).astype(np.uint8)


@pytest.mark.parametrize("name", _NAMES)
def test_float32_is_float64(name):
    spec = metrics.TABLE[name]

    def score(reference, image):
        return metrics.evaluate(spec, reference, image)

    pairs = [_pair(kind) for kind in ("jpeg", "posterised")]
    compiled = jax.jit(score)
    singles = [[images.from_uint8(jnp.asarray(part)) for part in pair] for pair in pairs]
    found = [[float(compiled(*pair)), float(score(*pair))] for pair in singles]
    with jax.enable_x64(True):
        exact = [float(jax.jit(score)(*(jnp.asarray(part / 255.0) for part in pair))) for pair in pairs]
    assert np.isfinite(exact).all()
    np.testing.assert_allclose(np.array(found), np.array(exact)[:, None] * np.ones(2), rtol=3e-6, atol=2e-6)
