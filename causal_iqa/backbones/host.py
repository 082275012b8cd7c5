"""Models outside JAX as networks: any function on the host, a PyTorch module, an ONNX file."""

import hashlib
import importlib
import os
import pathlib
import re
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import buffer_callback

from causal_iqa import _checks
from causal_iqa._arrays import Params
from causal_iqa.backbones import dry_calls, networks
from causal_iqa.backbones.weights import budgets, checkpoints

LAYOUTS = ("NCHW", "NHWC")
# A field of ONNX's protobuf that names a file with weights: key "location", then the name's length and the name.
_EXTERNAL = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")


def hash_params(params: Params) -> str:
    """Returns a sha256 of the names, shapes, types and numbers of nested parameters."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return checkpoints.hash_arrays({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves})


def host_network(
    name: str,
    run: Callable[[np.ndarray], Any],
    preprocessing: networks.Preprocessing,
    *,
    weights: Any,
    num_classes: int | None = None,
    num_features: int | None = None,
) -> networks.Network:
    """Wraps a model that lives outside JAX (PyTorch, ONNX Runtime) as a Network; the program calls it on the host.

    `run` is called here once, on drawn images, so that what is wrong shows before a study.

    Args:
      name: name of the network.
      run: float32 images [B, S, S, 3] in [0, 1] -> logits [B, num_classes], or (logits, penultimate features
        [B, num_features]). Logits by themselves make a network that can be judged and give no features. It must not
        depend on the batch an image comes in, and be deterministic. Where a program runs on several devices, each calls
        it in a thread of its own.
      preprocessing: how the study prepares images for the network.
      weights: nested arrays of its parameters, hashed to name the network in every record.
      num_classes: number of classes of `run`, checked; None takes the number that it returns.
      num_features: number of features of `run`, checked; None takes the number that it returns.

    Returns:
      The network. Not differentiable, and as fast as `run` and the way to the host allow.

    Raises:
      InputError: when `run` raises, or returns another form, shape or type, or numbers that are not finite. The message
        is one line.

    Examples:
      >>> preprocessing = networks.Preprocessing(8, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=8, fixed_size=True)
      >>> network = host_network("colours", lambda images: images.mean(axis=(1, 2)), preprocessing, weights=np.ones(1))
      >>> network.num_classes, network.stages
      (3, ())
    """
    side = preprocessing.size
    given = dry_calls.call_on_host(name, run, side)
    for what, said, found in zip(("num_classes", "num_features"), (num_classes, num_features), given, strict=True):
        if said is not None and said != found:
            raise _checks.InputError(f"network {name}: expected {what} {said}, but run returns {found}")
    sizes = (given.num_classes,) if given.num_features is None else (given.num_classes, given.num_features)
    shapes = tuple(jax.ShapeDtypeStruct((size,), jnp.float32) for size in sizes)

    def on_host(image: np.ndarray) -> tuple[np.ndarray, ...]:
        image = np.asarray(image, np.float32)
        lead = image.shape[:-3]
        found = run(image.reshape(-1, side, side, 3))
        parts = tuple(found) if isinstance(found, tuple | list) else (found,)
        return tuple(
            np.asarray(value, np.float32).reshape(*lead, size) for value, size in zip(parts, sizes, strict=True)
        )

    def into(_: Any, out: tuple[Any, ...], image: Any) -> None:
        # A copy, for `run` may keep or change its argument.
        for buffer, value in zip(out, on_host(np.asarray(image).copy()), strict=True):
            np.asarray(buffer)[...] = value

    def apply(params: Params, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        del params  # They stay with `run`.
        # On a CPU pure_callback copies its arguments with the threads that wait for it: with a program on every one of
        # them, or a single core, that never ends.
        logits, *features = jax.lax.platform_dependent(
            image,
            cpu=buffer_callback.buffer_callback(into, shapes, vmap_method="expand_dims"),
            default=lambda x: jax.pure_callback(on_host, shapes, x, vmap_method="expand_dims"),
        )
        return logits, {networks.PENULTIMATE: features[0]} if features else {}

    network = networks.Network(
        name=name,
        apply=apply,
        params={},
        preprocessing=preprocessing,
        num_classes=given.num_classes,
        stages=() if given.num_features is None else (networks.PENULTIMATE,),
        weights_sha256=hash_params(weights),
        classifier=None,
        precision=networks.OWN_PRECISION,
    )
    dry_calls.mark_called(network)
    return network


def laid_out(preprocessing: networks.Preprocessing, layout: str) -> Callable[[np.ndarray], np.ndarray]:
    """Normalises images [B, S, S, 3] in [0, 1] and puts their axes in the order of a layout."""
    mean, std = (np.asarray(value, np.float32) for value in (preprocessing.mean, preprocessing.std))

    def turn(images: np.ndarray) -> np.ndarray:
        images = (images - mean) / std
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if layout == "NCHW" else images

    return turn


def _pooled(value: np.ndarray, name: str, layer: str, layout: str) -> np.ndarray:
    """Features [B, d] of a layer's output [B, d] or of its maps, whose means are taken."""
    if value.ndim == 4:
        return value.mean(axis=(2, 3) if layout == "NCHW" else (1, 2))
    if value.ndim != 2:
        raise _checks.InputError(
            f"network {name}: layer {layer} gives {list(value.shape)}, expected features [B, d] or maps of four axes"
        )
    return value


def torch_network(
    name: str,
    module: Any,
    preprocessing: networks.Preprocessing,
    *,
    features: str | None = None,
    layout: str = "NCHW",
) -> networks.Network:
    """Wraps a PyTorch module as a Network. It is put into evaluation mode and runs where its parameters are.

    Args:
      name: name of the network.
      module: a torch.nn.Module, TorchScript ones included, from normalised images to logits [B, num_classes].
      preprocessing: its `mean` and `std` are applied here, before the module.
      features: name of the layer whose output is the penultimate features, as in `module.named_modules()`, e.g.
        "avgpool" of a ResNet; maps are averaged over space. None: the network gives only logits and can only be
        judged.
      layout: order of the axes the module reads, "NCHW" or "NHWC".

    Returns:
      The network. Its weights' hash covers parameters, buffers and the module's printed structure.

    Raises:
      InputError: for an unknown layer, and from `host_network`.

    Examples:
      >>> preprocessing = backbones.Preprocessing(224, 0.875, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 32)
      >>> module = torchvision.models.resnet18(weights="DEFAULT")  # needs a download  # doctest: +SKIP
      >>> network = backbones.torch_network(  # needs the module above  # doctest: +SKIP
      ...     "resnet18", module, preprocessing, features="avgpool"
      ... )
    """
    torch = importlib.import_module("torch")
    _checks.check_choice(layout, LAYOUTS, "layout")
    module = module.eval()
    caught: dict[int, Any] = {}
    if features is not None:
        layers = dict(module.named_modules())
        layer = _checks.lookup(layers, features, f"layer of network {name}")
        layer.register_forward_hook(lambda _, __, out: caught.__setitem__(threading.get_ident(), out))
    first = next(iter(module.parameters()), None)
    turned = laid_out(preprocessing, layout)

    def as_array(value: Any) -> np.ndarray:
        return value.detach().to("cpu", torch.float32).numpy()

    def run(images: np.ndarray) -> Any:
        x = torch.from_numpy(turned(images))
        if first is not None:
            x = x.to(first.device, first.dtype)
        with torch.inference_mode():
            out = module(x)
            logits = as_array(getattr(out, "logits", out))
        if features is None:
            return logits
        return logits, _pooled(as_array(caught.pop(threading.get_ident())), name, features, layout)

    weights = {"structure": np.frombuffer(str(module).encode() + _code_of(module), np.uint8)}
    for key, value in module.state_dict().items():
        value = value.detach().to("cpu")
        # NumPy has no bfloat16; float32 holds its numbers exactly.
        kept = value.to(torch.float32) if value.dtype == torch.bfloat16 else value
        weights[f"{key} {value.dtype}"] = kept.numpy()
    return host_network(name, run, preprocessing, weights=weights)


def _code_of(module: Any) -> bytes:
    """The source of a TorchScript module's forward, nothing for others."""
    code = getattr(module, "code", None)
    return code.encode() if isinstance(code, str) else b""


def onnx_network(
    name: str,
    path: str,
    preprocessing: networks.Preprocessing,
    *,
    layout: str = "NCHW",
    logits: str | None = None,
    features: str | None = None,
) -> networks.Network:
    """Wraps an ONNX file as a Network, run by ONNX Runtime on the CPU (extra `onnx`).

    Args:
      name: name of the network.
      path: path of the .onnx file; weights that it keeps in other files are found in its folder.
      preprocessing: its `mean` and `std`, in units of [0, 1] pixels, are applied before the model; (0, 0, 0) and
        (1 / 255,) * 3 give a model that reads 0 to 255.
      layout: order of the axes of its input, "NCHW" or "NHWC".
      logits: name of the output with logits [B, num_classes]; None: its only output.
      features: name of the output with penultimate features [B, d], or maps, whose means are taken. None: the network
        gives only logits and can only be judged.

    Returns:
      The network. The hash of its weights covers the bytes of the file and of the files that it names.

    Raises:
      InputError: without the extra, for an unreadable file, an input or output that does not exist, and from
        `host_network`.

    Examples:
      >>> import base64, pathlib, tempfile
      >>> content = base64.b64decode(  # a small model: images "x" [n, 3, 8, 8] to their mean colours "y" [n, 3]
      ...     "CAc6awoyCgF4EgF5IgpSZWR1Y2VNZWFuKg0KBGF4ZXNAAkADoAEHKg8KCGtlZXBkaW1zGACgAQISAWdaHAoBeBIXChUI"
      ...     "ARIRCgMSAW4KAggDCgIICAoCCAhiFAoBeRIPCg0IARIJCgMSAW4KAggDQgIQDQ=="
      ... )
      >>> preprocessing = backbones.Preprocessing(8, 1.0, (0.0,) * 3, (1.0,) * 3, 8, fixed_size=True)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "colours.onnx")
      ...     _ = file.write_bytes(content)
      ...     network = backbones.onnx_network("colours", file, preprocessing, logits="y")
      >>> network.num_classes
      3
    """
    _checks.check_choice(layout, LAYOUTS, "layout")
    session, place, files = open_onnx(path, layout, preprocessing.size)
    outputs = [output.name for output in session.get_outputs()]
    if logits is None and len(outputs) != 1 + (features is not None):
        raise _checks.InputError(f"{path}: say which output has the logits (logits=...): {', '.join(outputs)}")
    first = next((output for output in outputs if output != features), outputs[0]) if logits is None else logits
    wanted: list[str] = [first] if features is None else [first, features]
    for output in wanted:
        _checks.check_choice(output, outputs, f"{path}: output")
    turned, kind = laid_out(preprocessing, layout), ONNX_TYPES[place.type]

    def run(images: np.ndarray) -> Any:
        x = turned(images).astype(kind)
        parts = [session.run(wanted, {place.name: group}) for group in groups(x, place.shape[0])]
        found = [np.concatenate(part)[: len(x)].astype(np.float32) for part in zip(*parts, strict=True)]
        if features is None:
            return found[0]
        return found[0], _pooled(found[1], name, features, layout)

    return host_network(name, run, preprocessing, weights=files)


def open_onnx(path: str | os.PathLike[str], layout: str, side: int) -> tuple[Any, Any, dict[str, np.ndarray]]:
    """Opens an ONNX file on the CPU.

    Args:
      path: path of the file.
      layout: order of the axes of its input.
      side: side of the images in pixels.

    Returns:
      (the session, its one input, hashes of the files it is made of).

    Raises:
      InputError: without onnxruntime, for an unreadable file, or an input that takes no such images.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise _checks.InputError(f"{path}: needs the package onnxruntime; pip install 'causal-iqa[onnx]'") from error
    files = _onnx_files(pathlib.Path(path))
    options = runtime.SessionOptions()
    # One thread adds up in one order; programs call it from a thread per device.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The runtime's errors have no common class of their own.
        reason = " ".join(str(error).split())[:160]
        raise _checks.InputError(f"{path}: cannot be read as an ONNX model ({reason})") from error
    return session, _onnx_input(session, path, layout, side), files


# Kinds of input that ONNX models have here.
ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def _onnx_files(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Hashes of the file and of the files with weights that it names."""
    content = budgets.read_bytes(path)
    names = {content[m.end() : m.end() + m.group(1)[0]].decode("utf-8", "replace") for m in _EXTERNAL.finditer(content)}
    found = {"model": content}
    for name in sorted(names):
        if pathlib.PurePath(name).name != name:
            raise _checks.InputError(f"{path}: refused, weights outside its folder, {budgets.short(name)}")
        if path.with_name(name).is_file():  # Else it is no name of a file; the runtime names the missing part.
            found[name] = budgets.read_bytes(path.with_name(name))
    return {name: np.frombuffer(hashlib.sha256(data).digest(), np.uint8) for name, data in found.items()}


def _onnx_input(session: Any, path: str | os.PathLike[str], layout: str, side: int) -> Any:
    """The one input of a model; InputError unless it takes images of this layout and side."""
    places = session.get_inputs()
    if len(places) != 1 or places[0].type not in ONNX_TYPES or len(places[0].shape) != 4:
        shown = ", ".join(f"{place.name} {place.type} {place.shape}" for place in places)
        raise _checks.InputError(f"{path}: expected one input of floating point images with four axes, got {shown}")
    shape = places[0].shape
    wanted = (3, side, side) if layout == "NCHW" else (side, side, 3)
    if any(isinstance(have, int) and have != want for have, want in zip(shape[1:], wanted, strict=True)):
        raise _checks.InputError(
            f"{path}: its input is {shape}, expected [B, {', '.join(map(str, wanted))}] ({layout})"
        )
    return places[0]


def groups(images: np.ndarray, batch: Any) -> list[np.ndarray]:
    """Batches of the size a model is fixed to, the last one filled up; one batch where it takes any."""
    if not isinstance(batch, int):
        return [images]
    filled = np.concatenate([images, np.repeat(images[-1:], -len(images) % batch, axis=0)])
    return [filled[i : i + batch] for i in range(0, len(filled), batch)]
