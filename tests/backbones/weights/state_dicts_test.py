"""Networks within training checkpoints: every common nesting, prefix and company, by rule."""

import argparse
import collections
import json
import logging
import pathlib

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from causal_iqa.backbones.weights import state_dicts
from causal_iqa.backbones.zoo import cifar_resnet, scene_cnn
from tests.backbones import synthetic, torch_writer

NAME = "cifar_resnet20"
# float16 values, so that every storage type holds the same numbers.
TENSORS = {
    key: value.astype(np.float16).astype(np.float32)
    for key, value in synthetic.tensors(cifar_resnet.layout(NAME, {}), seed=1).items()
}
OTHERS = {key: value + 1.0 for key, value in TENSORS.items()}


def prefixed(prefix: str, tensors: dict = TENSORS) -> dict[str, np.ndarray]:
    return {f"{prefix}{key}": value for key, value in tensors.items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "net.safetensors"
    safetensors.numpy.save_file(TENSORS, path)
    return backbones.load(NAME, path).params


def check(path: pathlib.Path, expected) -> None:
    jax.tree.map(np.testing.assert_array_equal, backbones.load(NAME, path).params, expected)


ADAM = {
    "state": {
        i: {"step": np.float32(3), "exp_avg": value, "exp_avg_sq": value} for i, value in enumerate(TENSORS.values())
    },
    "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99), "params": list(range(len(TENSORS)))}],
}


def state_dicts_of_modules() -> dict[str, dict[str, np.ndarray]]:
    """The same tensors in a dictionary per module."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in TENSORS.items():
        module, name = key.split(".", 1)
        found.setdefault(module, {})[name] = value
    return found


CHECKPOINTS = {
    "state_dict": TENSORS,
    "ordered": collections.OrderedDict(TENSORS),
    # The layout of PyTorch's ImageNet example.
    "imagenet_example": {
        "epoch": 90, "arch": "resnet20", "state_dict": prefixed("module."), "best_acc1": np.array(91.2, np.float32),
        "optimizer": ADAM, "scheduler": {"last_epoch": 90, "_last_lr": [0.1]},
    },
    # torchvision's references.
    "references": {"model": TENSORS, "optimizer": ADAM, "lr_scheduler": {}, "args": argparse.Namespace(lr=1)},
    "lightning": {
        "epoch": 3, "global_step": 10, "pytorch-lightning_version": "2.4.0", "state_dict": prefixed("model."),
        "optimizer_states": [ADAM], "lr_schedulers": [], "loops": {"fit_loop": {"x": np.zeros(3)}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": np.array(0.9)}}, "hyper_parameters": {"lr": 0.1},
    },
    "compiled": prefixed("_orig_mod."),
    "compiled_parallel": {"model_state_dict": prefixed("module._orig_mod.")},
    "compiled_within": {key.replace("layer1.", "layer1._orig_mod."): value for key, value in TENSORS.items()},
    "sharded_data_parallel": prefixed("_fsdp_wrapped_module."),
    "net": {"net": TENSORS, "acc": 91.2, "epoch": 4},
    "swa": {"n_averaged": np.array(7), **prefixed("module.")},
    "self_supervised": {"student": prefixed("module.backbone."), "args": argparse.Namespace()},
    "own_attribute": {"state_dict": prefixed("classifier_net.trunk.")},
    "deep": {"a": {"b": {"c": {"d": prefixed("e.f.")}}}},
    "modules_apart": {"model": state_dicts_of_modules()},
    "scalars_beside": TENSORS | {"epoch": np.array(3), "best": np.array(0.5, np.float32)},
    "counters": TENSORS | {"bn1.num_batches_tracked": np.array(5)},
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_pytorch_checkpoints(tmp_path, expected, caplog, kind):
    path = tmp_path / "checkpoint.pth.tar"
    path.write_bytes(torch_writer.dumps(CHECKPOINTS[kind]))
    check(path, expected)
    assert not caplog.records


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "state_dict.model.", "net._orig_mod.", "my_wrapper."])
def test_safetensors_prefixes(tmp_path, expected, prefix):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(prefixed(prefix) | {"epoch": np.array(3)}, path)
    check(path, expected)


@pytest.mark.parametrize(
    ("content", "taken", "other"),
    [
        ({"state_dict": OTHERS, "state_dict_ema": TENSORS}, "state_dict_ema", "state_dict"),
        ({"model": prefixed("module.", OTHERS), "model_ema": prefixed("module.")}, "model_ema.module", "model.module"),
        (prefixed("online_model.", OTHERS) | prefixed("ema_model."), "ema_model", "online_model"),
        ({"student": OTHERS, "teacher": TENSORS}, "teacher", "student"),
        ({"state_dict": prefixed("model.", OTHERS) | prefixed("averaged_model.")}, "state_dict.averaged_model",
         "state_dict.model"),
    ],
)  # fmt: skip
def test_of_several_the_average_is_taken_and_named(tmp_path, expected, caplog, content, taken, other):
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(torch_writer.dumps(content))
    check(path, expected)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"holds 2 networks of {NAME}: {taken} was taken, {other} was not" in record.getMessage()


def test_what_is_left_out_is_named(tmp_path, expected, caplog):
    path = tmp_path / "checkpoint.pth"
    beside = {"module.normalizer.new_mean": np.zeros((3, 1, 1), np.float32)}
    path.write_bytes(torch_writer.dumps({"model": prefixed("module.model.") | beside, "epoch": 3}))
    check(path, expected)
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "1 tensors beside cifar_resnet20 were left out: model.module.normalizer.new_mean"
    )


def test_a_part_of_a_network_is_not_taken_for_it(tmp_path):
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(torch_writer.dumps({"state_dict": {k: v for k, v in TENSORS.items() if "layer3" not in k}}))
    with pytest.raises(backbones.MismatchError, match=r"does not fit cifar_resnet20: \d+ missing: -layer3"):
        backbones.load(NAME, path)


def test_an_optimisers_moments_are_no_network(tmp_path):
    path = tmp_path / "checkpoint.pth"
    path.write_bytes(torch_writer.dumps({"optimizer": {"exp_avg": TENSORS}, "opt_state": {"mu": TENSORS}}))
    with pytest.raises(_checks.InputError, match="no tensors; the file holds 'optimizer', 'opt_state'"):
        backbones.read(path)


def test_orbax_training_states(tmp_path):
    import orbax.checkpoint as ocp

    params = scene_cnn.init("scene_cnn_a", jax.random.key(0), num_outputs=4)
    tree = {"params": params, "step": np.int32(5), "name": "run", "opt_state": [{"mu": params, "nu": params}]}
    ocp.PyTreeCheckpointer().save(tmp_path / "state", tree)
    found = backbones.load("scene_cnn_a", tmp_path / "state")
    jax.tree.map(np.testing.assert_array_equal, found.params, params)


@pytest.mark.parametrize("kind", [ml_dtypes.bfloat16, np.float16, np.float64])
def test_floating_point_types(tmp_path, kind):
    stored = {key: value.astype(kind) for key, value in TENSORS.items()}
    paths = tmp_path / "net.safetensors", tmp_path / "net.pth", tmp_path / "wide.safetensors"
    safetensors.numpy.save_file(stored, paths[0])
    paths[1].write_bytes(torch_writer.dumps(stored))
    safetensors.numpy.save_file({key: value.astype(np.float32) for key, value in stored.items()}, paths[2])
    wide = backbones.load(NAME, paths[2]).params
    for path in paths[:2]:
        assert {value.dtype for value in backbones.read(path).tensors.values()} == {np.dtype(kind)}
        jax.tree.map(np.testing.assert_array_equal, backbones.load(NAME, path).params, wide)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2"])
def test_float8(tmp_path, kind):
    stored = {key: value.astype(getattr(ml_dtypes, kind)) for key, value in TENSORS.items()}
    safetensors.numpy.save_file(
        {key: value.astype(np.float32) for key, value in stored.items()}, tmp_path / "a.safetensors"
    )
    header, data = {}, b""
    for key, value in stored.items():
        header[key] = {"dtype": kind.removesuffix("fn").upper().replace("FLOAT8", "F8"), "shape": value.shape,
                       "data_offsets": [len(data), len(data) + value.nbytes]}  # fmt: skip
        data += value.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "b.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    read = backbones.read(tmp_path / "b.safetensors").tensors
    assert read["conv1.weight"].dtype == getattr(ml_dtypes, kind)
    params = [backbones.load(NAME, tmp_path / f"{name}.safetensors").params for name in "ab"]
    jax.tree.map(np.testing.assert_array_equal, *params)


def _shards(folder: pathlib.Path) -> pathlib.Path:
    names = sorted(TENSORS)
    parts = {f"model-{i + 1:05d}-of-00003.safetensors": names[i::3] for i in range(3)}
    for file, held in parts.items():
        safetensors.numpy.save_file({name: TENSORS[name] for name in held}, folder / file, {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": {name: file for file, held in parts.items() for name in held}}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    return path


def test_shards_with_their_index(tmp_path, expected):
    index = _shards(tmp_path)
    check(index, expected)
    check(tmp_path, expected)
    first = backbones.read(index).sha256
    with pytest.raises(backbones.MismatchError, match=r"one shard of several; give model\.safetensors\.index\.json"):
        backbones.load(NAME, tmp_path / "model-00001-of-00003.safetensors")
    shard = tmp_path / "model-00002-of-00003.safetensors"
    held = safetensors.numpy.load_file(shard)
    changed = {name: value + 1 for name, value in held.items()}
    safetensors.numpy.save_file(changed, shard)
    assert backbones.read(index).sha256 != first
    safetensors.numpy.save_file(held | {"more": np.zeros(2)}, shard)
    with pytest.raises(_checks.InputError, match="and the index disagree about more"):
        backbones.read(index)
    shard.unlink()
    with pytest.raises(_checks.InputError, match=r"model-00002-of-00003\.safetensors: cannot read the weight file"):
        backbones.read(index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not an index of shards"),
        ("[]", "not an index of shards"),
        ('{"weight_map": 3}', "not an index of shards"),
        ('{"weight_map": {"a": "../net.safetensors"}}', "refused, a shard outside its folder"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "refused, a shard outside its folder"),
        ('{"weight_map": {"a": "net.bin"}}', r"only shards ending in \.safetensors"),
    ],
)
def test_an_index_that_makes_no_sense(tmp_path, text, message):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(_checks.InputError, match=message):
        backbones.read(path)


def test_likely_opens_known_containers_alone():
    array = np.zeros(2)
    for names, prefix in (
        (["module.a", "b"], ""),
        (["module.a", "module.b"], "module."),
        (["state_dict.model.a", "state_dict.model.b"], "state_dict.model."),
        (["features.a", "features.b"], ""),
        (["params.a", "params.b"], ""),
    ):
        assert state_dicts.likely(dict.fromkeys(names, array)).prefix == prefix


def test_saving_keeps_transposed_arrays(tmp_path):
    value = np.arange(12, dtype=np.float32).reshape(3, 4)
    backbones.save_safetensors(tmp_path / "net.safetensors", {"a": value.T, "s": np.float32(2)}, {})
    found = backbones.read(tmp_path / "net.safetensors").tensors
    np.testing.assert_array_equal(found["a"], value.T)
    assert found["s"].shape == ()
