"""Convolutional families against torchvision, timm and open_clip, stage by stage."""

import functools
import pathlib

import jax
import numpy as np
import safetensors.numpy

from causal_iqa import backbones
from tests.backbones import convnet_cases

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "backbones_convnets.npz"


@functools.cache
def _golden() -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN) as stored:
        for name in stored.files:
            if name != "versions":
                case, key = name.split("/")
                found.setdefault(case, {})[key] = stored[name]
    return found


def _summary(value: np.ndarray) -> np.ndarray:
    return value if value.ndim == 1 else np.stack([value.mean((0, 1)), value[0, 0], value[-1, -1]])


def check(case: str, folder: pathlib.Path) -> None:
    """Logits, stages and head of a case equal those of its peer."""
    path = folder / "net.safetensors"
    safetensors.numpy.save_file(convnet_cases.weights(case), path)
    network = convnet_cases.network(case, str(path))
    logits, features = jax.jit(network.apply)(network.params, convnet_cases.image(case))
    assert set(features) == set(network.stages)
    found = {**features, "logits": logits}
    expected = _golden()[case]
    assert len(expected) >= 5
    for key, value in expected.items():
        ours = _summary(np.asarray(found[key]))
        np.testing.assert_allclose(ours, value, rtol=0, atol=1e-4 * np.abs(value).max(), err_msg=key)
    head = network.head()
    if head is not None:
        by_hand = np.asarray(features[backbones.PENULTIMATE]) @ np.asarray(head[0]) + np.asarray(head[1])
        np.testing.assert_allclose(by_hand, logits, rtol=0, atol=1e-4 * np.abs(by_hand).max())


def millions(name: str) -> float:
    """Parameters of a published variant, in millions, without the running moments of batch norm."""
    shapes = backbones.TABLE[name].layout({})
    return sum(int(np.prod(shape)) for key, shape in shapes.items() if ".running_" not in key) / 1e6
