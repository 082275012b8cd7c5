"""Writes metrics_similarity.json: the gradient, phase, saliency, wavelet and DCT metrics of piq and pyiqa on 21 pairs.

From the repository root, in an environment with those peers:
    python -m tests.golden.metrics_similarity
"""

import json
import math
import pathlib

import numpy as np

from tests.golden import photographs

# Even, odd, and large enough for the automatic downsampling by two (to odd sides).
SHAPES = ((56, 72), (65, 97), (402, 386))
DAMAGES = ("little noise", "noise", "strong noise", "blur", "dark", "coarse", "colour")


def _blur(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image.astype(float), ((2, 2), (2, 2), (0, 0)), mode="edge")
    rows = sum(padded[k : k + image.shape[0]] for k in range(5)) / 5
    return np.round(sum(rows[:, k : k + image.shape[1]] for k in range(5)) / 5).astype(np.uint8)


def damaged(image: np.ndarray, damage: str, seed: int) -> np.ndarray:
    """Returns uint8 of the same shape with one of DAMAGES."""
    if damage == "little noise":
        return photographs.noisy(image, seed, 0.01)
    if damage == "noise":
        return photographs.noisy(image, seed, 0.1)
    if damage == "strong noise":
        return photographs.noisy(image, seed, 0.3)
    if damage == "coarse":
        return image // 48 * 48
    if damage == "blur":
        return _blur(image)
    if damage == "dark":
        return np.round(0.6 * image).astype(np.uint8)
    return np.ascontiguousarray(image[..., [1, 2, 0]])


def pair(shape: tuple[int, int], damage: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (reference, image), uint8."""
    seed = 10 * SHAPES.index(shape) + DAMAGES.index(damage)
    reference = photographs.photograph(seed, *shape)
    return reference, damaged(reference, damage, 500 + seed)


def _grey(image: np.ndarray) -> np.ndarray:
    """MATLAB's rgb2gray: the first row of the inverse of its rounded NTSC matrix, rounded half up."""
    weights = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
    return np.floor(image @ weights + 0.5)


def key(shape: tuple[int, int], damage: str) -> str:
    """Returns the name of a pair in the file."""
    return f"{shape[0]}x{shape[1]} {damage}"


def main() -> None:
    """Writes the file beside this script."""
    import torch

    from tests import peers

    piq, pyiqa = peers.torch_peer("piq"), peers.torch_peer("pyiqa")
    theirs = {
        "ms_gmsd": lambda image, reference: piq.multi_scale_gmsd(image, reference),
        "mdsi": lambda image, reference: piq.mdsi(image, reference),
        "fsim": lambda image, reference: piq.fsim(image, reference, chromatic=False),
        "fsimc": lambda image, reference: piq.fsim(image, reference),
        "fsimc@pyiqa": pyiqa.create_metric("fsim", device="cpu"),
        "vsi": lambda image, reference: piq.vsi(image, reference),
        "sr_sim": lambda image, reference: piq.srsim(image, reference),
        "haarpsi": lambda image, reference: piq.haarpsi(image, reference),
        "dss": lambda image, reference: piq.dss(image, reference),
    }
    values = {}
    for shape in SHAPES:
        for damage in DAMAGES:
            parts = pair(shape, damage)
            reference, image = (torch.from_numpy(part).permute(2, 0, 1)[None].float() / 255 for part in parts)
            row = {name: float(metric(image, reference)) for name, metric in theirs.items()}
            # Given grey, piq reads it as it is; its deviation is over N, the authors' over N - 1.
            reference, image = (torch.from_numpy(_grey(part))[None, None] / 255 for part in parts)
            pixels = math.prod(-(-side // 2) for side in shape)
            row["gmsd"] = float(piq.gmsd(image, reference)) * math.sqrt(pixels / (pixels - 1))
            values[key(shape, damage)] = row
    golden = {"versions": {"piq": piq.__version__, "pyiqa": pyiqa.__version__}, "values": values}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
