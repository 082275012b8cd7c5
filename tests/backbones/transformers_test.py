"""Transformer towers against transformers, timm and open_clip, in every format of weight files."""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.text import tokenizers, zero_shot
from causal_iqa.backbones.weights import checkpoints, formats
from causal_iqa.backbones.zoo import clip, vit
from tests.backbones import synthetic, tokenizer_cases, transformer_cases

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


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


def _tokens(text_list, tokenizer):
    return [tokenizer.encode(text) for text in text_list]


def test_two_hundred_difficult_strings_tokenize_as_in_transformers():
    pytest.importorskip("tokenizers")
    golden = json.loads((GOLDEN / "clip_tokens.json").read_text())
    assert len(tokenizer_cases.TEXTS) == 200
    assert _tokens(tokenizer_cases.TEXTS, tokenizers.clip_tokenizer(*tokenizer_cases.vocabulary())) == golden["tokens"]


def test_the_published_vocabulary_tokenizes_as_in_transformers():
    pytest.importorskip("tokenizers")
    try:
        path = tokenizers.find("clip")
    except ValueError as error:
        pytest.skip(f"CLIP's vocabulary is not at hand: {error}")
    golden = json.loads((GOLDEN / "clip_tokens.json").read_text())
    assert _tokens(tokenizer_cases.TEXTS, tokenizers.load("clip", path)) == golden["published"]


def test_tokenizer_files(tmp_path):
    pytest.importorskip("tokenizers")
    vocabulary, merges = tokenizer_cases.vocabulary()
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n", "utf-8")
    read = tokenizers.load("clip", tmp_path)
    direct = tokenizers.clip_tokenizer(vocabulary, merges)
    assert read.encode("the Photo, naïve") == direct.encode("the Photo, naïve")
    prompts = read(["the photo", "the " * 50], 12)
    assert prompts.shape == (2, 12) and prompts.dtype == np.int32
    assert (prompts[:, 0] == vocabulary["<|startoftext|>"]).all()
    assert prompts[1, -1] == vocabulary["<|endoftext|>"] and prompts[0, -1] == 0
    with pytest.raises(ValueError, match=r"put tokenizer\.json"):
        tokenizers.find("siglip", tmp_path / "net.safetensors")
    (tmp_path / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read as a tokenizer"):
        tokenizers.load("clip", tmp_path / "vocab.json")
    with pytest.raises(ValueError, match=r"no <\|startoftext\|>"):
        tokenizers.clip_tokenizer({"a": 0}, [])


def test_siglip_text_is_canonical():
    assert tokenizers.canonical("  A photo,\tof a (Cat)! ") == "a photo of a cat"


class _Letters:
    """A tokenizer of 26 letters between the marks 98 and 99."""

    def __init__(self, kind: str):
        self.tokenizer = tokenizers.Tokenizer(kind, self._encode, 99, 0)

    def _encode(self, text: str) -> list[int]:
        return [98, *(ord(letter) - ord("a") + 1 for letter in text.lower() if letter.isalpha()), 99]


@pytest.mark.parametrize(("case", "kind"), [("clip_hf", "clip"), ("siglip_hf", "siglip")])
def test_zero_shot_from_class_names_to_probabilities(case, kind, tmp_path):
    network = _network(case, tmp_path)
    tower = transformer_cases.CLIPS[case][0]
    network = dataclasses.replace(network, text=clip.text_tower(tower.text, kind))
    tokenizer = _Letters(kind).tokenizer
    names, templates = ["cat", "hot_dog", "ox"], ("a {}", "the {}!")
    anchors = zero_shot.class_embeddings(network, tokenizer, names, templates=templates)
    # By hand, one prompt at a time.
    embed = jax.jit(network.text.apply)
    by_hand = []
    for name in ("cat", "hot dog", "ox"):
        rows = []
        for template in templates:
            tokens = tokenizer([template.format(name)], network.text.context)[0]
            row = np.asarray(embed(network.params, tokens))
            rows.append(row / np.linalg.norm(row))
        mean = np.mean(rows, axis=0)
        by_hand.append(mean / np.linalg.norm(mean))
    np.testing.assert_allclose(anchors, by_hand, atol=1e-5)
    classifier = zero_shot.zero_shot_classifier(network, anchors)
    assert classifier.num_classes == 3
    image = transformer_cases.image()
    logits, features = jax.jit(classifier.apply)(classifier.params, image)
    embedding = np.asarray(features[transformer.EMBEDDING])
    scale = np.exp(np.float64(np.ravel(transformer_cases.weights(case)["logit_scale"])[0]))
    bias = np.ravel(transformer_cases.weights(case)["logit_bias"])[0] if kind == "siglip" else 0.0
    expected = scale * np.asarray(by_hand) @ (embedding / np.linalg.norm(embedding)) + bias
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_zero_shot_refuses_what_cannot_be(tmp_path):
    network = _network("clip_hf", tmp_path)
    letters = _Letters("clip").tokenizer
    with pytest.raises(ValueError, match="at least one"):
        zero_shot.class_embeddings(network, letters, [])
    with pytest.raises(ValueError, match="where the class name stands"):
        zero_shot.class_embeddings(network, letters, ["cat"], templates=("a photo",))
    with pytest.raises(ValueError, match="reads clip tokens, got siglip"):
        zero_shot.embed_prompts(network, _Letters("siglip").tokenizer, ["cat"])
    large = tokenizers.Tokenizer("clip", lambda text: [98, 500, 99], 99, 0)
    with pytest.raises(ValueError, match="token 500 is outside the 100"):
        zero_shot.embed_prompts(network, large, ["cat"])
    with pytest.raises(ValueError, match="has no text tower"):
        zero_shot.class_embeddings(_network("vit_timm", tmp_path), letters, ["cat"])


def test_templates():
    assert len(zero_shot.TEMPLATES["imagenet80"]) == len(set(zero_shot.TEMPLATES["imagenet80"])) == 80
    assert len(zero_shot.TEMPLATES["short"]) == 7
    assert all(template.count("{}") == 1 for set_ in zero_shot.TEMPLATES.values() for template in set_)


def test_the_layout_lists_every_tensor_once():
    for case in transformer_cases.CASES:
        if case in transformer_cases.CLIPS:
            variant, _ = transformer_cases.CLIPS[case]
            entries = clip.entries_of(variant, transformer_cases.weights(case))
        else:
            variant, _ = transformer_cases.VITS[case]
            _, entries = vit.entries_of(variant.tower, transformer_cases.weights(case))
        params = [entry.here for entry in entries if entry.here]
        assert len(params) == len(set(params)), case
        assert set(formats.layout(entries)) == set(transformer_cases.weights(case))
