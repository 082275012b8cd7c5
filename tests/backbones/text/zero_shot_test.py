"""Classifiers of class names."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.text import tokenizers, zero_shot
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import clip, vit
from tests.backbones import transformer_cases


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
