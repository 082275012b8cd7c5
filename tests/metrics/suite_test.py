"""Several metrics at once: names, undefined ones, and what they share."""

import jax
import numpy as np
import pytest

from causal_iqa import _checks, images, metrics
from tests.golden import photographs

SHAPE = (40, 44)


@pytest.fixture(scope="module")
def pair():
    reference = photographs.photograph(7, *SHAPE)
    return images.from_uint8(reference), images.from_uint8(photographs.noisy(reference, 7, 0.1))


def test_suites_cover_the_table_in_its_order():
    names = metrics.suite_names(suite="classical") + metrics.suite_names(suite="learned")
    assert sorted(names) == sorted(metrics.TABLE)
    assert list(metrics.suite_names()) == [n for n in metrics.TABLE if metrics.TABLE[n].suite == "classical"]
    small = metrics.suite_names(side=32, with_reference=False)
    assert "entropy" in small and "ssim" not in small
    assert all(metrics.TABLE[name].smallest_side <= 32 for name in small)
    with pytest.raises(_checks.InputError, match="suite: expected one of classical, learned"):
        metrics.suite_names(suite="classic")


def test_scores_are_those_of_the_metrics_and_undefined_ones_nan(pair):
    names = ("psnr", "gmsd", "ms_ssim", "entropy")
    scores = jax.jit(lambda r, i: metrics.evaluate_all(names, r, i))(*pair)
    assert tuple(scores) == tuple(sorted(names))  # jit sorts keys; the function keeps the order asked for
    assert metrics.TABLE["ms_ssim"].smallest_side > SHAPE[0] and np.isnan(scores["ms_ssim"])
    for name in ("psnr", "gmsd", "entropy"):
        alone = jax.jit(metrics.TABLE[name].fn)(*(pair if metrics.TABLE[name].needs_reference else pair[1:]))
        np.testing.assert_allclose(scores[name], alone, rtol=1e-6, err_msg=name)
    alone = metrics.evaluate_all(names, None, pair[1])
    assert tuple(alone) == names
    assert np.isnan(alone["gmsd"]) and np.isfinite(alone["entropy"])


def test_bad_input_is_named(pair):
    with pytest.raises(_checks.InputError, match="unknown metric 'gsmd': did you mean gmsd"):
        metrics.evaluate_all(["gsmd"], *pair)
    with pytest.raises(ValueError, match="reference, image: expected equal shapes"):
        metrics.evaluate_all(["gmsd"], pair[0][:-1], pair[1])


def test_shared_maps_are_computed_once(pair):
    def transforms(names):
        program = jax.jit(lambda r, i: metrics.evaluate_all(names, r, i)).lower(*pair).compile()
        return program.as_text().count(" fft(")

    alone = transforms(("fsim",))
    assert alone > 0
    assert transforms(("fsim", "fsimc")) == alone
