"""No file runs code, fills the memory, hangs or passes for something else; each is refused in one line.

The quick part reads every file of hostile_files.py. The suite of mutations, with its counts:

    pytest -m slow -n 0 -s tests/backbones/hostile_files_test.py
"""

import pathlib
import pickle
import resource
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.io

from causal_iqa import InputError, backbones, metrics
from causal_iqa.backbones.text import tokenizers
from causal_iqa.backbones.weights import budgets, checkpoints
from causal_iqa.backbones.zoo import cifar_resnet, scene_cnn
from tests.backbones import hostile_files, synthetic, torch_writer

BUDGET = {"bytes": hostile_files.BOMB // 4, "text": 2**23, "objects": 2**17}
_MOST_MEGABYTES = 300
WEIGHTS = sorted(hostile_files.weight_files(pathlib.Path("unused")))


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def check_refusal(read, mentioned: str) -> str:
    before = _megabytes()
    with backbones.limited(**BUDGET), pytest.raises(InputError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    assert mentioned in message
    assert _megabytes() - before < _MOST_MEGABYTES
    return message


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weight_files(tmp_path, name):
    assert len(WEIGHTS) >= 60
    path, target = tmp_path / name, tmp_path / "ran"
    made = hostile_files.weight_files(target)[name]
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        made(path, target)
    check_refusal(lambda: backbones.load("cifar_resnet20", path), name)
    assert not target.exists()


def test_the_payloads_would_run(tmp_path):
    target = tmp_path / "ran"
    held = hostile_files.pickles(target)
    for name in ("system", "eval", "exec"):
        pickle.loads(held[name])
        assert target.exists(), name
        target.unlink()


@pytest.mark.parametrize("name", sorted(hostile_files.metric_files()))
def test_hostile_parameter_files(tmp_path, name):
    written, content = hostile_files.metric_files()[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content())
    check_refusal(lambda: metrics.resolve(written.format(path)), name)


@pytest.mark.parametrize("name", sorted(hostile_files.vocabulary_files()))
def test_hostile_vocabularies(tmp_path, name):
    pytest.importorskip("tokenizers")
    file, content = hostile_files.vocabulary_files()[name]
    (tmp_path / "merges.txt").write_text("")
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content())
    check_refusal(lambda: tokenizers.load("clip", tmp_path / file), file)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, bool, np.complex64, np.int64])
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_weights_of_another_type(tmp_path, kind, ending):
    tensors = synthetic.tensors(cifar_resnet.layout("cifar_resnet20", {}), seed=1)
    tensors["layer1.0.conv1.weight"] = np.ones(tensors["layer1.0.conv1.weight"].shape, kind)
    path = tmp_path / f"net.{ending}"
    if ending == "pth":
        path.write_bytes(torch_writer.dumps({"state_dict": tensors}))
    else:
        safetensors.numpy.save_file(tensors, path)
    name = np.dtype(kind).name
    message = check_refusal(lambda: backbones.load("cifar_resnet20", path), f"layer1.0.conv1.weight ({name})")
    assert "dequantise" in message


def test_numbers_that_float32_or_the_network_cannot_hold(tmp_path):
    tensors = synthetic.tensors(cifar_resnet.layout("cifar_resnet20", {}), seed=1)
    path = tmp_path / "net.safetensors"
    for name, value, message in (
        ("bn1.bias", np.full(16, 1e300), "not finite: bn1.bias"),
        ("bn1.running_var", np.full(16, -1.0, np.float32), "makes parameters that are not finite"),
    ):
        safetensors.numpy.save_file(tensors | {name: value}, path)
        check_refusal(lambda: backbones.load("cifar_resnet20", path), message)


def test_the_budget_is_the_callers(tmp_path):
    tensors = synthetic.tensors(cifar_resnet.layout("cifar_resnet20", {}), seed=1)
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(tensors, path)
    assert backbones.load("cifar_resnet20", path).num_classes == 10
    for limits, message in (({"bytes": 10**5}, "the budget is 100000"), ({"objects": 10}, "the budget is 10,")):
        with backbones.limited(**limits), pytest.raises(InputError, match=message):
            backbones.load("cifar_resnet20", path)
        with pytest.raises(InputError, match="the budget is"):
            backbones.read(path, budget=backbones.Budget(**limits))
    assert budgets.current() == backbones.Budget()


def _mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with a few bytes changed, a piece cut out, doubled or zeroed, or its end gone."""
    data, kind = bytearray(content), rng.integers(6)
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, 64))
    if kind == 0:
        data[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        for at in rng.integers(0, min(len(data), 2000), 3):
            data[at] = int(rng.integers(256))
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        data[place:place] = data[place : place + length]
    elif kind == 4:
        data[place : place + length] = bytes(len(data[place : place + length]))
    else:
        del data[place:]
    return bytes(data)


def _legacy(tensors: dict[str, np.ndarray]) -> bytes:
    """The stream that PyTorch wrote before 1.6, of the zip archive's pickle."""
    archive = torch_writer.dumps(tensors)
    data, arrays = torch_writer.parts(archive)
    heads = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    keys = pickle.dumps([str(i) for i in range(len(arrays))], 2)
    sizes = [len(array) // 4 for array in arrays]
    bodies = [size.to_bytes(8, "little") + array for size, array in zip(sizes, arrays, strict=True)]
    return b"".join([*heads, data, keys, *bodies])


def _same(found, expected) -> bool:
    leaves = [jax.tree.leaves(tree) for tree in (found, expected)]
    return len(leaves[0]) == len(leaves[1]) and all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


@pytest.mark.slow
def test_mutated_weight_files(tmp_path):
    tensors = synthetic.tensors(cifar_resnet.layout("cifar_resnet20", {}), seed=1)
    params = scene_cnn.init("scene_cnn_a", jax.random.key(0), num_outputs=4)
    safetensors.numpy.save_file(tensors, tmp_path / "good.safetensors")
    flat = {name.replace(".", "/"): np.asarray(value) for name, value in checkpoints.flatten(params).items()}
    np.savez(tmp_path / "good.npz", **flat)
    # The archives carry checksums; of the others only the hash in the records shows another number.
    cases = {
        ("cifar_resnet20", "net.safetensors", False): (tmp_path / "good.safetensors").read_bytes(),
        ("cifar_resnet20", "net.pth", True): torch_writer.dumps({"state_dict": tensors, "epoch": 3}),
        ("cifar_resnet20", "old.pth", False): _legacy(tensors),
        ("scene_cnn_a", "net.npz", True): (tmp_path / "good.npz").read_bytes(),
    }
    counts = dict.fromkeys(("refused", "same numbers", "other numbers, other hash", "silent"), 0)
    for (architecture, name, has_checksum), content in cases.items():
        path, rng = tmp_path / name, np.random.default_rng(len(content))
        path.write_bytes(content)
        good = backbones.load(architecture, path)
        for _ in range(150):
            path.write_bytes(_mutated(content, rng))
            try:
                found = backbones.load(architecture, path)
            except InputError as error:
                assert "\n" not in str(error)
                counts["refused"] += 1
                continue
            if _same(found.params, good.params):
                counts["same numbers"] += 1
            elif not has_checksum and found.weights_sha256 != good.weights_sha256:
                counts["other numbers, other hash"] += 1
            else:
                counts["silent"] += 1
    print(f"{4 * 150} mutated weight files: {counts}")
    assert counts["silent"] == 0
    assert counts["refused"] > 150


@pytest.mark.slow
def test_mutated_orbax_folders(tmp_path, caplog):
    import orbax.checkpoint as ocp

    params = scene_cnn.init("scene_cnn_a", jax.random.key(0), num_outputs=4)
    ocp.PyTreeCheckpointer().save(tmp_path / "good", {"params": params, "step": 3})
    good = backbones.load("scene_cnn_a", tmp_path / "good")
    files = sorted(path.relative_to(tmp_path / "good") for path in (tmp_path / "good").rglob("*") if path.is_file())
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(("refused", "same numbers", "other numbers, other hash"), 0)
    for number in range(120):
        folder = tmp_path / f"run{number}"
        shutil.copytree(tmp_path / "good", folder)
        file = folder / files[number % len(files)]
        if number % 10 == 9:
            file.unlink()
        else:
            file.write_bytes(_mutated(file.read_bytes(), rng) if file.stat().st_size else b"\0")
        try:
            found = backbones.load("scene_cnn_a", folder)
        except InputError as error:
            assert "\n" not in str(error)
            counts["refused"] += 1
        else:
            # Large arrays lie there without a checksum; the hash in the records is that of the numbers.
            same = _same(found.params, good.params)
            assert same == (found.weights_sha256 == good.weights_sha256)
            counts["same numbers" if same else "other numbers, other hash"] += 1
        shutil.rmtree(folder)
    print(f"120 mutated Orbax folders: {counts}")
    assert counts["refused"] > 40
    assert not caplog.records


@pytest.mark.slow
def test_mutated_parameter_files(tmp_path):
    mean, covariance = np.zeros(36), np.eye(36)
    np.savez(tmp_path / "good.npz", mean=mean, covariance=covariance)
    scipy.io.savemat(tmp_path / "good.mat", {"mu_prisparam": mean, "cov_prisparam": covariance}, do_compression=True)
    cases = {
        "niqe@{}/net.npz": (tmp_path / "good.npz").read_bytes(),
        "niqe@{}/net.mat": (tmp_path / "good.mat").read_bytes(),
        "brisque@{}/net.txt": hostile_files.SVR % (b"0.05", b"-0.1", b"1", b"0.5"),
    }
    refused = 0
    for written, content in cases.items():
        name, rng = written.format(tmp_path), np.random.default_rng(len(content))
        for _ in range(100):
            pathlib.Path(name.split("@")[1]).write_bytes(_mutated(content, rng))
            try:
                metrics.resolve(name)
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
    print(f"300 mutated parameter files: {refused} refused")
    assert refused > 100
