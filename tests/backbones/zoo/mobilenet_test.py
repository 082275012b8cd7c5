"""MobileNets against the published ones, and the metadata of their files."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from causal_iqa import _checks, backbones, images
from causal_iqa.backbones.zoo import mobilenet
from tests import shared
from tests.backbones import synthetic
from tests.backbones.zoo import parity

# Top-1 on a sample of 1000 images; 700 of them are at hand, of which a seventh is read unless asked for all.
REAL_IMAGENET = (
    ("mobilenet_v1", "mobilenet_v1_025_128.safetensors", 128, 0.453),
    ("mobilenet_v1", "mobilenet_v1_050_160.safetensors", 160, 0.685),
    ("mobilenet_v2", "mobilenet_v2_100_224_qat.safetensors", 224, 0.887),
)


@pytest.fixture(scope="module")
def golden():
    return parity.load_golden()


@pytest.mark.parametrize(("name", "multiplier", "side"), synthetic.MOBILENET_CASES)
def test_mobilenet_layer_by_layer(tmp_path, golden, name, multiplier, side):
    path = tmp_path / "net.safetensors"
    layout = mobilenet.layout(name, synthetic.thin(name, multiplier))
    safetensors.numpy.save_file(synthetic.tensors(layout, synthetic.SEED), path)
    network = backbones.load(name, path, input_size=side)
    parity.check_parity(network, synthetic.images(1, side), golden, f"{name}/{side}")


def central_square(path: pathlib.Path, side: int) -> np.ndarray:
    """The preprocessing of the published figures: central square of .875 of the shorter side, Pillow's bilinear."""
    photo = Image.open(path).convert("RGB")
    cut = round(min(photo.size) * 0.875)
    left, top = (photo.width - cut) // 2, (photo.height - cut) // 2
    return np.asarray(photo.crop((left, top, left + cut, top + cut)).resize((side, side), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("name", "file", "side", "accuracy"), REAL_IMAGENET)
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_published_mobilenets(name, file, side, accuracy, every):
    network = backbones.load(name, shared.path_or_skip("weights", "imagenet", file))
    assert network.preprocessing.size == side
    assert network.num_classes == 1000
    sample = shared.path_or_skip("data", "imagenet_sample")
    wnids = [line.split()[0] for line in (sample / "imagenet_wnids.txt").read_text().splitlines()]
    photos = sorted((sample / "validation").glob("*/*.JPEG"))[::every]
    batch = images.from_uint8(np.stack([central_square(path, side) for path in photos]))
    predict_logits = jax.jit(jax.vmap(lambda image: network.apply(network.params, image)[0]))
    logits = jnp.concatenate([predict_logits(batch[i : i + 25]) for i in range(0, len(photos), 25)])
    correct = np.argmax(logits, axis=1) == np.array([wnids.index(p.parent.name) for p in photos])
    print(f"{name}: {100 * correct.mean():.2f} % of {len(photos)}")
    # 100 photos: a standard error of up to 5 points. One wrong label offset or channel order gives near 0.
    assert abs(correct.mean() - accuracy) < (0.12 if every > 1 else 0.005)


@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_is_the_direct_sum(side, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, side, side + 3, 5)), rng.normal(size=(3, 3, 1, 5))
    rows, columns = -(-side // stride), -(-(side + 3) // stride)
    before = [max((n - 1) * stride + 3 - size, 0) // 2 for n, size in ((rows, side), (columns, side + 3))]
    expected = np.zeros((2, rows, columns, 5))
    for b, r, c, k in np.ndindex(expected.shape):
        for i, j in np.ndindex(3, 3):
            y, z = r * stride + i - before[0], c * stride + j - before[1]
            if 0 <= y < side and 0 <= z < side + 3:
                expected[b, r, c, k] += x[b, y, z, k] * kernel[i, j, 0, k]
    ours = mobilenet.depthwise(jnp.float32(x), jnp.float32(kernel), stride)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert ours.shape == expected.shape


def mobilenet_file(path: pathlib.Path, **metadata: str) -> pathlib.Path:
    layout = mobilenet.layout("mobilenet_v1", synthetic.thin("mobilenet_v1", 0.25))
    tensors = {k: v.astype(np.float16) for k, v in synthetic.tensors(layout, 0).items()}
    safetensors.numpy.save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(
    ("stem", "metadata", "size"),
    [
        ("mobilenet_v1_025_160", {}, 160),
        ("mobilenet_v1_025_192_qat", {}, 192),
        ("mobilenet_v1_025_160", {"input_size": "128"}, 128),
        ("mine", {}, 224),
    ],
)
def test_input_size_comes_from_metadata_then_name(tmp_path, stem, metadata, size):
    path = mobilenet_file(tmp_path / f"{stem}.safetensors", **metadata)
    assert backbones.load("mobilenet_v1", path).preprocessing.size == size
    assert backbones.load("mobilenet_v1", path, input_size=100).preprocessing.size == 100


def test_strides_come_from_metadata(tmp_path):
    strides = {**mobilenet.published_strides("mobilenet_v1"), "block11": 1}
    path = mobilenet_file(tmp_path / "a.safetensors", strides=json.dumps(strides))
    network = backbones.load("mobilenet_v1", path, input_size=96)
    shapes = jax.eval_shape(network.apply, network.params, jax.ShapeDtypeStruct((96, 96, 3), jnp.float32))[1]
    assert shapes["block12"].shape == (6, 6, 256)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"strides": "2, 1"}, "metadata `strides` should be JSON"),
        ({"strides": '{"stem": 2}'}, "metadata `strides` should be JSON"),
        (
            {"strides": json.dumps({k: [2] for k in mobilenet.published_strides("mobilenet_v1")})},
            "gives 1 or 2 for each",
        ),
        ({"input_size": "large"}, "metadata `input_size` should be a number of pixels, got 'large'"),
        ({"input_size": "64"}, "at least 96 pixels, got 64"),
    ],
)
def test_metadata_that_makes_no_sense(tmp_path, metadata, message):
    with pytest.raises(_checks.InputError, match=message):
        backbones.load("mobilenet_v1", mobilenet_file(tmp_path / "a.safetensors", **metadata))
