"""The fit of NIQE's pristine model end to end, on rendered photographs."""

import json

import jax
import numpy as np
import PIL.Image
import pytest

from causal_iqa import images, metrics
from causal_iqa.cli import fit_niqe
from causal_iqa.metrics import _niqe
from tests.experiments import binaries
from tests.golden import photographs


@pytest.fixture
def folder(tmp_path):
    """Twelve noisy photographs of 2 x 3 blocks, one that is too small, one that cannot be read."""
    (tmp_path / "photos" / "scene").mkdir(parents=True)
    for k in range(12):
        pixels = photographs.noisy(photographs.photograph(k, 200, 290), k, 0.06)
        PIL.Image.fromarray(pixels).save(tmp_path / "photos" / "scene" / f"{k:02d}.png")
    PIL.Image.fromarray(pixels[:90]).save(tmp_path / "photos" / "scene" / "small.png")
    (tmp_path / "photos" / "scene" / "zz.png").write_bytes(b"no image")
    return tmp_path


def test_a_fitted_model_scores(folder, capsys):
    output = folder / "mine.npz"
    binaries.run("fit_niqe", f"--images={folder}/photos", f"--output={output}", "--blocks=6")
    *skipped, last = capsys.readouterr().out.strip().splitlines()
    assert "zz.png" in skipped[0]
    assert skipped[-1] == "left out because smaller than 192 x 288 pixels (--blocks): 1 photographs"
    told = json.loads(last)
    assert told["photographs"] == 12 and _niqe.FEATURES < told["blocks"] <= 72
    spec = metrics.resolve(f"niqe@{output}")
    assert spec.name == "niqe@mine"
    # Blocks of a photograph it was fitted on lie within the model.
    pixels = photographs.noisy(photographs.photograph(0, 200, 290), 0, 0.06)[4:196, 1:289]
    values, sharp = jax.jit(_niqe.sharp_features)(images.from_uint8(pixels))
    model = spec.fn.keywords["model"]
    off = np.abs(np.asarray(values)[np.asarray(sharp)] - model.mean) / np.sqrt(np.diag(model.covariance))
    assert off.size and np.median(off) < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=model.txt"], "expected a name ending in .npz"),
        (["--output=model.npz", "--blocks=200"], "more than 36 sharp blocks, got 0"),
        (["--output=model.npz", "--num_images=none"], "--num_images"),
    ],
)
def test_user_errors(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        binaries.run("fit_niqe", f"--images={folder}/photos", *arguments)
    assert message in capsys.readouterr().err


def test_photographs_below_blocks_of_another_form_are_counted():
    assert fit_niqe._sides(12) == (288, 384) and fit_niqe._sides(6) == (192, 288) and fit_niqe._sides(7) == (96, 672)
    tall = np.zeros((700, 100, 3), np.uint8)
    crop = fit_niqe._central(tall, 7)
    assert crop is not None and crop.shape == (672, 96, 3)
    assert fit_niqe._central(tall, 4) is None
