"""A plain convolutional network for CIFAR-10 that others trained, as a network of a study.

  PLAIN_CNN=cnn_model.h5 causal-iqa align --network=plain_cnn=benchmarks.plain_cnn:network ...

The file is `cifar_10_model/trained_models/cnn_model.h5` of the package cifar-10-model 7.4.0 (BSD-3). Reading it needs
h5py; the code of the package is not run.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import backbones

_PREPROCESSING = backbones.Preprocessing(32, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=32, fixed_size=True)
_EPSILON = 1e-3  # Of Keras's batch norm.
_DENSE, _CONVOLUTIONS = 3, 6


def _named(layer: str, number: int) -> str:
    return f"{layer}_{number}" if number else layer


def _convolution(params, number, x):
    own, norm = params[_named("conv2d", number)], params[_named("batch_normalization", number)]
    x = jax.lax.conv_general_dilated(
        x, own["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    x = jax.nn.relu(x + own["bias"])
    return (x - norm["moving_mean"]) / jnp.sqrt(norm["moving_variance"] + _EPSILON) * norm["gamma"] + norm["beta"]


def _apply(params, image):
    x = 255.0 * image[None]
    for number in range(_CONVOLUTIONS):
        x = _convolution(params, number, x)
        if number in (1, 3):
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(-1)
    for number in range(_DENSE):  # Its outputs are rectified, too.
        own = params[_named("dense", number)]
        x = jax.nn.relu(jnp.matmul(x, own["kernel"], precision="highest") + own["bias"])
    return x, {}


def network() -> backbones.Network:
    """Reads the file that the variable PLAIN_CNN names."""
    import h5py  # pyright: ignore[reportMissingImports]

    params: dict[str, dict[str, jax.Array]] = {}

    def keep(path: str, item) -> None:
        if hasattr(item, "shape"):
            params.setdefault(path.split("/")[0], {})[path.split("/")[-1].partition(":")[0]] = jnp.asarray(
                np.asarray(item, np.float32)
            )

    with h5py.File(os.environ["PLAIN_CNN"]) as file:
        file["model_weights"].visititems(keep)
    return backbones.make_network("plain_cnn", _apply, params, _PREPROCESSING)
