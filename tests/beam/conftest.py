"""Ten images in two folders, one of them broken, and a scoring that looks for no causes."""

import PIL.Image
import pytest

from causal_iqa import _score


@pytest.fixture
def no_diagnosis(monkeypatch):
    """Causes are not looked for: their program takes long to compile."""
    monkeypatch.setattr(_score, "diagnosis", lambda num_devices=None: None)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for i in range(9):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (32, 32), (i, 9 * i, 255 - i)).save(folder / "ab"[i % 2] / f"{i}.png")
    (folder / "a" / "broken.png").write_bytes(b"nothing")
    return folder
