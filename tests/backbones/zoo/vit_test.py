"""Transformer towers against transformers, timm and open_clip, in every format of weight files."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones import networks
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import clip, vit
from tests.backbones import synthetic, transformer_cases

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


@functools.cache
def _golden() -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(GOLDEN / "backbones_transformers.npz") as stored:
        for name in stored.files:
            if name != "versions":
                case, key = name.split("/")
                found.setdefault(case, {})[key] = stored[name]
    return found


def _write(case: str, folder: pathlib.Path) -> pathlib.Path:
    weights = transformer_cases.weights(case)
    if case.endswith("npz"):
        np.savez(folder / "net.npz", **{name.replace(".", "/"): value for name, value in weights.items()})
        return folder / "net.npz"
    safetensors.numpy.save_file(weights, folder / "net.safetensors")
    return folder / "net.safetensors"


def _network(case: str, folder: pathlib.Path, input_size: int | None = None) -> networks.Network:
    checkpoint = checkpoints.read(_write(case, folder))
    checkpoints.check_layout(checkpoint, transformer_cases.layout(case), case)
    if case in transformer_cases.CLIPS:
        return clip.network_of(case, transformer_cases.CLIPS[case][0], checkpoint, input_size)
    return vit.network_of(case, transformer_cases.VITS[case][0], checkpoint, input_size)


@pytest.mark.parametrize("case", transformer_cases.CASES)
def test_outputs_and_stages_equal_the_peers(case, tmp_path):
    network = _network(case, tmp_path)
    logits, features = jax.jit(network.apply)(network.params, transformer_cases.image())
    assert set(features) == set(network.stages)
    found = {**features, "logits": logits}
    if network.text is not None:
        found["text"] = jax.jit(network.text.apply)(network.params, transformer_cases.tokens())
    expected = _golden()[case]
    assert set(expected) <= set(found)
    for key, value in expected.items():
        ours = np.asarray(found[key]).reshape(value.shape)
        np.testing.assert_allclose(ours, value, rtol=0, atol=1e-4 * np.abs(value).max(), err_msg=key)
    if network.num_classes:
        kernel, bias = network.head()
        np.testing.assert_allclose(features[networks.PENULTIMATE] @ kernel + bias, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["vit_timm", "clip_hf"])
def test_mapping_over_images_changes_nothing(case, tmp_path):
    network = _network(case, tmp_path)
    images = synthetic.images(3, 32)
    mapped, features = jax.jit(jax.vmap(network.apply, (None, 0)))(network.params, images)
    alone, one = jax.jit(network.apply)(network.params, images[1])
    np.testing.assert_allclose(mapped[1], alone, atol=1e-5 * max(1.0, np.abs(alone).max(initial=0)))
    for stage in network.stages:
        np.testing.assert_allclose(features[stage][1], one[stage], atol=1e-5 * np.abs(one[stage]).max())


def test_every_published_variant_has_consistent_sizes():
    for name, variant in (*vit.VARIANTS.items(), *clip.VARIANTS.items()):
        tower = variant.tower if name in vit.VARIANTS else variant.vision
        assert tower.side % tower.patch == 0, name
        assert tower.encoder.width % tower.encoder.heads == 0, name
        shapes = backbones.TABLE[name].layout({})
        assert len(shapes) > 12 * tower.encoder.depth, name


@pytest.mark.parametrize(
    ("name", "millions"),
    # Parameters in the papers: Dosovitskiy table 1, Radford table 20 (both towers), Oquab table 17, Zhai section 4.
    [("vit_b16", 86), ("vit_l16", 304), ("deit_s16", 22), ("dinov2_s14", 22), ("clip_vit_b32", 151),
     ("clip_vit_l14", 428), ("siglip_b16", 203)],
)  # fmt: skip
def test_published_variants_have_the_published_number_of_parameters(name, millions):
    layout = backbones.TABLE[name].layout({})
    assert sum(int(np.prod(shape)) for shape in layout.values()) / 1e6 == pytest.approx(millions, abs=0.9)


def test_positions_are_resampled_as_timm_does():
    position = np.random.default_rng(0).normal(size=(1 + 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(vit.resample_positions(position, 1, 4), position)
    larger = vit.resample_positions(position, 1, 6)
    np.testing.assert_array_equal(larger[0], position[0])
    image = torchlike_bicubic(position[1:].reshape(4, 4, 3), 6)
    np.testing.assert_allclose(larger[1:].reshape(6, 6, 3), image, atol=1e-5)


def torchlike_bicubic(grid: np.ndarray, size: int) -> np.ndarray:
    """Antialiased bicubic by its definition: Keys' kernel with a = -1/2 between pixel centres, rows renormalised."""

    def keys(t: float) -> float:
        t = abs(t)
        if t < 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0

    weights = np.zeros((size, len(grid)))
    for i in range(size):
        centre = (i + 0.5) * len(grid) / size - 0.5
        weights[i] = [keys(j - centre) for j in range(len(grid))]
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("ih,jw,hwc->ijc", weights, weights, grid)


def test_another_input_side(tmp_path):
    network = _network("vit_timm", tmp_path, 48)
    assert network.preprocessing.size == 48
    _, features = jax.jit(network.apply)(network.params, synthetic.images(1, 48)[0])
    assert features["patch_tokens"].shape == (6, 6, 64) and np.isfinite(features["patch_tokens"]).all()
    with pytest.raises(ValueError, match="multiple of"):
        _network("vit_timm", tmp_path, 50)
    with pytest.raises(ValueError, match="side of 48"):
        network.apply(network.params, jnp.zeros((32, 32, 3)))


@pytest.mark.parametrize("case", ["clip_hf", "clip_openai", "siglip_npz", "vit_hf", "dinov2_timm"])
def test_files_that_do_not_fit_are_refused_with_a_list(case):
    layout = transformer_cases.layout(case)
    tensors = synthetic.tensors(layout, seed=1)
    *_, gone, wrong = (name for name in tensors if name.endswith(("weight", "kernel")))
    del tensors[gone]
    tensors[wrong] = tensors[wrong][..., :-1]
    tensors["surplus.weight"] = np.zeros(3, np.float32)
    with pytest.raises(checkpoints.MismatchError) as error:
        checkpoints.check_layout(checkpoints.Checkpoint("net", tensors, {}, ""), layout, case)
    for part in (f"-{gone}", "+surplus.weight", f"!{wrong}"):
        assert part in str(error.value)


def test_blocks_that_flax_stored_as_one_stack_are_read_apart(tmp_path):
    weights = transformer_cases.weights("siglip_npz")
    stacks: dict[str, list[np.ndarray]] = {}
    stored = {}
    for name, value in weights.items():
        head, _, tail = name.partition("encoderblock_")
        if tail:
            stacks.setdefault(f"{head}encoderblock.{tail[2:]}", []).append(value)
        else:
            stored[name] = value
    stored |= {name: np.stack(values) for name, values in stacks.items()}
    np.savez(tmp_path / "net.npz", **{name.replace(".", "/"): value for name, value in stored.items()})
    read = checkpoints.read(tmp_path / "net.npz").tensors
    assert set(read) == set(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(read[name], value)


def test_an_npz_with_pickles_is_refused(tmp_path):
    np.savez(tmp_path / "net.npz", x=np.asarray([{"a": 1}], object))
    with pytest.raises(ValueError, match=r"net\.npz: .*refused"):
        checkpoints.read(tmp_path / "net.npz")
