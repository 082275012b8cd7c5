"""DSS of flat blocks."""

import io

import jax
import numpy as np
import PIL.Image
import pytest

from causal_iqa import images, metrics
from tests.metrics import similarity_oracles as oracles


def _flat_blocks(side, quality):
    """A photograph-like half of noise below flat sky, and the same through JPEG: many blocks hardly differ."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    reference = np.stack([170 + 40 * (rows < side // 2), 190 + 20 * (columns < side // 3), 200 + 0 * rows], -1)
    reference[side // 2 :, side // 2 :] = rng.normal(120, 40, (side - side // 2, side - side // 2, 3)).clip(0, 255)
    stored = io.BytesIO()
    PIL.Image.fromarray(reference.astype(np.uint8)).save(stored, "jpeg", quality=quality)
    return reference.astype(np.uint8), np.asarray(PIL.Image.open(stored))


@pytest.mark.parametrize(("side", "quality"), [(192, 10), (200, 5)])
def test_dss_of_flat_blocks_has_all_digits_compiled_or_not(side, quality):
    # Root of a product of variances: what float32 left of E[x^2] - E[x]^2 gave 1e-4.
    pair = _flat_blocks(side, quality)
    expected = oracles.dss(*pair)
    arguments = [images.from_uint8(part) for part in pair]
    for fn in (metrics.TABLE["dss"].fn, jax.jit(metrics.TABLE["dss"].fn)):
        assert float(fn(*arguments)) == pytest.approx(expected, abs=1e-6)
