"""One image under one condition."""

import numpy as np
import pytest

from causal_iqa import InputError, copies
from causal_iqa.degradations import Condition

_PIXELS = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)


def test_clean_is_the_image_and_a_draw_follows_seed_and_id():
    np.testing.assert_array_equal(copies.degrade(_PIXELS, "clean"), _PIXELS)

    def noisy(**given):
        return copies.degrade(_PIXELS, "gaussian_noise/3", parameters="cifar_c", **given).tobytes()

    assert noisy(image_id="a") == noisy(image_id="a")
    assert len({noisy(), noisy(image_id="a"), noisy(seed=1)}) == 3


def test_conditions_may_be_written_or_made_and_keep_their_family():
    written = copies.degrade(_PIXELS, "contrast/2|family=tiny64", parameters="cifar_c")
    made = copies.degrade(_PIXELS, Condition.parse("contrast/2|family=tiny64"))
    np.testing.assert_array_equal(written, made)
    assert not np.array_equal(made, copies.degrade(_PIXELS, "contrast/2", parameters="cifar_c"))


@pytest.mark.parametrize(
    ("pixels", "error", "message"),
    [
        (_PIXELS.astype(np.float32), TypeError, "pixels: expected uint8, got float32"),
        (_PIXELS[..., :1], ValueError, r"\[H, W, 3\], got shape \(9, 13, 1\)"),
        (_PIXELS[None], ValueError, "one image"),
        (_PIXELS[:0], ValueError, "one image"),
    ],
)
def test_what_is_no_image_is_refused(pixels, error, message):
    with pytest.raises(error, match=message):
        copies.degrade(pixels, "fog/3", parameters="cifar_c")


def test_what_is_no_condition_is_refused():
    with pytest.raises(InputError, match="did you mean fog"):
        copies.degrade(_PIXELS, "fgo/3", parameters="cifar_c")
    with pytest.raises(InputError, match="parameters"):
        copies.degrade(_PIXELS, "gaussian_noise/3")
    with pytest.raises(InputError, match="did you mean cifar_c"):
        copies.degrade(_PIXELS, "gaussian_noise/3", parameters="cifar")
