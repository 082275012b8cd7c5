"""Pixel-wise errors in closed form and against scikit-image, and every metric against the original code's values."""

import csv
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import images, metrics
from tests.golden import photographs

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "metrics.json").read_text())["values"]

JITTED = {name: jax.jit(spec.fn) for name, spec in metrics.TABLE.items()}


@pytest.mark.parametrize("case", photographs.CASES)
@pytest.mark.parametrize("name", ["mse", "psnr"])
def test_scikit_image_gives_the_same(case, name):
    value = JITTED[name](*(images.from_uint8(part) for part in photographs.case(case)))
    np.testing.assert_allclose(value, GOLDEN[case][name], rtol=1e-6, atol=2e-7)


def test_psnr_values_in_closed_form():
    reference = jnp.full((8, 9, 3), 0.5)
    np.testing.assert_allclose(JITTED["psnr"](reference, reference + 0.1), 20.0, rtol=1e-6)
    np.testing.assert_allclose(JITTED["psnr_y"](reference, reference - 0.01), 40.0, rtol=1e-5)
    np.testing.assert_allclose(JITTED["psnr"](jnp.zeros((8, 9, 3)), jnp.ones((8, 9, 3))), 0.0, atol=1e-6)


def test_psnr_y_weighs_the_channels_as_bt601():
    reference = jnp.full((8, 9, 3), 0.5)
    image = reference.at[..., 1].add(0.1)
    np.testing.assert_allclose(JITTED["psnr_y"](reference, image), -20 * np.log10(0.0587), rtol=1e-5)


def test_psnr_of_one_wrong_value_is_finite_and_of_none_undefined():
    reference = jnp.full((64, 64, 3), 0.5)
    image = reference.at[3, 4, 1].add(1 / 255)
    np.testing.assert_allclose(JITTED["psnr"](reference, image), 10 * np.log10(64 * 64 * 3 * 255**2), rtol=1e-5)
    assert np.isnan(JITTED["psnr"](reference, reference))


# name: (row of the published table, one unit of its last digit); values of the original code of each metric's authors.
OFFICIAL = {
    "psnr": ("psnr", 1e-2),
    "ssim_wang2004": ("ssim", 1e-4),
    "ms_ssim_wang2003_sum": ("ms_ssim", 1e-4),
    "cw_ssim": ("cw_ssim", 1e-4),
    "vif": ("vif", 1e-4),
    "nlpd": ("nlpd", 1e-6),
    "entropy": ("entropy", 1e-4),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_values(name, shared_data):
    row, unit = OFFICIAL[name]
    with open(shared_data("data", "iqa_calibration", "official_values.csv"), newline="") as file:
        official = {line["Method"]: line for line in csv.DictReader(file)}[row]
    score = jax.jit(lambda reference, image: metrics.evaluate(metrics.TABLE[name], reference, image))
    for scene in ("I03", "I04", "I08"):
        pair = []
        for kind in ("ref", "dist"):
            with PIL.Image.open(shared_data("data", "iqa_calibration", kind, f"{scene}.bmp")) as file:
                pair.append(images.from_uint8(np.asarray(file.convert("RGB"))))
        np.testing.assert_allclose(score(*pair), float(official[f"{scene}.bmp"]), atol=unit, err_msg=scene)
