"""A user's own network: a function in a module or a file that returns a Network, and a helper that makes one."""

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

from causal_iqa import _checks
from causal_iqa._arrays import Params
from causal_iqa.backbones import dry_calls, networks
from causal_iqa.backbones.host import hash_params

_REFERENCE = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")


def is_reference(text: str) -> bool:
    """Whether `text` is "package.module:function" or "path/to/file.py:function"."""
    return _REFERENCE.fullmatch(text) is not None


def make_network(
    name: str,
    apply: Callable[[Any, jax.Array], tuple[jax.Array, dict[str, jax.Array]]],
    params: Params,
    preprocessing: networks.Preprocessing,
    *,
    classifier: Callable[[Any], tuple[jax.Array, jax.Array]] | None = None,
) -> networks.Network:
    """Makes a Network of a pure function, and fills in what can be read from it.

    Args:
      name: name of the network.
      apply: `apply(params, image)` for one image float32 [H, W, 3] in [0, 1] at the input size -> (logits float32
        [num_classes], {stage: features}), with "penultimate" [d] among the stages, or {} for a network that can be
        judged and gives no features; normalisation is its own affair. It is run here once.
      params: nested dictionaries of arrays; their hash names the network in every record.
      preprocessing: how the study prepares images for the network.
      classifier: params -> (kernel [d, num_classes], bias) where the logits are linear in "penultimate".

    Returns:
      The network.

    Raises:
      InputError: in one line, when `apply` fails, does not keep this contract, or gives what is not finite.

    Examples:
      >>> def apply(params, image):
      ...     features = image.mean(axis=(0, 1))
      ...     return features @ params["kernel"], {"penultimate": features}
      >>> preprocessing = backbones.Preprocessing(16, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 16)
      >>> params = {"kernel": np.ones((3, 2), np.float32)}
      >>> network = backbones.make_network("mean", apply, params, preprocessing)
      >>> network.num_classes
      2
    """
    side = preprocessing.size
    image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
    try:
        out = jax.eval_shape(apply, params, image)
    except _checks.InputError:
        raise
    except Exception as error:  # Whatever the user's function raises.
        reason = " ".join(str(error).split())[:200]
        raise _checks.InputError(f"network {name}: apply fails ({type(error).__name__}: {reason})") from error
    problem = _broken(out)
    if problem:
        raise _checks.InputError(
            f"network {name}: apply must return (logits [num_classes], {{stage: features}}); {problem}"
        )
    logits, features = out
    middle = [stage for stage in features if stage != networks.PENULTIMATE]
    network = networks.Network(
        name=name,
        apply=apply,
        params=params,
        preprocessing=preprocessing,
        num_classes=logits.shape[0],
        stages=(*middle, networks.PENULTIMATE) if features else (),
        weights_sha256=hash_params(params),
        classifier=classifier,
    )
    dry_calls.check_network(network)
    return network


def _broken(out: Any) -> str:
    if not (isinstance(out, tuple) and len(out) == 2 and isinstance(out[1], dict)):
        return f"it returns {type(out).__name__}"
    logits, features = out
    if getattr(logits, "ndim", None) != 1:
        return f"its logits have shape {getattr(logits, 'shape', None)}"
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        return f"its logits are {logits.dtype}"
    if not features:
        return ""
    if networks.PENULTIMATE not in features:
        return f"its stages are {sorted(features)}, without {networks.PENULTIMATE!r}"
    if features[networks.PENULTIMATE].ndim != 1:
        return f"its {networks.PENULTIMATE!r} has shape {features[networks.PENULTIMATE].shape}, expected [d]"
    return ""


def _module(reference: str, place: str) -> types.ModuleType:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    path = pathlib.Path(place)
    if not path.is_file():
        raise _checks.InputError(f"{reference}: no file {place}")
    name = f"causal_iqa_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a name that ends in .py has a loader"
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

    Examples:
      >>> import pathlib, tempfile
      >>> code = '''
      ... from causal_iqa import backbones
      ...
      ... def small():
      ...     return backbones.load_packaged("scene_cnn_a")
      ... '''
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "my_networks.py")
      ...     _ = file.write_text(code)
      ...     network = backbones.load_function(f"{file}:small")
      >>> network.num_classes
      10
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
