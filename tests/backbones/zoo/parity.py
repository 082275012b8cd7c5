"""Networks against stored values of PyTorch, stage by stage."""

import pathlib

import jax
import numpy as np

from causal_iqa import backbones

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "backbones_torch.npz"


def load_golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as stored:
        return dict(stored)


def predict(network: backbones.Network, batch: np.ndarray):
    return jax.jit(jax.vmap(network.apply, in_axes=(None, 0)))(network.params, batch)


def summary(features: jax.Array) -> np.ndarray:
    if features.ndim == 2:
        return np.asarray(features)
    return np.stack([np.mean(features, axis=(1, 2)), features[:, -1, 0, :]], axis=1)


def check_parity(network: backbones.Network, batch: np.ndarray, golden: dict, prefix: str) -> None:
    logits, features = predict(network, batch)
    np.testing.assert_allclose(logits, golden[f"{prefix}/logits"], atol=1e-4, rtol=1e-5)
    stored = {key.removeprefix(f"{prefix}/") for key in golden if key.startswith(f"{prefix}/")}
    assert stored == {*network.stages, "logits"}
    for stage in network.stages:
        np.testing.assert_allclose(
            summary(features[stage]), golden[f"{prefix}/{stage}"], atol=1e-4, rtol=1e-5, err_msg=stage
        )
