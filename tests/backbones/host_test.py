"""Models outside JAX: one dry call, PyTorch modules and ONNX files; what is wrong with them is said in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, backbones
from causal_iqa.backbones import dry_calls, host
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.pipeline import outputs as pipeline_outputs
from tests.backbones import onnx_writer

SIDE = 16
PREPROCESSING = backbones.Preprocessing(SIDE, 1.0, (0.2, 0.3, 0.4), (0.5, 0.25, 2.0), SIDE, fixed_size=True)
WEIGHTS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((5, SIDE, SIDE, 3), np.float32)


def colours(images: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2))


def expected() -> tuple[np.ndarray, np.ndarray]:
    features = colours((IMAGES - np.float32(PREPROCESSING.mean)) / np.float32(PREPROCESSING.std))
    return features @ WEIGHTS, features


def outputs(network: backbones.Network) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return jax.jit(jax.vmap(network.apply, (None, 0)))(network.params, IMAGES)


def wrap(run, **kind) -> backbones.Network:
    return backbones.host_network("host", run, PREPROCESSING, weights=WEIGHTS, **kind)


def test_sizes_are_found_and_checked():
    network = wrap(lambda images: (colours(images) @ WEIGHTS, colours(images)))
    assert (network.num_classes, network.stages) == (4, ("penultimate",))
    for said, message in (
        ({"num_classes": 5}, "expected num_classes 5, but run returns 4"),
        ({"num_features": 7}, "expected num_features 7, but run returns 3"),
    ):
        with pytest.raises(InputError, match=message):
            wrap(lambda images: (colours(images) @ WEIGHTS, colours(images)), **said)
    with pytest.raises(InputError, match="expected num_features 3, but run returns None"):
        wrap(lambda images: colours(images) @ WEIGHTS, num_features=3)


def test_logits_alone_make_a_judged_network():
    network = wrap(lambda images: colours(images) @ WEIGHTS)
    logits, features = outputs(network)
    np.testing.assert_allclose(logits, colours(IMAGES) @ WEIGHTS, rtol=1e-5)
    assert features == {}
    assert network.stages == ()
    with pytest.raises(InputError, match="backbone mine: it gives logits alone"):
        backbones.check_features(network, "mine")
    found = pipeline_outputs.performance(network, network.params, jnp.asarray(IMAGES[0]), jnp.int32(1))
    assert np.isfinite(found["confidence"])
    assert "embedding" not in found
    key, image = jax.random.key(0), jnp.asarray(IMAGES[0])
    stable = pipeline_outputs.stability(key, network, network.params, image, num_views=2)
    assert "ser_fiq" not in stable and len(stable) == 3


def _raises(images):
    raise RuntimeError("no such operator\nin the runtime")


STATE = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (_raises, r"run fails on images of shape \[3, 16, 16, 3\] \(RuntimeError: no such operator in the runtime\)"),
        (lambda images: None, r"run's logits should have shape \[3, n\] for 3 images, got \[\]"),
        (lambda images: images, r"logits should have shape \[3, n\] for 3 images, got \[3, 16, 16, 3\]"),
        (lambda images: colours(images)[:1], r"logits should have shape \[3, n\]"),
        (lambda images: colours(images).T, r"logits should have shape \[1, n\] for 1 images|logits"),
        (lambda images: colours(images)[0], r"got \[3\]"),
        (lambda images: np.zeros((len(images), 0)), "logits should have shape"),
        (lambda images: (colours(images), images), "features should have shape"),
        (lambda images: (colours(images),) * 3, "not 3 values"),
        (lambda images: colours(images).argmax(1)[:, None], "floating point numbers, got int64"),
        (lambda images: colours(images).astype(complex), "floating point numbers, got complex128"),
        (lambda images: colours(images).astype(str), "floating point numbers, got <U"),
        (lambda images: [["a"], ["b", "c"]], "logits"),
        (lambda images: colours(images) * np.nan, "its logits on a drawn image hold NaN"),
        (lambda images: (colours(images), colours(images) / 0), "its features on a drawn image hold infinite numbers"),
        # A network left in training mode: batch norm, and dropout.
        (lambda images: colours(images) - colours(images).mean(0), "depend on the other images of its batch"),
        (lambda images: colours(images) + STATE.random((len(images), 3)), "in training mode"),
        (lambda images: (colours(images),) * (1 + (len(images) > 1)), "with some batches and not with others"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_wrong_is_said_in_one_line_before_a_study(run, message):
    with pytest.raises(InputError, match=message) as caught:
        wrap(run)
    text = str(caught.value)
    assert text.startswith("network host: ")
    assert "\n" not in text and len(text) < 400


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda params, image: (image[0, 0] @ jnp.ones((4, 2)), {}), "apply fails .TypeError"),
        (lambda params, image: (image.mean((0, 1)) * jnp.inf, {}), "its logits on a drawn image hold infinite"),
        (lambda params, image: (image.mean((0, 1)), {"penultimate": image[0, 0] * jnp.nan}), "stage 'penultimate'"),
        (lambda params, image: (image[0].argmax(0), {}), "its logits are int32"),
    ],
)
def test_functions_of_jax_are_called_once_too(apply, message):
    with pytest.raises(InputError, match=message) as caught:
        backbones.make_network("mine", apply, {}, PREPROCESSING)
    assert "\n" not in str(caught.value)


def test_a_function_of_jax_may_give_logits_alone():
    network = backbones.make_network("mine", lambda params, image: (image.mean((0, 1)), {}), {}, PREPROCESSING)
    assert (network.num_classes, network.stages) == (3, ())


def test_weights_that_overflow_are_found_when_the_network_is_opened(tmp_path):
    tensors = dict(backbones.read(backbones.bundled("scene_cnn_a")).tensors)
    tensors["head.kernel"] = np.full_like(tensors["head.kernel"], 3e38, np.float32)
    path = tmp_path / "net.safetensors"
    backbones.save_safetensors(path, checkpoints.unflatten(tensors), {})
    with pytest.raises(InputError, match="network scene_cnn_a: its logits on a drawn image hold"):
        backbones.open_network("scene_cnn_a", path)


def test_a_network_is_called_once_in_a_process(monkeypatch):
    network = backbones.load("scene_cnn_b")
    backbones.check_network(network)
    monkeypatch.setattr(dry_calls, "drawn_images", None)
    backbones.check_network(backbones.load("scene_cnn_b"))


@pytest.fixture
def runtime():
    return pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("batch", ["batch", 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_onnx_files(tmp_path, layout, batch):
    shape, axes = ((batch, 3, SIDE, SIDE), (2, 3)) if layout == "NCHW" else ((batch, SIDE, SIDE, 3), (1, 2))
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_writer.model(WEIGHTS, shape, axes))
    network = backbones.onnx_network("mine", path, PREPROCESSING, layout=layout, features="features")
    logits, features = outputs(network)
    for ours, theirs in zip((logits, features["penultimate"]), expected(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    path.write_bytes(onnx_writer.model(WEIGHTS, shape, axes, with_features=False))
    assert backbones.onnx_network("mine", path, PREPROCESSING, layout=layout).stages == ()


@pytest.mark.usefixtures("runtime")
def test_hashes_tell_onnx_files_apart(tmp_path):
    path = tmp_path / "net.onnx"
    hashes = []
    for weights in (WEIGHTS, WEIGHTS + 1):
        path.write_bytes(onnx_writer.model(weights, ("batch", 3, SIDE, SIDE), with_features=False))
        hashes.append(backbones.onnx_network("mine", path, PREPROCESSING).weights_sha256)
    # The weights of these lie in a file beside the model, which stays the same.
    path.write_bytes(
        onnx_writer.model(WEIGHTS, ("batch", 3, SIDE, SIDE), with_features=False, external="net.onnx.data")
    )
    for weights in (WEIGHTS, WEIGHTS + 1):
        (tmp_path / "net.onnx.data").write_bytes(weights.tobytes())
        hashes.append(backbones.onnx_network("mine", path, PREPROCESSING).weights_sha256)
    assert len(set(hashes)) == 4


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"layout": "NHWC"}, r"its input is .*, expected \[B, 16, 16, 3\] \(NHWC\)"),
        ({"layout": "HWC"}, "layout: expected one of NCHW, NHWC"),
        ({"features": "feature"}, "did you mean features"),
        ({"logits": "logit"}, "did you mean logits"),
        ({}, "say which output has the logits"),
    ],
)
def test_onnx_files_that_are_wrapped_wrongly(tmp_path, kind, message):
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_writer.model(WEIGHTS, ("batch", 3, SIDE, SIDE)))
    with pytest.raises(InputError, match=message) as caught:
        backbones.onnx_network("mine", path, PREPROCESSING, **kind)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("runtime")
def test_damaged_onnx_files(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(InputError, match=r"net\.onnx: cannot read the weight file \(No such file"):
        backbones.onnx_network("mine", path, PREPROCESSING)
    good = onnx_writer.model(WEIGHTS, ("batch", 3, SIDE, SIDE), with_features=False)
    for content in (b"", b"onnx", good[: len(good) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read as an ONNX model"):
            backbones.onnx_network("mine", path, PREPROCESSING)
    path.write_bytes(onnx_writer.model(WEIGHTS, ("batch", 3, SIDE, SIDE), with_features=False, external="../data"))
    with pytest.raises(InputError, match="refused, weights outside its folder"):
        backbones.onnx_network("mine", path, PREPROCESSING)


def test_without_the_extra(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(host.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"causal-iqa\[onnx\]"):
        backbones.onnx_network("mine", tmp_path / "net.onnx", PREPROCESSING)


def _module(torch):
    class Colours(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = torch.nn.AdaptiveAvgPool2d(1)
            self.dropout = torch.nn.Dropout(0.9)
            self.fc = torch.nn.Linear(3, 4, bias=False)

        def forward(self, x):
            return self.fc(self.dropout(self.pool(x).flatten(1)))

    module = Colours()
    module.fc.weight.data = torch.tensor(WEIGHTS.T.copy())
    return module


def test_pytorch_modules():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    network = backbones.torch_network("mine", _module(torch), PREPROCESSING, features="pool")
    logits, features = outputs(network)
    for ours, theirs in zip((logits, features["penultimate"]), expected(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    alone = backbones.torch_network("mine", _module(torch).to(torch.bfloat16), PREPROCESSING)
    assert alone.stages == ()
    changed = _module(torch)
    changed.fc.weight.data += 1
    scripted = torch.jit.script(_module(torch))
    others = [backbones.torch_network("mine", other, PREPROCESSING) for other in (changed, scripted)]
    assert len({network.weights_sha256, alone.weights_sha256, *(other.weights_sha256 for other in others)}) == 4
    with pytest.raises(InputError, match="unknown layer of network mine 'pol': did you mean pool"):
        backbones.torch_network("mine", _module(torch), PREPROCESSING, features="pol")
    with pytest.raises(InputError, match="run fails on images of shape"):
        backbones.torch_network("mine", torch.nn.Linear(5, 2), PREPROCESSING)
