"""Model files on the host: raw outputs of ONNX and TFLite in the right order, layout and unit, in any batch."""

import sys
import threading
import types

import numpy as np
import pytest

from causal_iqa import InputError, backbones
from tests.backbones import onnx_writer

SIDE = 8
PREPROCESSING = backbones.Preprocessing(SIDE, 1.0, (0.5,) * 3, (0.25,) * 3, smallest=SIDE, fixed_size=True)


def _images(count):
    return np.random.default_rng(0).random((count, SIDE, SIDE, 3), np.float32)


def test_onnx_outputs_are_those_of_the_model_in_either_order_of_channels(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    weights = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_writer.model(weights, ("batch", 3, SIDE, SIDE)))
    images = _images(5)
    for channels, seen in (("RGB", images), ("BGR", images[..., ::-1])):
        runner = backbones.onnx_runner(path, PREPROCESSING, channels=channels, outputs=["features", "logits"])
        features, logits = runner.run(images)
        means = ((seen - 0.5) / 0.25).mean(axis=(1, 2))
        np.testing.assert_allclose(features.reshape(5, 3), means, atol=1e-5)
        np.testing.assert_allclose(logits, means @ weights, atol=1e-4)
    with pytest.raises(InputError, match=r"output: expected one of .* got 'boxes'"):
        backbones.onnx_runner(path, PREPROCESSING, outputs=["boxes"])


class _Interpreter:
    """Stands for LiteRT's: gives the mean of its input, in the kind of number it was opened with."""

    kind, scale, zero, resizes = np.uint8, 0.5, 3, True

    def __init__(self, model_content, num_threads):
        if model_content != b"model":
            raise ValueError("no model")
        assert num_threads == 1
        self.count, self.calls, self.thread = 1, [], threading.get_ident()

    def allocate_tensors(self):
        self.ready = True

    def get_input_details(self):
        return [{"name": "in", "index": 7, "dtype": self.kind, "shape": np.array([self.count, SIDE, SIDE, 3])}]

    def get_output_details(self):
        count = self.count if self.resizes else 1
        place = {"name": "out", "index": 9, "quantization": (self.scale, self.zero), "shape": np.array([count, 3])}
        return [place]

    def resize_tensor_input(self, index, shape, strict):
        self.count, self.ready = shape[0], False

    def set_tensor(self, index, value):
        assert self.ready and value.dtype == self.kind and value.shape == (self.count, SIDE, SIDE, 3)
        assert self.thread == threading.get_ident()
        self.seen = value

    def invoke(self):
        self.out = self.seen.astype(np.float64).mean(axis=(1, 2))

    def get_tensor(self, index):
        return self.out.astype(np.float32) if self.scale == 0 else np.round(self.out).astype(np.uint8)


@pytest.fixture
def litert(monkeypatch):
    """LiteRT, which tests do not install, by a stand-in with its interface."""

    def use(**fields):
        module = types.ModuleType("ai_edge_litert.interpreter")
        module.Interpreter = type("Interpreter", (_Interpreter,), fields)
        monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)

    return use


def _opened(folder, content=b"model"):
    path = folder / "net.tflite"
    path.write_bytes(content)
    return backbones.tflite_runner(path, PREPROCESSING)


@pytest.mark.parametrize("resizes", [True, False])
def test_a_quantised_model_reads_pixels_and_says_numbers(tmp_path, litert, resizes):
    litert(resizes=resizes)
    images = _images(5)
    (found,) = _opened(tmp_path).run(images)
    pixels = np.round(np.round(images * 255).mean(axis=(1, 2), dtype=np.float64))
    np.testing.assert_allclose(found, (pixels - 3) * 0.5)


def test_a_model_of_floating_point_numbers_reads_normalised_images(tmp_path, litert):
    litert(kind=np.float32, scale=0, zero=0)
    images = _images(3)
    (found,) = _opened(tmp_path).run(images)
    np.testing.assert_allclose(found, ((images - 0.5) / 0.25).mean(axis=(1, 2)), atol=1e-6)


def test_every_thread_has_an_interpreter_of_its_own(tmp_path, litert):
    litert()
    runner, found = _opened(tmp_path), {}
    threads = [
        threading.Thread(target=lambda i=i: found.__setitem__(i, runner.run(_images(2 + i))[0])) for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(found[i]) for i in found) == [2, 3, 4]


def test_tflite_files_that_cannot_be_used(tmp_path, litert, monkeypatch):
    litert()
    with pytest.raises(InputError, match=r"cannot be read as a TFLite model \(no model\)"):
        _opened(tmp_path, b"other")
    litert(kind=np.int32)
    with pytest.raises(InputError, match=r"expected one input \[B, 8, 8, 3\] of float32, uint8 or int8, got in int32"):
        _opened(tmp_path)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"pip install 'causal-iqa\[tflite\]'"):
        _opened(tmp_path)
