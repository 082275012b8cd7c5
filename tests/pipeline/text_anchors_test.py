"""Class names as anchors: a study whose backbone is a small CLIP with random weights, from prompts to scores."""

import dataclasses
import json
import textwrap

import jax
import numpy as np
import pytest

from causal_iqa import backbones, pipeline
from causal_iqa.backbones.text import tokenizers
from tests.backbones import tokenizer_cases

pytest.importorskip("tokenizers")
_BACKBONE = textwrap.dedent("""
    import dataclasses

    from causal_iqa.backbones.weights import checkpoints, formats
    from causal_iqa.backbones.zoo import clip
    from tests.backbones import synthetic, transformer_cases


    def make():
        variant, names = transformer_cases.CLIPS["clip_openai"]
        variant = dataclasses.replace(variant, text=dataclasses.replace(variant.text, vocabulary=569, context=24))
        tensors = synthetic.tensors(formats.layout(clip.entries_of(variant, {})), seed=4)
        return clip.network_of("small_clip", variant, checkpoints.Checkpoint("none", tensors, {}, "f" * 64), 48)
""")


@pytest.fixture
def config(tmp_path):
    vocabulary, merges = tokenizer_cases.vocabulary()
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(map(" ".join, merges)), "utf-8")
    (tmp_path / "small.py").write_text(_BACKBONE)
    return pipeline.StudyConfig(
        num_images=12,
        networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
        backbones=(pipeline.NetworkChoice.parse(f"small={tmp_path}/small.py:make"),),
        degradations=("contrast",),
        severities=(3.0,),
        metrics=("mse",),
        anchors="text",
        templates="plain",
        tokenizer=str(tmp_path),
    )


def test_scores_are_zero_shot_probabilities(config, tmp_path):
    study = pipeline.prepare(config)
    assert study.details["anchors"] == {"kind": "text", "num": 10, "templates": "plain"}
    files = {name.rpartition("/")[2] for name in study.provenance.parts if name.startswith("file ")}
    assert files == {"vocab.json", "merges.txt"}
    output = pipeline.Store(tmp_path / "run", study.config, study.provenance, study.details)
    table = pipeline.run(study, output, pipeline.Execution(num_devices=1))
    # The same by hand: normalised embeddings of image and prompts, and the temperature.
    clip = backbones.open_network(config.backbones[0].architecture)
    tokenizer = tokenizers.load("clip", config.tokenizer)
    prompts = [f"a photo of a {name.replace('_', ' ')}." for name in study.source.class_names]
    texts = np.stack([clip.text.apply(clip.params, row) for row in tokenizer(prompts, clip.text.context)])
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    example = study.source[int(study.indices[5])]
    _, features = clip.apply(clip.params, example.image.astype(np.float32) / 255)
    embedding = np.asarray(features["embedding"])
    logits = float(clip.text.temperature(clip.params)[0]) * texts @ (embedding / np.linalg.norm(embedding))
    expected = jax.nn.softmax(logits)[example.label]
    assert table.columns["ridge_guided@small"][0, 5] == pytest.approx(float(expected), rel=1e-3)
    assert len(np.unique(table.columns["ridge_guided@small"][0])) == 12


def test_class_names_from_a_file(config, tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(["cat", "dog"] * 5))
    study = pipeline.prepare(dataclasses.replace(config, class_names=str(tmp_path / "names.txt")))
    vectors = np.asarray(study.witnesses["regularised@small@48"].vectors)
    np.testing.assert_array_equal(vectors[::2], vectors[[0] * 5])
    assert not np.allclose(vectors[0], vectors[1])
    (tmp_path / "names.txt").write_text("cat")
    with pytest.raises(ValueError, match="expected 10 names"):
        pipeline.prepare(dataclasses.replace(config, class_names=str(tmp_path / "names.txt")))


def test_a_backbone_without_a_text_tower_is_named(config):
    choice = pipeline.NetworkChoice.parse("scene_features")
    with pytest.raises(ValueError, match="text tower, and backbone scene_features has none"):
        pipeline.prepare(dataclasses.replace(config, backbones=(choice,)))


def test_without_a_vocabulary_it_says_which_file_to_put_where(config):
    if backbones.tokenizers.importlib.util.find_spec("open_clip"):
        pytest.skip("an installed open_clip has the vocabulary")
    with pytest.raises(ValueError, match=r"no vocabulary of clip found; put tokenizer\.json"):
        pipeline.prepare(dataclasses.replace(config, tokenizer=None))
