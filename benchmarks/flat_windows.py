"""How far BRISQUE and NIQE of the original code depend on the last bits of MATLAB's arithmetic, where an image is flat.

    python -m benchmarks.flat_windows

Where all pixels under a window are equal, the sign of a rounding error decides how the original code counts the pixel
(`causal_iqa.metrics.natural_scene.flat_signs`). This scores the shared reference images after JPEG compression under
combinations of two singular value decompositions of the window and three orders of the fused sum, all of which give
the published values of TID2013's I08, and prints a Markdown table of the spread. The float64 oracle of the tests
computes the scores.
"""

import io
import pathlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
from absl import app

from causal_iqa.metrics import _brisque, natural_scene
from tests import shared
from tests.metrics import nss_float64

_SCENES = ("I03", "I04", "I08")
_QUALITIES = (5, 10, 20)
# Of dgesvd, where `natural_scene` has those of dgesdd: row and column.
_OTHER_SPLIT = (
    (
        "0x1.9b92991f24880p-7 0x1.42e11ca517a5ep-4 0x1.e5fb7c557fad1p-3 0x1.5edacbc602378p-2 "
        "0x1.e5fb7c557fad1p-3 0x1.42e11ca517a60p-4 0x1.9b92991f24881p-7"
    ),
    (
        "0x1.9b92991f2488ap-7 0x1.42e11ca517a60p-4 0x1.e5fb7c557fad1p-3 0x1.5edacbc602378p-2 "
        "0x1.e5fb7c557fad1p-3 0x1.42e11ca517a60p-4 0x1.9b92991f24882p-7"
    ),
)
_ORDERS = ((6, 5, 4, 3, 2, 1, 0), (0, 1, 2, 3, 4, 5, 6), (3, 2, 4, 1, 5, 0, 6))
_FLAT = 1e-9


def _scale(x: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey levels, normalised values and where they are nothing but rounding."""
    mean, deviation = nss_float64.local(x, mode)
    value = (x - mean) / (deviation + 1)
    return x, value, np.abs(value) < _FLAT


def _signed(scale: tuple[np.ndarray, np.ndarray, np.ndarray], signs: np.ndarray) -> np.ndarray:
    x, value, flat = scale
    return np.where(flat, 1e-13 * signs[np.clip(np.round(x), 0, 255).astype(int)], value)


def _niqe(scales: Sequence, signs: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    parts = []
    for scale, side in zip(scales, (96, 48), strict=True):
        v = _signed(scale, signs)
        corners = [(r, c) for r in range(0, v.shape[0], side) for c in range(0, v.shape[1], side)]
        parts.append([nss_float64.niqe_features(v[r : r + side, c : c + side]) for r, c in corners])
    blocks = np.concatenate(parts, axis=1)
    own = np.cov(blocks[np.isfinite(blocks).all(axis=1)].T)
    off = mean - np.nanmean(blocks, axis=0)
    return float(np.sqrt(off @ np.linalg.pinv((covariance + own) / 2) @ off))


def _brisque(scales: Sequence, signs: np.ndarray, model: _brisque.SupportVectors) -> float:
    features = np.concatenate([nss_float64.brisque_features_of(_signed(scale, signs)) for scale in scales])
    low, high = model.ranges.T
    scaled = 2 * (features - low) / (high - low) - 1
    return nss_float64.regress(model.vectors, model.weights, model.gamma, model.rho, scaled)


def rows() -> Iterator[str]:
    """Yields the lines of the table."""
    warnings.simplefilter("ignore", RuntimeWarning)  # Means of blocks without values of both signs.
    parameters = np.load(shared.path_or_skip("data", "iqa_params", "niqe_utlive_pris_params.npz"))
    mean, covariance = (next(parameters[k] for k in parameters.files if k.startswith(start)) for start in ("mu", "cov"))
    svr = pathlib.Path(shared.path_or_skip("data", "iqa_params", "brisque_utlive_allmodel.libsvm"))
    model = _brisque.read_libsvm(svr.read_bytes())
    splits = (natural_scene.SPLIT, natural_scene.SPLIT[::-1], _OTHER_SPLIT, _OTHER_SPLIT[::-1])
    tables = [np.array(natural_scene.rounding_signs(split, order)) for split in splits for order in _ORDERS]
    yield "| image | flat windows | NIQE: ours | lowest | highest | BRISQUE: ours | lowest | highest |"
    yield "|---|---|---|---|---|---|---|---|"
    for scene in _SCENES:
        for quality in _QUALITIES:
            stored = io.BytesIO()
            with PIL.Image.open(shared.path_or_skip("data", "iqa_calibration", "ref", f"{scene}.bmp")) as file:
                file.convert("RGB").save(stored, "jpeg", quality=quality)
            grey = nss_float64.grey(np.asarray(PIL.Image.open(stored)))
            cut = grey[: grey.shape[0] // 96 * 96, : grey.shape[1] // 96 * 96]
            edge = [_scale(x, "nearest") for x in (cut, nss_float64.halve(cut))]
            zero = [_scale(x, "constant") for x in (grey, nss_float64.halve(grey))]
            niqe = [_niqe(edge, signs, mean.ravel(), covariance) for signs in tables]
            score = [_brisque(zero, signs, model) for signs in tables]
            figures = " | ".join(f"{v[0]:.3f} | {min(v):.3f} | {max(v):.3f}" for v in (niqe, score))
            yield f"| {scene}, JPEG {quality} | {100 * edge[0][2].mean():.0f} % | {figures} |"


def main(_: list[str]) -> None:
    """Prints the table."""
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    app.run(main)
