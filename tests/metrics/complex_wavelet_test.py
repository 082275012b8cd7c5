"""CW-SSIM under small shifts."""

import jax

from causal_iqa import images, metrics
from tests.golden import photographs


def test_cw_ssim_forgives_a_small_shift():
    photo = photographs.photograph(9, 96, 99)
    x, y = (images.from_uint8(part) for part in (photo[:, :-3], photo[:, 3:]))
    assert jax.jit(metrics.cw_ssim)(x, y) > 0.9 > jax.jit(metrics.ssim)(x, y)
