"""Images that several tests of commands score."""

import pathlib

import numpy as np
import PIL.Image
import pytest

from causal_iqa.data import scenes


@pytest.fixture(scope="session")
def photo_folders(tmp_path_factory) -> pathlib.Path:
    """Two sets of scenes in class folders: clean, and the same with noise; a broken file in one."""
    root = tmp_path_factory.mktemp("photos")
    source = scenes.SceneSource(split="test", seed=3)
    rng = np.random.default_rng(0)
    for i in range(40):
        example = source[i]
        name = scenes.CLASS_NAMES[example.label]
        noisy = np.clip(example.image + rng.normal(0, 60, example.image.shape), 0, 255).astype(np.uint8)
        for kind, pixels in (("clean", example.image), ("noisy", noisy)):
            folder = root / kind / name
            folder.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    (root / "noisy" / name / "broken.png").write_bytes(b"nothing")
    (root / "classes.txt").write_text("\n".join(scenes.CLASS_NAMES))
    return root
