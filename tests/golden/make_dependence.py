"""Writes dependence.json: values of hyppo, dcor and scikit-learn (the bench extra) on a small seeded sample.

python tests/golden/make_dependence.py
"""

import json
import pathlib

import dcor
import hyppo
import numpy as np
import sklearn
from hyppo.independence import Dcorr
from sklearn.feature_selection import mutual_info_regression


def main() -> None:
    """Computes and writes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((24, 3)).round(6)
    y = (x[:, :2] ** 2 + 0.7 * rng.standard_normal((24, 2))).round(6)
    labels = (x[:, 0] > 0).astype(int) + (y[:, 1] > 1)
    grams = [np.exp(-np.sum((z[:, None] - z[None, :]) ** 2, -1) / (2 * width**2)) for z, width in ((x, 1.5), (y, 1.2))]
    # hyppo's Hsic is its Dcorr on the distances 1 - K / max K, the biased one a distance correlation: a root.
    distances = [1 - gram / gram.max() for gram in grams]
    values = {
        "hyppo": {
            "version": hyppo.__version__,
            "hsic_normalised_root": Dcorr(compute_distance=None, bias=True).statistic(*distances),
            "cka_debiased": Dcorr(compute_distance=None, bias=False).statistic(*distances),
        },
        "dcor": {
            "version": dcor.__version__,
            "distance_covariance_squared": dcor.distance_covariance_sqr(x, y),
            "distance_covariance_squared_unbiased": dcor.u_distance_covariance_sqr(x, y),
            "distance_correlation": dcor.distance_correlation(x, y),
            "distance_correlation_squared_unbiased": dcor.u_distance_correlation_sqr(x, y),
            "distance_covariance_squared_exponent_half": dcor.distance_covariance_sqr(x, y, exponent=0.5),
        },
        "scikit-learn": {
            "version": sklearn.__version__,
            # It scales and adds noise of 1e-10 to features unless they are discrete; one feature at a time.
            "mutual_information_ksg": [
                float(mutual_info_regression(x[:, [i]], y[:, 0], n_neighbors=3, random_state=0)[0]) for i in range(3)
            ],
        },
    }
    values["hyppo"] = {k: v if k == "version" else float(v) for k, v in values["hyppo"].items()}
    values["dcor"] = {k: v if k == "version" else float(v) for k, v in values["dcor"].items()}
    content = {"x": x.tolist(), "y": y.tolist(), "labels": labels.tolist(), "widths": [1.5, 1.2]} | values
    path = pathlib.Path(__file__).with_name("dependence.json")
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
