"""Tokens against the published tokenizers."""

import json
import pathlib

import numpy as np
import pytest

from causal_iqa.backbones.text import tokenizers
from tests.backbones import tokenizer_cases

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


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
