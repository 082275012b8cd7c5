"""Writes metrics_pyramid.json: what piq, pyiqa and scikit-image give for multi-scale metrics on made photographs.

From the repository root, in an environment with those peers (the bench extra):
    python -m tests.golden.metrics_pyramid
Grey cases repeat one 8-bit channel, so that every implementation reads the same luma whatever weights it uses.
"""

import json
import pathlib

import numpy as np

from tests.golden import photographs

# name: (seed, height, width, noise)
CASES = {"even": (11, 192, 224, 0.08), "odd": (12, 177, 203, 0.03)}


def pair(name: str, grey: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns (reference, image), uint8 [H, W, 3]; the green channel three times when grey."""
    seed, height, width, sigma = CASES[name]
    reference = photographs.photograph(seed, height, width)
    both = reference, photographs.noisy(reference, 100 + seed, sigma)
    return tuple(np.repeat(part[..., 1:2], 3, axis=-1) for part in both) if grey else both


def main() -> None:
    """Writes the file beside this script."""
    import skimage
    import skimage.metrics

    from tests.peers import torch_peer

    torch, piq, pyiqa = (torch_peer(name) for name in ("torch", "piq", "pyiqa"))

    def tensors(parts):
        return [torch.tensor(part / 255.0, dtype=torch.float64).permute(2, 0, 1)[None] for part in parts]

    values = {}
    for case in CASES:
        x, y = tensors(pair(case, grey=False))
        rows = {
            "ssim_scikit_image": skimage.metrics.structural_similarity(
                *(part / 255.0 for part in pair(case, grey=False)), data_range=1.0, channel_axis=2
            ),
            "ms_ssim": piq.multi_scale_ssim(x, y).item(),
            # piq takes the image first here.
            "iw_ssim": piq.information_weighted_ssim(y, x).item(),
            "vifp": piq.vif_p(y, x).item(),
        }
        grey_x, grey_y = (part.float() for part in tensors(pair(case, grey=True)))
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        one = (part[..., 0] for part in pair(case, grey=True))
        rows["ssim_wang2004 of grey"] = skimage.metrics.structural_similarity(*one, data_range=255, **gaussian)
        for name in ("vif", "nlpd", "cw_ssim"):
            rows[f"{name} of grey"] = pyiqa.create_metric(name, device="cpu")(grey_y, grey_x).item()
        values[case] = {name: float(value) for name, value in rows.items()}
    versions = {"piq": piq.__version__, "pyiqa": pyiqa.__version__, "scikit-image": skimage.__version__}
    golden = {"versions": versions, "values": values}
    pathlib.Path(__file__).with_name("metrics_pyramid.json").write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
