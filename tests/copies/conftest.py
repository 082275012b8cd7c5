"""Four photographs of three sizes, one of them broken, and a tree of their copies."""

import numpy as np
import PIL.Image
import pytest

from causal_iqa import copies

SIZES = {"a.png": (13, 21), "deep/er/b.jpg": (20, 8), "c.bmp": (13, 21), "c.png": (5, 5)}


@pytest.fixture(scope="package")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, (height, width) in SIZES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(folder / name)
    (folder / "deep" / "labels.txt").write_text("1\n")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


@pytest.fixture(scope="package")
def config(photos):
    return copies.CopyConfig(
        images=str(photos),
        degradations=("brightness", "contrast"),
        severities=(2.0, 4.5),
        parameters="cifar_c",
        clean=True,
    )


@pytest.fixture(scope="package")
def tree(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "tree"
    copies.write(copies.prepare(config, out), out)
    return out
