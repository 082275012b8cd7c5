"""A photograph and a pristine model for IL-NIQE, the same in the tests and in the golden script.

    python -m tests.metrics.ilniqe_cases

writes ilniqe_golden.json: what pyiqa gives for them (the bench extra).
"""

import json
import pathlib

import numpy as np
import scipy.fft
import scipy.io

from tests.golden import photographs

GOLDEN = pathlib.Path(__file__).with_name("ilniqe_golden.json")
_COMPONENTS = 430


def images() -> dict[str, np.ndarray]:
    """uint8 images of odd sides, noisy."""
    return {"odd": photographs.noisy(photographs.photograph(3, 197, 211), 4, 0.03)}


def model() -> dict[str, np.ndarray]:
    """mean, covariance, centre and components of the authors' sizes, drawn but valid: a positive definite covariance.

    The components are cosines, so orthonormal; the variances span six decades, as those of real features do.
    """
    rng = np.random.default_rng(0)
    components = scipy.fft.dct(np.eye(468), norm="ortho")[:, :_COMPONENTS]
    factor = np.eye(_COMPONENTS) + 0.1 * rng.normal(size=(_COMPONENTS, _COMPONENTS)) / np.sqrt(_COMPONENTS)
    factor = factor * np.logspace(1.5, -1.5, _COMPONENTS)
    return {
        "mean": rng.normal(size=_COMPONENTS) * np.logspace(1.0, -2.0, _COMPONENTS),
        "covariance": factor.T @ factor,
        "centre": rng.uniform(0.0, 3.0, 468),
        "components": components,
    }


def write_mat(path: pathlib.Path) -> None:
    """Writes the model as the authors do: one cell array."""
    cells = np.empty((1, 4), object)
    cells[0] = [part if part.ndim == 2 else part[None] for part in model().values()]
    scipy.io.savemat(path, {"templateModel": cells})


def main() -> None:
    """Writes the file beside this script."""
    import importlib.metadata
    import tempfile

    from tests.peers import torch_peer

    torch, pyiqa = torch_peer("torch"), torch_peer("pyiqa")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.mat"
        write_mat(path)
        metric = pyiqa.create_metric("ilniqe", device="cpu", pretrained_model_path=str(path))
        scores = {}
        for name, image in images().items():
            tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].double() / 255.0
            scores[name] = float(metric(tensor))
    versions = {name: importlib.metadata.version(name) for name in ("pyiqa", "torch")}
    GOLDEN.write_text(json.dumps({"versions": versions, "scores": scores}, indent=2) + "\n")


if __name__ == "__main__":
    main()
