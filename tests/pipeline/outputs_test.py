"""Changed views against numpy, and the stability columns of a study against a loop over them."""

import itertools

import jax
import numpy as np
import pytest
from scipy import special

import causal_iqa
from causal_iqa import backbones, data, degradations, estimators, images, pipeline
from causal_iqa.pipeline import outputs, piece_functions

_VIEWS = 3
_CONFIG = pipeline.StudyConfig(
    num_images=5,
    networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
    degradations=("contrast",),
    severities=(3.0,),
    metrics=("mse",),
    num_resamples=10,
    stability_views=_VIEWS,
)


@pytest.mark.parametrize("number", [0, 1])
def test_a_view_is_a_shift_of_the_image_or_its_mirror_with_slight_noise(key, number):
    image = np.random.default_rng(0).uniform(0.1, 0.9, (32, 32, 3)).astype(np.float32)
    view = np.asarray(outputs.changed_view(key, image, number))
    padded = np.pad(image[:, ::-1] if number else image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    residual = {
        (row, column): view - padded[row : row + 32, column : column + 32]
        for row, column in itertools.product(range(5), repeat=2)
    }
    nearest = min(residual.values(), key=lambda rest: np.abs(rest).mean())
    assert nearest.std() == pytest.approx(2 / 255, rel=0.05)
    assert sum(np.abs(rest).mean() < 0.05 for rest in residual.values()) == 1


def test_stability_columns_are_those_of_a_loop_over_views(tmp_path):
    study = pipeline.prepare(_CONFIG)
    output = pipeline.Store(tmp_path, study.config, study.provenance, study.details)
    table = pipeline.run(study, output, pipeline.Execution(num_devices=1))
    network, source = backbones.load_packaged("scene_cnn_a"), data.open_source("scenes")
    n = 3
    example = source[int(study.indices[n])]
    key = jax.random.fold_in(jax.random.key(0), piece_functions.stable_hash(example.id))
    keys = (jax.random.fold_in(key, piece_functions.stable_hash(name)) for name in ("contrast", "stability"))
    key_contrast, key_views = keys
    seen = degradations.TABLE["contrast"].fn(key_contrast, images.from_uint8(example.image), 3.0)
    views = [outputs.changed_view(jax.random.fold_in(key_views, i), seen, i) for i in range(_VIEWS)]
    apply = jax.jit(network.apply)
    passes = [apply(network.params, view) for view in views]
    found = {name: table.columns[f"scene_cnn_a/{name}"] for name in ("prediction_information", "ser_fiq")}
    p = special.softmax(np.array([logits for logits, _ in passes], np.float64), axis=1)
    information = special.entr(p).sum(axis=1).mean() - special.entr(p.mean(axis=0)).sum()
    assert found["prediction_information"][1, n] == pytest.approx(information, abs=1e-5)
    unit = [x / np.linalg.norm(x) for x in (np.asarray(one["penultimate"], np.float64) for _, one in passes)]
    distance = sum(np.linalg.norm(a - b) for a, b in itertools.combinations(unit, 2))
    assert found["ser_fiq"][1, n] == pytest.approx(2 * special.expit(-2 / _VIEWS**2 * distance), abs=1e-5)
    votes = p.argmax(axis=1)
    agree = np.mean([a == b for a, b in itertools.combinations(votes, 2)])
    assert table.columns["scene_cnn_a/prediction_agreement"][1, n] == pytest.approx(agree)
    most = max(np.mean(votes == vote) for vote in votes)
    assert table.columns["scene_cnn_a/neighbourhood_invariance"][1, n] == pytest.approx(most)
    assert all(np.ptp(values) > 0 for values in found.values())


def test_one_view_is_refused():
    with pytest.raises(causal_iqa.InputError, match="stability_views: expected 0, or at least 2, got 1"):
        pipeline.StudyConfig(networks=_CONFIG.networks, stability_views=1)


def _network(num_classes, d):
    rng = np.random.default_rng(num_classes)
    kernel = rng.normal(size=(d, num_classes)).astype(np.float32)
    bias = rng.normal(size=num_classes).astype(np.float32)

    def apply(params, image):
        features = image.reshape(-1)[:d]
        return features @ params[0] + params[1], {"penultimate": features}

    preprocessing = backbones.Preprocessing(16, 1.0, (0.0,) * 3, (1.0,) * 3, 16)
    return backbones.Network(
        "fake", apply, (kernel, bias), preprocessing, num_classes, ("penultimate",), "", lambda params: params
    )


@pytest.mark.parametrize("num_classes, d", [(5, 20), (50, 200)])
def test_kept_outputs_are_those_of_the_logits(num_classes, d):
    network = _network(num_classes, d)
    image = np.random.default_rng(1).uniform(size=(16, 16, 3)).astype(np.float32)
    found = jax.jit(lambda image: outputs.performance(network, network.params, image, 3))(image)
    logits, features = network.apply(network.params, image)
    log_p = np.asarray(jax.nn.log_softmax(logits), np.float64)
    kept = min(num_classes, outputs.KEPT_CLASSES)
    assert found["log_probabilities"].shape == found["classes"].shape == (kept,)
    np.testing.assert_array_equal(found["classes"], np.argsort(-log_p)[:kept])
    np.testing.assert_allclose(found["log_probabilities"], log_p[found["classes"]], rtol=1e-3, atol=1e-3)
    terms = estimators.matrix_norm_terms(logits)
    for name, value in terms._asdict().items():
        assert found[name] == pytest.approx(float(value), rel=1e-5)
    assert ("power_sums" in found) == (num_classes > kept)
    if "power_sums" in found:
        for temperature, value in zip(estimators.TEMPERATURES, found["power_sums"], strict=True):
            assert value == pytest.approx(special.logsumexp(log_p / temperature), abs=1e-4)
    embedding = np.asarray(found["embedding"], np.float32)
    assert embedding.shape == (min(d, outputs.KEPT_EMBEDDING),)
    values = np.asarray(features["penultimate"])
    assert set(embedding) <= set(values.astype(np.float16).astype(np.float32))
    if d <= outputs.KEPT_EMBEDDING:
        np.testing.assert_allclose(embedding, values, rtol=1e-3)


def test_second_opinion_averages_the_classifier_over_glances():
    backbone = _network(6, 20)
    glances = tuple(np.random.default_rng(2).normal(size=(2, 20)).astype(np.float32))
    found = outputs.second_opinion(backbone, backbone.params, glances, 6)
    kernel, bias = backbone.params
    mean = np.mean([special.softmax(x @ kernel + bias) for x in glances], axis=0)
    np.testing.assert_array_equal(found["head_classes"], np.argsort(-mean))
    np.testing.assert_allclose(
        np.exp(found["head_log_probabilities"].astype(np.float32)), np.sort(mean)[::-1], rtol=0.01
    )
    assert outputs.second_opinion(backbone, backbone.params, glances, 7) == {}
    many = _network(50, 20)
    assert outputs.second_opinion(many, many.params, glances, 50)["head_power_sums"].shape == (
        len(estimators.TEMPERATURES),
    )


def test_an_unlabelled_image_has_no_correctness():
    network, source = backbones.load_packaged("scene_cnn_a"), data.open_source("scenes")
    image = source[0].image.astype(np.float32) / 255
    run = jax.jit(lambda label: outputs.performance(network, network.params, image, label))
    labelled, unlabelled = run(np.int32(0)), run(np.int32(data.UNLABELLED))
    for field in ("correct", "p_true"):
        assert np.isfinite(labelled[field]) and np.isnan(unlabelled[field])
    np.testing.assert_array_equal(labelled["confidence"], unlabelled["confidence"])
