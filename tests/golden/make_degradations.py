"""Writes degradations.npz: what imagecorruptions, ImageMagick and OpenCV give on photographs.py.

From the repository root, in an environment with those peers and ImageMagick's `convert` on the path:
    python -m tests.golden.make_degradations
"""

import io
import json
import pathlib
import subprocess

import cv2
import numpy as np
import PIL
import scipy
import skimage
from PIL import Image

from tests import peers
from tests.golden import photographs

IMAGE = (11, 34, 41)
DETERMINISTIC = (
    "gaussian_blur",
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "saturate",
    "jpeg_compression",
)
# Radius, sigma, and which of the 1024 angles in (-45, 45) degrees.
MOTION = ((10, 3, 0), (15, 5, 300), (15, 8, 511), (20, 15, 777), (6, 1, 1023))
# Mean, deviation, sigma, level of the liquid; a seed.
LIQUID = ((0.65, 0.3, 4.0, 0.69, 1), (0.65, 0.3, 2.0, 0.68, 2), (0.62, 0.1, 0.7, 0.7, 3), (0.65, 0.3, 1.0, 0.69, 4))
LIQUID_SHAPE = (61, 48)


def motion_degrees(index: int) -> float:
    """Returns the angle of an index, in degrees."""
    return 45.0 * (2.0 * (index + 0.5) / 1024 - 1.0)


def _motion_blurred(image: np.ndarray, radius: float, sigma: float, degrees: float) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "PNG")
    command = ["convert", "png:-", "-motion-blur", f"{radius}x{sigma}{degrees:+.10f}", "-depth", "8", "rgb:-"]
    result = subprocess.run(command, input=stored.getvalue(), capture_output=True, check=True)
    return np.frombuffer(result.stdout, np.uint8).reshape(image.shape)


def _layer(mean: float, deviation: float, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(mean, deviation, LIQUID_SHAPE)
    return skimage.filters.gaussian(noise, sigma=sigma).astype(np.float32)


def _relief(layer: np.ndarray, level: float) -> np.ndarray:
    """The drops of water with OpenCV."""
    depth = (np.where(layer < np.float32(level), 0, layer) * 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(depth, 50, 150), cv2.DIST_L2, 5)
    box = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    emboss = np.asarray([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    relief = depth * cv2.blur(cv2.filter2D(cv2.equalizeHist(box), cv2.CV_8U, emboss), (3, 3)).astype(np.float32)
    return relief / relief.max()


def _pixelated(image: np.ndarray, share: float) -> np.ndarray:
    """As Hendrycks and Dietterich do; imagecorruptions enlarges by the nearest cell, the same at 224 pixels only."""
    height, width, _ = image.shape
    small = Image.fromarray(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def main() -> None:
    """Writes the arrays and the versions beside this script."""
    image = photographs.photograph(*IMAGE)
    package = peers.imagecorruptions_peer()
    arrays = {
        f"{name}/{severity}": package.corrupt(image, severity, name)
        for name in DETERMINISTIC
        for severity in range(1, 6)
    }
    for severity, share in enumerate((0.6, 0.5, 0.4, 0.3, 0.25), 1):
        arrays[f"pixelate/{severity}"] = _pixelated(image, share)
    for i, (radius, sigma, index) in enumerate(MOTION):
        arrays[f"motion/{i}"] = _motion_blurred(image, radius, sigma, motion_degrees(index))
    for i, (mean, deviation, sigma, level, seed) in enumerate(LIQUID):
        arrays[f"layer/{i}"] = _layer(mean, deviation, sigma, seed)
        arrays[f"relief/{i}"] = _relief(arrays[f"layer/{i}"], level)
    magick = subprocess.run(["convert", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    versions = {
        "imagecorruptions": "1.1.2",
        "imagemagick": magick,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "scikit-image": skimage.__version__,
        "scipy": scipy.__version__,
    }
    folder = pathlib.Path(__file__).parent
    np.savez_compressed(folder / "degradations.npz", **arrays)
    (folder / "degradations.json").write_text(json.dumps({"versions": versions}, indent=2) + "\n")


if __name__ == "__main__":
    main()
