"""A network that is wrapped wrongly, or gives no finite outputs, is named before the work and in every record of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, backbones, pipeline
from causal_iqa.analysis import networks
from causal_iqa.pipeline import outputs
from causal_iqa.report import networks as networks_text
from causal_iqa.report import summary, summary_records

_LABELS = np.arange(40) % 10


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (_LABELS, []),
        (np.where(np.arange(40) < 12, _LABELS, -1), []),
        (np.roll(_LABELS, 1), ["its clean accuracy, 0.0 % of 40 images, is that of a guess (10 %)"]),
        (np.where(np.arange(40) < 6, _LABELS, -1), ["15.0 % of 40 images, is that of a guess"]),
        (np.full(40, 7), ["it predicts class 7 for all 40 clean images"]),
        (np.where(np.arange(40) < 3, np.nan, _LABELS), ["not finite for 3 of 40 clean images"]),
        (np.full(40, np.nan), ["not finite for 40 of 40 clean images"]),
    ],
)
def test_what_is_wrong_with_a_network_is_said_in_one_line_each(predictions, expected):
    found = pipeline.clean_accuracy("net", predictions, _LABELS, 10)
    assert len(found.warnings) == len(expected)
    assert all(
        part in line and line.startswith("network net: ") for part, line in zip(expected, found.warnings, strict=True)
    )
    defined = np.isfinite(predictions)
    assert (found.num_images, found.num_undefined) == (defined.sum(), 40 - defined.sum())
    np.testing.assert_equal(found.accuracy, (predictions == _LABELS)[defined].mean() if defined.any() else np.nan)


def test_few_images_are_no_evidence_of_chance():
    assert pipeline.clean_accuracy("net", np.array([1, 2, 3]), np.array([2, 3, 4]), 10).warnings == ()


def _network(change):
    base = backbones.load_packaged("scene_cnn_b")

    def apply(params, image):
        logits, features = base.apply(params, image)
        return change(logits), {stage: change(x) for stage, x in features.items()}

    return dataclasses.replace(base, apply=apply)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_make_no_prediction(value):
    image = jnp.full((48, 48, 3), 0.5)
    for place, broken in ((slice(None), True), (3, not np.isneginf(value))):
        network = _network(lambda x, place=place: x.at[..., place].set(value))
        found = jax.jit(lambda x, network=network: outputs.performance(network, network.params, x, jnp.int32(1)))(image)
        scalars = {name: np.asarray(x) for name, x in found.items() if np.ndim(x) == 0}
        assert {"correct", "prediction", "confidence", "energy"} <= set(scalars)
        for name, x in scalars.items():
            assert np.isnan(x) == broken or (np.isneginf(value) and name in ("divergence", "taylor_power")), name


def _study(network):
    config = pipeline.StudyConfig(
        networks=(pipeline.NetworkChoice("net", "scene_cnn_b"),),
        degradations=("brightness",),
        severities=(5.0,),
        metrics=("rms_contrast",),
        num_images=20,
    )
    told = []
    study = pipeline.prepare(config, progress=lambda step, done, total: told.append(step))
    assert tuple(told) == pipeline.PREPARATION
    return dataclasses.replace(study, networks={"net": network})


def test_a_first_look_judges_every_network_on_the_clean_images():
    study = _study(backbones.load_packaged("scene_cnn_b"))
    (looked,) = pipeline.first_look(study)
    assert looked.num_images == 20 and looked.accuracy > 0.8 and not looked.warnings
    assert looked.line() == f"network net: clean accuracy {100 * looked.accuracy:.1f} % of 20 images"
    rolled = dataclasses.replace(study, networks={"net": _network(lambda x: jnp.roll(x, 1, axis=-1))})
    assert "is that of a guess" in pipeline.first_look(rolled)[0].warnings[0]
    never = dataclasses.replace(study, networks={"net": _network(lambda x: x * jnp.nan)})
    with pytest.raises(InputError, match="network net: its outputs are not finite for any of 20 clean images"):
        pipeline.first_look(never)


def test_the_record_of_a_study_counts_rows_without_outputs():
    conditions = (pipeline.Condition(pipeline.CLEAN, 0.0), pipeline.Condition("fog", 3.0))
    correct = np.ones((2, 40), np.float32)
    correct[0, :3] = correct[1, :5] = np.nan
    correct[1, 5:20] = 0
    predictions = np.where(np.isfinite(correct), _LABELS, np.nan)
    table = pipeline.ScoreTable(
        tuple(map(str, range(40))),
        _LABELS,
        conditions,
        {"net/correct": correct, "net/prediction": predictions},
        {},
        (),
        {"columns": {}},
    )
    config = pipeline.StudyConfig(networks=(pipeline.NetworkChoice("net", "scene_cnn_b"),))
    (judged,) = networks.judged_networks(config, table, 10)
    assert summary.network(judged) == summary_records.Network(
        clean_performance=1.0,
        num_clean=37,
        mean_performance=pytest.approx(20 / 35),
        performance={"clean/0": 1.0, "fog/3": pytest.approx(20 / 35)},
        undefined_rows=8,
        warnings=(
            "network net: its outputs are not finite for 3 of 40 clean images; they are left out",
            "network net: its outputs are not finite for 5 degraded images; they are left out",
        ),
    )
    assert networks_text.networks_table([judged]).splitlines()[-1].split() == ["net", "100.0", "%", "37", "57.1", "%"]
