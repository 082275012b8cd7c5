"""A user's own network: from a function in a file or a module, checked, and run on the host when it lives there."""

import dataclasses
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import backbones, pipeline
from causal_iqa.backbones import user

_PREPROCESSING = backbones.Preprocessing(16, 1.0, (0.5,) * 3, (0.5,) * 3, 16, fixed_size=True)
_FILE = textwrap.dedent('''
    """A linear network on mean colours."""

    import jax.numpy as jnp
    import numpy as np

    from causal_iqa import backbones


    def apply(params, image):
        features = image.mean(axis=(0, 1))
        return features @ params["kernel"], {"penultimate": features}


    def make():
        preprocessing = backbones.Preprocessing(48, 1.0, (0.0,) * 3, (1.0,) * 3, 16)
        params = {"kernel": np.arange(30, dtype=np.float32).reshape(3, 10)}
        return backbones.make_network("colours", apply, params, preprocessing)


    def fails():
        raise RuntimeError("no weights here")


    def number():
        return 3
''')


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(_FILE)
    return path


def test_a_function_in_a_file(file):
    network = backbones.open_network(f"{file}:make")
    assert (network.num_classes, network.stages) == (10, ("penultimate",))
    logits, _ = network.apply(network.params, jnp.full((48, 48, 3), 0.5))
    np.testing.assert_allclose(logits, 0.5 * network.params["kernel"].sum(axis=0))
    assert network.weights_sha256 == backbones.open_network(f"{file}:make").weights_sha256
    changed = {"kernel": network.params["kernel"] + 1}
    assert user.hash_params(changed) != network.weights_sha256


def test_a_function_in_a_module(file, monkeypatch):
    monkeypatch.syspath_prepend(str(file.parent))
    assert backbones.open_network("mine:make").name == "colours"


@pytest.mark.parametrize(
    ("function", "message"),
    [("fails", "failed .RuntimeError: no weights here"), ("number", "expected it to return a Network, got int"),
     ("mak", "no function mak; did you mean make")],
)  # fmt: skip
def test_functions_that_give_no_network(file, function, message):
    with pytest.raises(ValueError, match=message):
        backbones.load_function(f"{file}:{function}")


def test_references_that_lead_nowhere(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        backbones.load_function(f"{tmp_path}/none.py:make")
    with pytest.raises(ValueError, match=r"cannot be imported .ModuleNotFoundError"):
        backbones.load_function("no_such_module_anywhere:make")
    with pytest.raises(ValueError, match="expected package"):
        backbones.load_function("cifar_resnet20")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (lambda image: image.mean(), "it returns"),
        (lambda image: (image.mean(axis=0), {"penultimate": image[0, 0]}), r"its logits have shape \(16, 3\)"),
        (lambda image: (image[0, 0], {"last": image[0, 0]}), "without 'penultimate'"),
        (lambda image: (image[0, 0], {"penultimate": image}), r"has shape \(16, 16, 3\), expected \[d\]"),
    ],
)
def test_functions_that_break_the_contract_are_refused(out, message):
    with pytest.raises(ValueError, match=message):
        backbones.make_network("bad", lambda params, image: out(image), {}, _PREPROCESSING)


def test_a_model_on_the_host_is_called_with_whole_batches():
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    sizes = []

    def run(images):
        sizes.append(len(images))
        features = images.mean(axis=(1, 2))
        return features @ weights, features

    network = backbones.host_network("host", run, _PREPROCESSING, num_classes=4, num_features=3, weights=weights)
    images = np.random.default_rng(1).random((5, 16, 16, 3), np.float32)
    logits, features = jax.jit(jax.vmap(network.apply, (None, 0)))(network.params, images)
    np.testing.assert_allclose(logits, images.mean(axis=(1, 2)) @ weights, rtol=1e-5)
    np.testing.assert_allclose(features["penultimate"], images.mean(axis=(1, 2)), rtol=1e-5)
    assert sizes == [3, 1, 5]  # The dry call, and the batch.


def test_a_model_on_the_host_is_called_from_every_device():
    side = 256  # Large enough for JAX to copy arguments in its own threads, all of which wait here.
    preprocessing = backbones.Preprocessing(side, 1.0, (0.5,) * 3, (0.5,) * 3, side, fixed_size=True)

    def run(images):
        features = images.mean(axis=(1, 2))
        return features, features

    network = backbones.host_network("host", run, preprocessing, num_classes=3, num_features=3, weights=np.ones(1))
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()), ("images",))
    spec = jax.sharding.PartitionSpec("images")
    images = np.random.default_rng(1).random((2 * len(jax.devices()), side, side, 3), np.float32)
    every = jax.shard_map(
        lambda x: jax.vmap(network.apply, (None, 0))({}, x)[0], mesh=mesh, in_specs=spec, out_specs=spec
    )
    np.testing.assert_allclose(jax.jit(every)(images), images.mean(axis=(1, 2)), rtol=1e-5)


def test_how_it_is_written_on_the_command_line(file):
    parse = pipeline.NetworkChoice.parse
    assert dataclasses.astuple(parse(f"mine={file}:make")) == ("mine", f"{file}:make", None)
    assert dataclasses.astuple(parse("a.b:make")) == ("make", "a.b:make", None)
    address = "hf://owner/repository@v1/model.safetensors"
    assert dataclasses.astuple(parse(f"vit_b16={address}")) == ("vit_b16", "vit_b16", address)


def test_a_study_of_a_users_network(file):
    config = pipeline.StudyConfig(
        num_images=8,
        networks=(pipeline.NetworkChoice.parse(f"mine={file}:make"),),
        degradations=("contrast",),
        severities=(3.0,),
        metrics=("mse",),
    )
    study = pipeline.prepare(config)
    assert study.details["networks"]["network mine"]["weights_sha256"] == study.networks["mine"].weights_sha256
