"""Writes metrics.json: what scikit-image, SciPy and OpenCV give on the cases of photographs.py.

From the repository root, in an environment with those peers:
    python -m tests.golden.make_metrics
"""

import json
import pathlib

import cv2
import numpy as np
import scipy
import skimage
import skimage.measure
import skimage.metrics

from tests.golden import photographs


def _grey(image: np.ndarray) -> np.ndarray:
    """BT.601 luma rounded half up; OpenCV's own conversion is in fixed point and off by one in places."""
    return np.floor(image @ np.array([299, 587, 114]) / 1000 + 0.5).astype(np.uint8)


def _values(reference: np.ndarray, image: np.ndarray) -> dict[str, float]:
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    x, y = reference / 255.0, image / 255.0
    grey_x, grey_y = _grey(reference), _grey(image)
    return {
        "mse": skimage.metrics.mean_squared_error(x, y),
        "psnr": skimage.metrics.peak_signal_noise_ratio(x, y, data_range=1.0),
        "ssim": skimage.metrics.structural_similarity(x, y, data_range=1.0, channel_axis=-1, **gaussian),
        "ssim_wang2004": skimage.metrics.structural_similarity(grey_x, grey_y, data_range=255, **gaussian),
        "entropy": skimage.measure.shannon_entropy(grey_y, base=2),
        # On a grey image the luma needs no rounding, so OpenCV and we read the same numbers.
        "variance_of_laplacian_of_grey": cv2.Laplacian(grey_y, cv2.CV_64F).var(),
    }


def main() -> None:
    """Writes the file beside this script."""
    golden = {
        "versions": {
            "scikit-image": skimage.__version__,
            "scipy": scipy.__version__,
            "opencv": cv2.__version__,
            "numpy": np.__version__,
        },
        "values": {
            name: {k: float(v) for k, v in _values(*photographs.case(name)).items()} for name in photographs.CASES
        },
    }
    pathlib.Path(__file__).with_name("metrics.json").write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
