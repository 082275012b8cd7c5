"""A user's own network: a function in a module or a file that returns a Network, and what makes one easily."""

import hashlib
import importlib
import importlib.util
import pathlib
import re
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import buffer_callback

from causal_iqa import _checks
from causal_iqa.backbones import checkpoints, networks

_REFERENCE = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")


def is_reference(text: str) -> bool:
    """Whether `text` is "package.module:function" or "path/to/file.py:function"."""
    return _REFERENCE.fullmatch(text) is not None


def hash_params(params: Any) -> str:
    """Returns a sha256 of the names, shapes, types and numbers of nested parameters."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return checkpoints.hash_arrays({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves})


def make_network(
    name: str,
    apply: Callable[[Any, jax.Array], tuple[jax.Array, dict[str, jax.Array]]],
    params: Any,
    preprocessing: networks.Preprocessing,
    *,
    classifier: Callable[[Any], tuple[jax.Array, jax.Array]] | None = None,
) -> networks.Network:
    """Makes a Network of a pure function, and fills in what can be read from it.

    Args:
      name: of the network.
      apply: `apply(params, image)` for one image float32 [H, W, 3] in [0, 1] at the input size -> (logits float32
        [num_classes], {stage: features}), with "penultimate" [d] among the stages; normalisation is its own affair.
      params: nested dictionaries of arrays; their hash names the network in every record.
      preprocessing: what the study needs to prepare images.
      classifier: params -> (kernel [d, num_classes], bias) where the logits are linear in "penultimate".

    Returns:
      The network.

    Raises:
      InputError: when `apply` does not keep this contract, saying how.
    """
    side = preprocessing.size
    image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
    out = jax.eval_shape(apply, params, image)
    problem = _broken(out)
    if problem:
        raise _checks.InputError(
            f"network {name}: apply must return (logits [num_classes], {{stage: features}}); {problem}"
        )
    logits, features = out
    middle = [stage for stage in features if stage != networks.PENULTIMATE]
    return networks.Network(
        name=name,
        apply=apply,
        params=params,
        preprocessing=preprocessing,
        num_classes=logits.shape[0],
        stages=(*middle, networks.PENULTIMATE),
        weights_sha256=hash_params(params),
        classifier=classifier,
    )


def _broken(out: Any) -> str:
    if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], dict)):
        return f"it returns {type(out).__name__}"
    logits, features = out
    if getattr(logits, "ndim", None) != 1:
        return f"its logits have shape {getattr(logits, 'shape', None)}"
    if networks.PENULTIMATE not in features:
        return f"its stages are {sorted(features)}, without {networks.PENULTIMATE!r}"
    if features[networks.PENULTIMATE].ndim != 1:
        return f"its {networks.PENULTIMATE!r} has shape {features[networks.PENULTIMATE].shape}, expected [d]"
    return ""


def host_network(
    name: str,
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    preprocessing: networks.Preprocessing,
    *,
    num_classes: int,
    num_features: int,
    weights: Any,
) -> networks.Network:
    """Wraps a model that lives outside JAX (PyTorch, ONNX Runtime) as a Network; the program calls it on the host.

    Args:
      name: of the network.
      run: float32 images [B, S, S, 3] in [0, 1] -> (logits [B, num_classes], penultimate features [B, num_features]).
        It must not depend on the batch an image comes in, and be deterministic. Where a program runs on several
        devices, each calls it in a thread of its own.
      preprocessing: what the study needs to prepare images.
      num_classes: of `run`.
      num_features: of `run`.
      weights: nested arrays of its parameters, hashed to name the network in every record.

    Returns:
      The network. Not differentiable, and as fast as `run` and the way to the host allow.
    """
    side = preprocessing.size
    shapes = (
        jax.ShapeDtypeStruct((num_classes,), jnp.float32),
        jax.ShapeDtypeStruct((num_features,), jnp.float32),
    )

    def on_host(image: np.ndarray) -> tuple[np.ndarray, ...]:
        image = np.asarray(image, np.float32)
        lead = image.shape[:-3]
        found = run(image.reshape(-1, side, side, 3))
        return tuple(np.asarray(value, np.float32).reshape(*lead, -1) for value in found)

    def into(_: Any, out: tuple[Any, ...], image: Any) -> None:
        # A copy, for `run` may keep or change what it is given.
        for buffer, value in zip(out, on_host(np.asarray(image).copy()), strict=True):
            np.asarray(buffer)[...] = value

    def apply(params: Any, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        del params  # They stay with `run`.
        # On a CPU pure_callback copies its arguments with the threads that wait for it: with a program on every one of
        # them, or a single core, that never ends.
        logits, features = jax.lax.platform_dependent(
            image,
            cpu=buffer_callback.buffer_callback(into, shapes, vmap_method="expand_dims"),
            default=lambda x: jax.pure_callback(on_host, shapes, x, vmap_method="expand_dims"),
        )
        return logits, {networks.PENULTIMATE: features}

    return networks.Network(
        name=name,
        apply=apply,
        params={},
        preprocessing=preprocessing,
        num_classes=num_classes,
        stages=(networks.PENULTIMATE,),
        weights_sha256=hash_params(weights),
        classifier=None,
    )


def _module(reference: str, place: str) -> types.ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = pathlib.Path(place)
    if not path.is_file():
        raise _checks.InputError(f"{reference}: no file {place}")
    name = f"causal_iqa_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses and pickles look their module up.
    spec.loader.exec_module(module)
    return module


def load_function(reference: str) -> networks.Network:
    """Calls a user's function that makes a network. This runs the user's code.

    Args:
      reference: "package.module:function", importable from here, or "path/to/file.py:function"; the function takes no
        arguments and returns a Network, see `make_network` and `host_network`.

    Returns:
      The network.

    Raises:
      InputError: when there is no such module or function, its code fails, or it returns something else.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise _checks.InputError(f"{reference}: expected package.module:function or path/to/file.py:function")
    try:
        module = _module(reference, found["module"])
    except _checks.InputError:
        raise
    except Exception as error:  # Whatever the user's module raises.
        raise _checks.InputError(f"{reference}: cannot be imported ({type(error).__name__}: {error})") from error
    function = getattr(module, found["function"], None)
    if not callable(function):
        hint = _checks.closest(found["function"], [name for name, value in vars(module).items() if callable(value)])
        raise _checks.InputError(f"{reference}: no function {found['function']}; {hint}")
    try:
        network = function()
    except _checks.InputError:
        raise
    except Exception as error:
        raise _checks.InputError(f"{reference}: failed ({type(error).__name__}: {error})") from error
    if not isinstance(network, networks.Network):
        raise _checks.InputError(f"{reference}: expected it to return a Network, got {type(network).__name__}")
    return network
