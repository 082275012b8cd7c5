"""One call of a network before a study, so that a wrong result is found while it costs nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import networks

_IMAGES = 3
_PARTS = ("logits", "features")
# Networks that have been called: (name, weights, preprocessing, whether they return features).
_CALLED: set[tuple] = set()


class Shapes(NamedTuple):
    """Number of logits, and of features, None where a network gives only logits."""

    num_classes: int
    num_features: int | None


def drawn_images(side: int, count: int = _IMAGES) -> np.ndarray:
    """Different images float32 [count, side, side, 3] in [0, 1]: ramps of colour with noise."""
    rng = np.random.default_rng(side)
    ramp = np.linspace(0.1, 0.9, side, dtype=np.float32)
    colours = rng.random((count, 1, 1, 3), np.float32)
    noise = rng.random((count, side, side, 3), np.float32)
    return np.clip(0.6 * ramp[None, :, None, None] * colours + 0.4 * noise, 0.0, 1.0)


def _key(network: networks.Network) -> tuple:
    return network.name, network.weights_sha256, network.preprocessing, network.stages, network.precision


def _finite(value: np.ndarray, what: str, name: str) -> None:
    if not np.isfinite(value).all():
        kind = "NaN" if np.isnan(value).any() else "infinite numbers"
        raise _checks.InputError(
            f"network {name}: its {what} on a drawn image hold {kind}; are its weights, its preprocessing and its "
            "precision right?"
        )


def check_network(network: networks.Network) -> None:
    """Runs a network once on a drawn image of its input size, unless it was run before in this process.

    Args:
      network: the network to check.

    Raises:
      InputError: when it fails, or its logits or features are not finite or not of the promised shapes.

    Examples:
      >>> def apply(params, image):
      ...     features = image.mean(axis=(0, 1))
      ...     return features @ params["kernel"], {"penultimate": features}
      >>> preprocessing = backbones.Preprocessing(16, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 16)
      >>> params = {"kernel": np.ones((3, 2), np.float32)}
      >>> backbones.check_network(backbones.make_network("mean", apply, params, preprocessing))  # raises nothing
    """
    if _key(network) in _CALLED:
        return
    image = drawn_images(network.preprocessing.size, 1)[0]
    try:
        logits, features = jax.jit(network.apply)(network.params, image)
        logits, features = np.asarray(logits), {stage: np.asarray(value) for stage, value in features.items()}
    except _checks.InputError:
        raise
    # A user's code may raise anything, and JAX adds its own.
    except Exception as error:
        raise _checks.InputError(f"network {network.name}: fails on a drawn image ({_one_line(error)})") from error
    if logits.shape != (network.num_classes,):
        raise _checks.InputError(
            f"network {network.name}: expected logits [{network.num_classes}], it gives {list(logits.shape)}"
        )
    if set(features) != set(network.stages):
        raise _checks.InputError(
            f"network {network.name}: expected the stages {sorted(network.stages)}, it gives {sorted(features)}"
        )
    _finite(logits, "logits", network.name)
    for stage, value in features.items():
        _finite(value, f"features of stage {stage!r}", network.name)
    mark_called(network)


def mark_called(network: networks.Network) -> None:
    """Notes that a network was run and found right."""
    _CALLED.add(_key(network))


def call_on_host(name: str, run: Callable[[np.ndarray], Any], side: int) -> Shapes:
    """Runs a model outside JAX on a batch of drawn images, and on one of them alone.

    Args:
      name: name of the network.
      run: float32 images [B, side, side, 3] -> logits [B, c], or (logits [B, c], features [B, d]).
      side: side of its input in pixels.

    Returns:
      What it gives.

    Raises:
      InputError: when it raises, when it returns another form, shape or type, or numbers that are not finite, and when
        its result depends on the other images of the batch. The message is one line.
    """
    batch = drawn_images(side)

    def outputs(images: np.ndarray) -> list[np.ndarray]:
        try:
            found = run(images.copy())  # A copy, for `run` may keep or change its argument.
        except Exception as error:  # Whatever the user's model raises.
            raise _checks.InputError(
                f"network {name}: run fails on images of shape {list(images.shape)} ({_one_line(error)})"
            ) from error
        parts = list(found) if isinstance(found, tuple | list) else [found]
        if not 1 <= len(parts) <= 2:
            raise _checks.InputError(
                f"network {name}: run should return logits, or (logits, features), not {len(parts)} values"
            )
        return [
            _matrix(part, what, name, len(images)) for part, what in zip(parts, ("logits", "features"), strict=False)
        ]

    whole, alone = outputs(batch), outputs(batch[:1])
    if len(whole) != len(alone):
        raise _checks.InputError(f"network {name}: run returns features with some batches and not with others")
    for together, single, what in zip(whole, alone, _PARTS[: len(whole)], strict=True):
        _finite(together, what, name)
        if np.abs(together[:1] - single).max() > 1e-2 * max(1e-6, np.abs(together).max()):
            raise _checks.InputError(
                f"network {name}: the {what} of an image depend on the other images of its batch, or change from call "
                "to call; is the model in training mode?"
            )
    return Shapes(whole[0].shape[1], whole[1].shape[1] if len(whole) > 1 else None)


def _matrix(part: Any, what: str, name: str, count: int) -> np.ndarray:
    try:
        value = np.asarray(part)
    except Exception as error:  # For instance tensors of PyTorch that need a gradient.
        raise _checks.InputError(f"network {name}: run's {what} are no array ({_one_line(error)})") from error
    if value.ndim != 2 or len(value) != count or not value.shape[1]:
        raise _checks.InputError(
            f"network {name}: run's {what} should have shape [{count}, n] for {count} images, got {list(value.shape)}"
        )
    if value.dtype.kind != "f":
        raise _checks.InputError(f"network {name}: run's {what} should be floating point numbers, got {value.dtype}")
    return value


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
