"""What each score really reads: which resize, which sides, which stages, and that the record says so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones, metrics, pipeline, quality
from causal_iqa.backbones import networks
from causal_iqa.backbones.zoo import mobilenet
from causal_iqa.pipeline import columns
from tests.backbones import synthetic

_BLOCKS = ("block02", "block05", "block12")


@pytest.fixture(scope="module")
def mobile(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "thin.safetensors"
    layout = mobilenet.layout("mobilenet_v2", synthetic.thin("mobilenet_v2", 0.25))
    safetensors.numpy.save_file(synthetic.tensors(layout, seed=3), path)
    return backbones.load("mobilenet_v2", path)


def test_the_record_says_what_a_score_reads(mobile):
    view = pipeline.View(32, ("n",), {"m": 96}, {"m": (224,)}, ("m",), "bicubic")
    scorer = columns.quality_scorer("stages_free", view, {"m": mobile}, {})
    assert scorer.column.record()["reads"] == {
        "image": {"side": 32, "interpolation": "bicubic"},
        "clean_image": False,
        "label": False,
        "backbones": {
            "m": {
                "interpolation": "bilinear",
                "penultimate_at": [96],
                "inner_at": {"96": list(_BLOCKS), "32": list(_BLOCKS)},
                "familiarity_at": {"32": "block02"},
            }
        },
    }
    scorer = columns.quality_scorer("clean_cosine", view, {"m": mobile}, {})
    reads = scorer.column.record()["reads"]
    assert reads["clean_image"] and reads["backbones"]["m"]["penultimate_at"] == [96, 224]
    assert set(reads["backbones"]["m"]) == {"interpolation", "penultimate_at"}
    reads = columns.metric_scorer(metrics.TABLE["ssim"], pipeline.View(32, (), {})).column.record()["reads"]
    assert reads == {"image": {"side": 32, "interpolation": "none"}}


def _success_witness(anchors, labels):
    witness, choice = quality.fit_stages_witness(anchors, labels, 3)
    rng = np.random.default_rng(2)
    copies = jax.tree.map(
        lambda x: np.concatenate([x + s * rng.normal(size=x.shape) for s in (0.1, 1.0, 3.0)]).astype(np.float32),
        anchors,
    )
    return quality.fit_success(witness, choice, anchors, labels, copies, np.tile(np.arange(len(labels)), 3))[0]


def _ranks_witness(anchors, labels):
    witness, choice = quality.fit_stages_witness(anchors, labels, 3)
    copies = jax.tree.map(lambda x: (x + np.random.default_rng(4).normal(size=x.shape)).astype(np.float32), anchors)
    return quality.fit_ranks(
        quality.fit_detectors(witness, anchors), choice, anchors, labels, copies, np.arange(len(labels))
    )[0]


@pytest.mark.parametrize("name", quality.TABLE)
def test_a_metric_reads_the_features_it_says_and_no_others(name):
    spec = quality.TABLE[name]
    rng = np.random.default_rng(0)
    anchors = quality.StageFeatures(*(rng.normal(size=(12, d)).astype(np.float32) for d in (5, 4)), ())
    anchors = anchors._replace(inner=(anchors.early, anchors.early**2))
    labels = np.arange(12) % 3
    vectors = quality.ClassVectors(rng.normal(size=(3, 5)).astype(np.float32), np.zeros(3, np.float32))
    witness = {
        "plain": lambda: quality.fit_witness(quality.Anchors(anchors.final, labels, 3)),
        "regularised": lambda: quality.fit_regularised_witness(quality.Anchors(anchors.final, labels, 3))[0],
        "stages": lambda: quality.fit_stages_witness(anchors, labels, 3)[0],
        "success": lambda: _success_witness(anchors, labels),
        "detectors": lambda: quality.fit_detectors(quality.fit_stages_witness(anchors, labels, 3)[0], anchors),
        "ranks": lambda: _ranks_witness(anchors, labels),
        "head": lambda: quality.fit_class_vectors(vectors),
        "none": lambda: None,
    }[spec.witness]()
    seen = jax.tree.map(lambda x: jnp.asarray(x[0] * 0.7 + 0.2), anchors)
    seen = seen._replace(glances=(seen.final, seen.final + 0.3))
    clean = jax.tree.map(lambda x: x + 0.1, seen)
    if spec.witness == "success":  # Trees are constant between their thresholds and have no gradient.
        score = jax.jit(lambda x: quality.evaluate(spec, witness, x, jnp.int32(0), clean))
        shifts = np.linspace(-3, 3, 13)
        read = {
            field
            for field in seen._fields
            if any(
                score(seen._replace(**{field: jax.tree.map(lambda x, s=s: x + s, getattr(seen, field))})) != score(seen)
                for s in shifts
            )
        }
        assert read and read <= set(spec.reads)
        return
    gradient = jax.grad(lambda x: quality.evaluate(spec, witness, x, jnp.int32(0), clean))(seen)
    read = {
        field for field in seen._fields if any(np.any(leaf != 0) for leaf in jax.tree.leaves(getattr(gradient, field)))
    }
    assert read == set(spec.reads)


def test_stages_below_the_smallest_side_need_a_network_of_this_package():
    network = backbones.load_packaged("scene_features")
    assert isinstance(network.apply, networks.Applier) and network.smallest_inner == 1
    assert set(network.stages_of(network.params, jnp.zeros((8, 8, 3)))) == set(network.stages)
