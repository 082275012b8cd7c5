"""LPIPS, DISTS and CLIP-IQA against PyTorch (values of tests/golden/classic_torch.py) and closed forms."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones, metrics
from causal_iqa.backbones.zoo import clip
from causal_iqa.metrics.learned import _lpips
from tests.backbones import classic_cases, transformer_cases
from tests.metrics import learned_cases

GOLDEN = json.loads((pathlib.Path(__file__).parents[2] / "golden" / "classic_torch.json").read_text())
PAIRS = learned_cases.pairs()
NAMES = {"alexnet": "lpips_alex", "vgg16": "lpips_vgg", "squeezenet1_1": "lpips_squeeze"}


def save(folder: pathlib.Path, name: str, tensors: dict[str, np.ndarray]) -> pathlib.Path:
    path = folder / f"{name}.safetensors"
    safetensors.numpy.save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weight files of every trunk (VGG16 without its classifier), of LPIPS and of DISTS."""
    folder = tmp_path_factory.mktemp("weights")
    for trunk in NAMES:
        tensors = classic_cases.tensors(trunk)
        if trunk == "vgg16":
            tensors = {name: value for name, value in tensors.items() if name.startswith("features")}
        save(folder, trunk, tensors)
        save(folder, f"{trunk}_linear", learned_cases.linear(trunk))
    save(folder, "dists", learned_cases.channels())
    return folder


@pytest.fixture(scope="module")
def specs(folder):
    texts = [f"{name}@{folder}/{t}.safetensors,{folder}/{t}_linear.safetensors" for t, name in NAMES.items()]
    found = [metrics.resolve(text) for text in [*texts, f"dists@{folder}/vgg16.safetensors,{folder}/dists.safetensors"]]
    return {spec.name: spec for spec in found}


def golden(name: str, case: str) -> float:
    trunk = {v: k for k, v in NAMES.items()}.get(name)
    return GOLDEN["lpips"][f"{trunk}/{case}"] if trunk else GOLDEN["dists"][case]


@pytest.mark.parametrize(("name", "case"), [("lpips_vgg", "even"), ("lpips_squeeze", "odd"), ("lpips_alex", "even")])
def test_values_are_pytorchs(specs, name, case):
    reference, image = (jnp.asarray(x) for x in PAIRS[case])
    values = jax.jit(jax.vmap(specs[name].fn))(jnp.stack([reference, image]), jnp.stack([image, image]))
    np.testing.assert_allclose(values[0], golden(name, case), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values[1], specs[name].perfect, atol=1e-6)


@pytest.mark.parametrize("name", ["lpips_alex", "dists"])
def test_values_are_symmetric_and_have_finite_gradients(specs, name):
    reference, image = (jnp.asarray(x) for x in PAIRS["odd"])
    flat = jnp.full_like(image, 0.3)
    pairs = [(reference, image), (image, reference), (image, image), (flat, flat)]
    both = jax.jit(jax.vmap(jax.value_and_grad(specs[name].fn, argnums=1)))
    values, gradients = both(*(jnp.stack(part) for part in zip(*pairs, strict=True)))
    np.testing.assert_allclose(values[0], golden(name, "odd"), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-5)
    np.testing.assert_allclose(values[2:], specs[name].perfect, atol=1e-6)
    assert np.isfinite(gradients).all() and np.abs(gradients[0]).max() > 0


def test_the_passport_names_the_files(specs):
    for spec in specs.values():
        passport = json.loads(json.dumps(spec.passport()))
        assert len(passport["files"]) == 2 and all(len(sha) == 64 for sha in passport["files"].values())
        assert passport["suite"] == "learned" and passport["needs_reference"]


@pytest.mark.parametrize("trunk", _lpips.TRUNKS)
def test_the_smallest_side_is_the_smallest(specs, trunk):
    spec, side = specs[NAMES[trunk]], _lpips.SMALLEST_SIDE[trunk]

    def maps(side):
        image = jnp.zeros((1, side, side, 3))
        return jax.eval_shape(lambda x: _lpips.trunk_features(trunk, spec.fn.args[0]["trunk"], x), image)

    assert min(m.shape[1] for m in maps(side)) == 1
    with pytest.raises(TypeError, match="slice"):
        maps(side - 1)
    with pytest.raises(ValueError, match=f"smallest side of {side} pixels"):
        spec.fn(*[jnp.zeros((side - 1, side, 3))] * 2)


def test_unfit_files_are_refused(folder):
    alex, vgg = f"{folder}/alexnet.safetensors", f"{folder}/vgg16.safetensors"
    with pytest.raises(_checks.InputError, match="does not fit vgg16"):
        metrics.resolve(f"lpips_vgg@{alex},{folder}/vgg16_linear.safetensors")
    with pytest.raises(_checks.InputError, match="does not fit the linear layers of lpips for vgg16"):
        metrics.resolve(f"lpips_vgg@{vgg},{folder}/alexnet_linear.safetensors")
    with pytest.raises(_checks.InputError, match="does not fit the weights of dists"):
        metrics.resolve(f"dists@{vgg},{folder}/alexnet_linear.safetensors")
    negative = {name: value - 1.0 for name, value in learned_cases.linear("alexnet").items()}
    with pytest.raises(_checks.InputError, match="not negative"):
        metrics.resolve(f"lpips_alex@{alex},{save(folder, 'negative', negative)}")
    zero = {name: 0.0 * value for name, value in learned_cases.channels().items()}
    with pytest.raises(_checks.InputError, match="positive sum"):
        metrics.resolve(f"dists@{vgg},{save(folder, 'zero', zero)}")


def test_clip_iqa_of_a_network(tmp_path):
    """A small CLIP of random weights; the score by hand from its towers."""
    case = "clip_hf"
    path = save(tmp_path, "net", transformer_cases.weights(case))
    variant = transformer_cases.CLIPS[case][0]
    network = clip.network_of(case, variant, backbones.read(path), None)
    network = dataclasses.replace(network, text=clip.text_tower(variant.text, "clip"))

    def letters(text):
        return [98, *(ord(letter) - ord("a") + 1 for letter in text.lower() if letter.isalpha()), 99]

    tokenizer = backbones.Tokenizer("clip", letters, 99, 0)
    spec = metrics.clip_iqa_spec(network, tokenizer)
    assert spec.name == "clip_iqa@clip_hf" and spec.passport()["files"] == {"clip_hf weights": network.weights_sha256}
    image = jnp.asarray(PAIRS["odd"][1])
    _, features = network.apply(network.params, backbones.to_input(network.preprocessing, image))
    tokens = tokenizer(["Good photo.", "Bad photo."], network.text.context)
    texts = [np.asarray(network.text.apply(network.params, row), np.float64) for row in tokens]
    embedding = np.asarray(features[backbones.EMBEDDING], np.float64)
    cosines = [text @ embedding / np.linalg.norm(text) / np.linalg.norm(embedding) for text in texts]
    scale = float(network.text.temperature(network.params)[0])
    expected = 1 / (1 + np.exp(-scale * (cosines[0] - cosines[1])))
    value, gradient = jax.jit(jax.value_and_grad(spec.fn))(image)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    with pytest.raises(_checks.InputError, match="text tower"):
        metrics.clip_iqa_spec(dataclasses.replace(network, text=None), tokenizer)
