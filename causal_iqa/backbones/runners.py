"""Model files that run on the host whatever they predict: ONNX by onnxruntime, TFLite by ai-edge-litert.

A runner turns images into the raw outputs of a file. What they mean, a mask or boxes, is decoded by the caller, whose
function goes to `task_network`.
"""

import hashlib
import importlib
import os
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import host, networks
from causal_iqa.backbones.weights import budgets


class Runner(NamedTuple):
    """A model file ready to run.

    Attributes:
      run: float32 images [B, S, S, 3] in [0, 1] -> the outputs, each [B, ...].
      weights: digest of the file, for `task_network`.
      outputs: their names.
    """

    run: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    weights: Any
    outputs: tuple[str, ...]


def onnx_runner(
    path: str | os.PathLike[str],
    preprocessing: networks.Preprocessing,
    *,
    layout: str = "NCHW",
    channels: str = "RGB",
    outputs: Sequence[str] | None = None,
) -> Runner:
    """Opens an ONNX file, run by ONNX Runtime on the CPU with one thread (extra `onnx`).

    Args:
      path: path of the .onnx file.
      preprocessing: its `mean` and `std`, in units of [0, 1] pixels, are applied before the model.
      layout: order of the axes of its input, "NCHW" or "NHWC".
      channels: "RGB", or "BGR" as OpenCV has them.
      outputs: names of those wanted, in order; None: all.

    Returns:
      The runner. Images go through in batches of the size that the model is fixed to, or all together.

    Raises:
      InputError: without the extra, for an unreadable file, or an input or output that does not exist.

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
      ...     runner = backbones.onnx_runner(file, preprocessing, outputs=("y",))
      >>> runner.run(np.ones((2, 8, 8, 3), np.float32))[0].tolist()
      [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    _checks.check_choice(layout, host.LAYOUTS, "layout")
    _checks.check_choice(channels, ("RGB", "BGR"), "channels")
    session, place, files = host.open_onnx(path, layout, preprocessing.size)
    known = [output.name for output in session.get_outputs()]
    wanted = list(known if outputs is None else outputs)
    for output in wanted:
        _checks.check_choice(output, known, f"{path}: output")
    turned = host.laid_out(preprocessing, layout)

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        x = turned(images[..., ::-1] if channels == "BGR" else images).astype(host.ONNX_TYPES[place.type])
        parts = [session.run(wanted, {place.name: group}) for group in host.groups(x, place.shape[0])]
        return tuple(np.concatenate(part)[: len(x)] for part in zip(*parts, strict=True))

    return Runner(run, files, tuple(wanted))


def tflite_runner(path: str | os.PathLike[str], preprocessing: networks.Preprocessing) -> Runner:
    """Opens a TFLite file, run by LiteRT on the CPU with one thread (extra `tflite`).

    Args:
      path: path of the .tflite file; its one input is NHWC.
      preprocessing: a model of floating point numbers reads (pixels - mean) / std; one of uint8 or int8 reads the
        pixels without normalisation, 0 to 255 or -128 to 127, for its quantisation includes the normalisation.

    Returns: The runner. It converts quantised outputs to the numbers that they represent. It runs images in one batch
      where the model can be resized, else one after the other.

    Raises:
      InputError: without the extra, for an unreadable file, or another input.

    Examples:
      >>> preprocessing = backbones.Preprocessing(224, 0.875, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 32)
      >>> runner = backbones.tflite_runner("model.tflite", preprocessing)  # needs a file  # doctest: +SKIP
    """
    try:
        litert = importlib.import_module("ai_edge_litert.interpreter")
    except ImportError as error:
        raise _checks.InputError(
            f"{path}: needs the package ai-edge-litert; pip install 'causal-iqa[tflite]'"
        ) from error
    content = budgets.read_bytes(pathlib.Path(path))
    side = preprocessing.size
    mean, std = (np.asarray(value, np.float32) for value in (preprocessing.mean, preprocessing.std))

    def opened() -> Any:
        interpreter = litert.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter

    try:
        first = opened()
    except Exception as error:  # The runtime's errors have no common class of their own.
        reason = " ".join(str(error).split())[:160]
        raise _checks.InputError(f"{path}: cannot be read as a TFLite model ({reason})") from error
    places = first.get_input_details()
    kinds = (np.float32, np.uint8, np.int8)
    if len(places) != 1 or places[0]["dtype"] not in kinds or tuple(places[0]["shape"][1:]) != (side, side, 3):
        shown = ", ".join(f"{place['name']} {place['dtype'].__name__} {list(place['shape'])}" for place in places)
        raise _checks.InputError(
            f"{path}: expected one input [B, {side}, {side}, 3] of float32, uint8 or int8, got {shown}"
        )
    kind = places[0]["dtype"]
    known = tuple(place["name"] for place in first.get_output_details())
    # An interpreter holds the tensors of one call: one for every thread that a program calls it from.
    own = threading.local()

    def interpreter_for(count: int) -> Any:
        found = getattr(own, "interpreter", None)
        if found is None:
            found = own.interpreter = opened()
            own.fixed = False
        if found.get_input_details()[0]["shape"][0] != count and not own.fixed:
            try:
                found.resize_tensor_input(found.get_input_details()[0]["index"], [count, side, side, 3], strict=False)
                found.allocate_tensors()
                if any(place["shape"][0] != count for place in found.get_output_details()):
                    raise RuntimeError("outputs that do not follow the batch")
            except (RuntimeError, ValueError):
                found = own.interpreter = opened()
                own.fixed = True
        return found

    def encoded(images: np.ndarray) -> np.ndarray:
        if kind == np.float32:
            return ((images - mean) / std).astype(np.float32)
        pixels = np.round(np.clip(images, 0.0, 1.0) * 255.0)
        return (pixels - 128 if kind == np.int8 else pixels).astype(kind)

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        x = encoded(images)
        interpreter = interpreter_for(len(x))
        step = int(interpreter.get_input_details()[0]["shape"][0])
        parts = [_invoke(interpreter, group) for group in host.groups(x, step)]
        return tuple(np.concatenate(part)[: len(x)] for part in zip(*parts, strict=True))

    digest = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    return Runner(run, {"model": digest}, known)


def _invoke(interpreter: Any, images: np.ndarray) -> list[np.ndarray]:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found = []
    for place in interpreter.get_output_details():
        value = interpreter.get_tensor(place["index"])
        scale, zero = place["quantization"]
        if scale and value.dtype.kind in "iu" and value.dtype.itemsize == 1:
            value = (value.astype(np.float32) - zero) * scale
        found.append(value)
    return found
