"""The networks against PyTorch (values of tests/golden/backbones_torch.py) and against their published accuracies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones, images
from causal_iqa.backbones.zoo import cifar_resnet
from tests import shared
from tests.backbones import synthetic
from tests.backbones.zoo import parity

REAL_CIFAR = (
    ("cifar_resnet20", "resnet20-12fca82f.th", 0.810),
    ("cifar_resnet32", "resnet32-d509ac18.th", 0.829),
    ("cifar_resnet44", "resnet44-014dd654.th", 0.826),
)


@pytest.fixture(scope="module")
def golden():
    return parity.load_golden()


@pytest.mark.parametrize("name", ["cifar_resnet20", "cifar_resnet56"])
def test_cifar_resnet_layer_by_layer(tmp_path, golden, name):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(synthetic.tensors(cifar_resnet.layout(name, {}), synthetic.SEED), path)
    parity.check_parity(backbones.load(name, path), synthetic.images(2, 32), golden, name)


@pytest.mark.parametrize(("name", "file", "accuracy"), REAL_CIFAR)
def test_published_cifar_resnets(golden, name, file, accuracy):
    network = backbones.load(name, shared.path_or_skip("weights", "cifar10", file))
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = shared.path_or_skip("data", "tfds")
    source = tfds.data_source("cifar10", data_dir=folder, split="test", download=False)
    examples = [source[i] for i in range(500)]
    photos = images.from_uint8(np.stack([example["image"] for example in examples]))
    logits, _ = parity.predict(network, np.concatenate([synthetic.images(8, 32), photos]))
    np.testing.assert_allclose(logits[:8], golden[file], atol=1e-4, rtol=1e-5)
    correct = np.argmax(logits[8:], axis=1) == np.array([example["label"] for example in examples])
    # 500 of the 5000 images the figure was measured on: its standard error is 1.7 points.
    assert abs(correct.mean() - accuracy) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file", "accuracy"), REAL_CIFAR)
def test_accuracy_on_every_test_image(name, file, accuracy):
    network = backbones.load(name, shared.path_or_skip("weights", "cifar10", file))
    tfds = pytest.importorskip("tensorflow_datasets")
    source = tfds.data_source("cifar10", data_dir=shared.path_or_skip("data", "tfds"), split="test", download=False)
    assert len(source) == 5000
    labels = jax.jit(jax.vmap(lambda image: jnp.argmax(network.apply(network.params, image)[0])))
    correct = []
    for start in range(0, len(source), 500):
        examples = [source[i] for i in range(start, start + 500)]
        found = labels(images.from_uint8(np.stack([example["image"] for example in examples])))
        correct.append(found == np.array([example["label"] for example in examples]))
    print(f"{name}: {100 * np.mean(correct):.2f} %")
    assert abs(np.mean(correct) - accuracy) <= 0.005
