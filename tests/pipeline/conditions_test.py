"""Conditions of a study: composed, repeated, stored, of a given family; each row is what `do` makes of the image."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import causal_iqa
from causal_iqa import data, degradations, images, metrics, pipeline
from causal_iqa.pipeline import piece_functions, store
from causal_iqa.pipeline.conditions import degradation_details

_CONFIG = pipeline.StudyConfig(
    num_images=8,
    networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
    degradations=("contrast", "gaussian_noise"),
    severities=(2.0, 4.5),
    # The last has the structure of the first, and another one stands between them.
    extra_conditions=("contrast/1+gaussian_noise/2", "contrast/1|stored=90", "contrast/5+gaussian_noise/1"),
    metrics=("mse",),
    family="cifar32",
    quantise="truncate",
    stored=60,
    num_resamples=10,
)


@functools.cache
def _graded(structure: degradations.Condition):
    return jax.jit(degradations.do_graded(structure))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    study = pipeline.prepare(_CONFIG)
    folder = tmp_path_factory.mktemp("run")
    output = pipeline.Store(folder, _CONFIG, study.provenance, study.details)
    return study, pipeline.run(study, output, pipeline.Execution(num_devices=1)), folder


def test_rows_are_what_do_gives(finished):
    study, table, _ = finished
    assert [condition.name for condition in table.conditions] == [
        "clean/0",
        "contrast/2",
        "contrast/4.5",
        "gaussian_noise/2",
        "gaussian_noise/4.5",
        "contrast/1+gaussian_noise/2",
        "contrast/1|stored=90",
        "contrast/5+gaussian_noise/1",
    ]
    source = data.open_source("scenes")
    for n in (0, 7):
        example = source[int(study.indices[n])]
        clean = images.from_uint8(example.image)
        key = jax.random.fold_in(jax.random.key(0), piece_functions.stable_hash(example.id))
        for c in (1, 2, 5, 6, 7):
            condition = table.conditions[c]
            how = {"family": "cifar32", "quantise": "truncate", "stored": condition.stored or 60}
            full = degradations.compose(condition, ordered=False, **how)
            seen = _graded(full.structure)(key, clean, np.asarray(full.severities, np.float32))
            expected = float(metrics.TABLE["mse"].fn(clean, seen))
            assert table.columns["mse"][c, n] == pytest.approx(expected, rel=2e-3), condition
    assert (table.columns["mse"][0] == 0).all()


def test_the_table_and_the_config_say_how(finished):
    _, table, folder = finished
    recorded = json.loads((folder / "config.json").read_text())
    for where in (recorded["degradations"], table.metadata["degradations"]):
        assert (where["family"], where["quantise"], where["stored"]) == ("cifar32", "truncate", 60)
        told = [degradations.Condition.from_json(values) for values in where["conditions"]]
        assert told == list(_CONFIG.interventions) and told[0] == degradations.Condition()
    assert recorded["degradations"]["passports"]["contrast"]["parameters"]["cifar32"][0] == 0.75
    assert pipeline.StudyConfig.from_json(recorded["config"]) == _CONFIG
    again = pipeline.read_run(folder)
    assert again.table.conditions == _CONFIG.conditions
    np.testing.assert_array_equal(again.table.columns["mse"], table.columns["mse"])
    rows = store.pq.read_table(folder / "scores" / "part-00000.parquet")
    assert rows["condition"].to_pylist()[5:8] == [c.name for c in _CONFIG.conditions[5:8]]
    assert rows["degradation"].to_pylist()[7] == "contrast+gaussian_noise" and rows["severity"].to_pylist()[7] == 5.0


def test_families_follow_the_images_unless_told():
    def family(**changes):
        return pipeline.prepare(dataclasses.replace(_CONFIG, **changes)).details["degradations"]["family"]

    assert family() == "cifar32"
    assert family(family=None, image_size=32) == "cifar32" and family(family=None, image_size=64) == "tiny64"
    two = ("fog/2|family=imagenet224", "fog/2|family=cifar32")
    assert family(degradations=(), extra_conditions=two) == "cifar32, imagenet224"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra_conditions": ("fogg/3",)}, ["unknown degradation 'fogg'"]),
        ({"extra_conditions": ("contrast/2.0",)}, ["conditions", "contrast/2 given twice"]),
        ({"extra_conditions": ("clean/0|stored=85",)}, ["severity 0", "always included"]),
        ({"extra_conditions": ("contrast/0",)}, ["severity 0"]),
        ({"degradations": ()}, []),
        ({"degradations": (), "extra_conditions": ()}, ["degradations", "at least one"]),
        ({"family": "cifar"}, ["family", "did you mean cifar32"]),
        ({"quantise": "floor"}, ["quantise", "truncate"]),
        ({"stored": 101}, ["stored", "1 to 100"]),
    ],
)
def test_bad_conditions_are_refused_by_name(changes, words):
    if not words:
        assert len(dataclasses.replace(_CONFIG, **changes).conditions) == 4
        return
    with pytest.raises(causal_iqa.InputError) as error:
        dataclasses.replace(_CONFIG, **changes)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("side", "family", "said"),
    [(32, "cifar32", False), (128, "imagenet224", True), (600, "inception299", True), (16, "cifar32", True)],
)
def test_a_study_takes_the_nearest_published_parameters_and_says_so(side, family, said):
    config = dataclasses.replace(_CONFIG, family=None)
    details = degradation_details(config, side)
    assert (details["family"], bool(details["remarks"])) == (family, said)
    assert (config.interventions_at(side) == config.interventions) != said
    if said:
        assert f"{side} pixels" in details["remarks"][0] and "--family" in details["remarks"][0]
        image = jnp.full((side, side, 3), 0.5)
        for condition in config.interventions_at(side)[:2]:
            assert degradations.do(condition)(jax.random.key(0), image).shape == image.shape
    assert degradation_details(dataclasses.replace(config, family="tiny64"), side)["family"] == "tiny64"
