"""The main job on a small study: independent of batch and devices, resumable, and true to its parts."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest

import causal_iqa
from causal_iqa import _kept_programs, backbones, data, degradations, images, metrics, pipeline, quality
from causal_iqa.pipeline import anchors, degraded_anchors, loading, piece_functions, provenance, store
from causal_iqa.pipeline.columns import ProgramState, metric_scorer
from causal_iqa.pipeline.degraded_anchors import DegradedAnchors
from causal_iqa.quality import detectors

_CONFIG = pipeline.StudyConfig(
    num_images=33,
    networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
    backbones=(pipeline.NetworkChoice.parse("scene_features"),),
    degradations=("gaussian_noise", "pixelate", "jpeg_compression"),
    severities=(2.0, 5.0),
    metrics=("psnr", "ssim", "entropy"),
    num_anchors=40,
    anchor_counts=(20,),
    degraded_anchors=30,
    detectors=True,
    num_resamples=10,
)
# Without what `test_the_chance_of_success_says_what_it_rests_on` and the rows read.
_PLAIN = dataclasses.replace(_CONFIG, anchor_counts=(), degraded_anchors=0, detectors=False)
_NAMES = ("scene_features",)
_DEGRADED = ("vignetting/2", "vignetting/4", "iso_noise/2", "iso_noise/5")


@pytest.fixture(scope="module")
def study():
    with pytest.MonkeyPatch.context() as patch:
        # Two of the conditions that the rule chooses: the others are as many programs.
        some = tuple(map(degradations.Condition.parse, _DEGRADED))
        patch.setattr(degraded_anchors, "choose", lambda num, *_, **__: DegradedAnchors(num, some))
        return pipeline.prepare(_CONFIG)


def _run(study, folder, **execution):
    output = pipeline.Store(folder, study.config, study.provenance, study.details)
    return pipeline.run(study, output, pipeline.Execution(**execution))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def table(study, folder):
    return _run(study, folder, num_devices=1, batch_size=32)


@pytest.mark.parametrize(("batch_size", "num_devices"), [(1, 1), (7, 1), (32, 8)])
def test_scores_do_not_depend_on_batch_size_nor_beyond_rounding_on_devices(
    study, table, tmp_path, batch_size, num_devices
):
    assert len(jax.local_devices()) == 8
    other = _run(study, tmp_path, batch_size=batch_size, num_devices=num_devices)
    assert other.image_ids == table.image_ids and len(table.image_ids) == 33
    for name, values in table.columns.items():
        assert values.shape == (7, 33)
        # Another number of devices is another compiled program.
        tolerance = 0.0 if num_devices == 1 else 1e-5
        # The root of a difference of squares of length one, and a mean that it is part of.
        if tolerance and name.startswith(("dknn_free", "rank_detectors_free")):
            tolerance = 1e-4
        np.testing.assert_allclose(other.columns[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


def test_scores_do_not_depend_on_what_else_runs(study, table, tmp_path):
    config = dataclasses.replace(_PLAIN, degradations=("jpeg_compression", "gaussian_noise"), num_images=9)
    few = pipeline.prepare(config)
    other = _run(few, tmp_path, num_devices=1)
    assert other.image_ids == table.image_ids[:9]
    place = {condition.name: i for i, condition in enumerate(table.conditions)}
    for i, condition in enumerate(other.conditions):
        for name in ("scene_cnn_a/p_true", "entropy", "ssim"):
            np.testing.assert_allclose(
                other.columns[name][i], table.columns[name][place[condition.name], :9], rtol=1e-5, atol=1e-5
            )


def test_rows_are_what_the_rooms_give_one_by_one(study, table):
    network, features = backbones.load_packaged("scene_cnn_a"), study.feature_backbones["scene_features"]
    # Compiled, each by itself: step by step every primitive would be compiled alone.
    judge, look, ssim = jax.jit(network.apply), jax.jit(features.apply), jax.jit(metrics.TABLE["ssim"].fn)
    degrade = {name: jax.jit(degradations.TABLE[name].fn) for name in _CONFIG.degradations}
    source = data.open_source("scenes")
    for n, c in itertools.product((0, 32), (0, 2, 5)):
        condition = table.conditions[c]
        example = source[int(study.indices[n])]
        assert example.id == table.image_ids[n] and example.label == table.labels[n]
        clean = images.from_uint8(example.image)
        seen = clean
        if condition.severity:
            key = jax.random.fold_in(jax.random.key(0), piece_functions.stable_hash(example.id))
            key = jax.random.fold_in(key, piece_functions.stable_hash(condition.degradation))
            seen = degrade[condition.degradation](key, clean, condition.severity)
        logits = np.asarray(judge(network.params, seen)[0], np.float64)
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        columns = {name: values[c, n] for name, values in table.columns.items()}
        assert columns["scene_cnn_a/correct"] == (logits.argmax() == example.label)
        assert columns["scene_cnn_a/p_true"] == pytest.approx(probabilities[example.label], abs=1e-5)
        assert columns["scene_cnn_a/confidence"] == pytest.approx(probabilities.max(), abs=1e-5)
        assert columns["scene_cnn_a/prediction"] == logits.argmax()
        assert columns["scene_cnn_a/entropy"] == pytest.approx(-(probabilities * np.log(probabilities)).sum(), abs=1e-4)
        assert columns["scene_cnn_a/margin"] == pytest.approx(np.diff(np.sort(probabilities)[-2:])[0], abs=1e-5)
        assert columns["scene_cnn_a/energy"] == pytest.approx(np.log(np.exp(logits).sum()), abs=1e-4)
        likely, classes = (table.vectors[f"scene_cnn_a/{name}"][c, n] for name in ("log_probabilities", "classes"))
        np.testing.assert_allclose(likely, np.log(probabilities[classes]), rtol=2e-3, atol=1e-4)
        assert columns["ssim"] == pytest.approx(float(ssim(clean, seen)), abs=1e-5)
        stages, clean_stages = (look(features.params, image)[1] for image in (seen, clean))
        witness = study.witnesses["regularised@scene_features@48"]
        expected = quality.share_of_label(witness, stages["penultimate"], example.label)
        assert columns["ridge_guided@scene_features"] == pytest.approx(float(expected), abs=1e-5)
        np.testing.assert_allclose(table.vectors["scene_features/features"][c, n], stages["penultimate"], rtol=1e-2)
        both = [
            quality.stage_features(x, features.stages, "penultimate")._replace(glances=(x["penultimate"],))
            for x in (stages, clean_stages)
        ]
        for variant in ("", "[m=20]"):
            witness = study.witnesses[f"stages@scene_features@48{variant}"]
            expected = float(quality.stages_peak(witness, both[0]))
            assert columns[f"stages_free@scene_features{variant}"] == pytest.approx(expected, abs=1e-4)
        witness = study.witnesses["stages@scene_features@48"]
        learned = {"success_free": quality.success_chance, "rank_free": quality.success_rank}
        for formula, score in {**learned, **detectors.SCORES, "rank_detectors_free": quality.mean_rank}.items():
            expected = float(jax.jit(score)(witness, both[0]))
            assert columns[f"{formula}@scene_features"] == pytest.approx(expected, rel=1e-3, abs=1e-3), formula
        early = np.asarray(quality.early_coordinates(witness, both[0]))[-128:]
        np.testing.assert_allclose(table.vectors["scene_features/witness_early"][c, n], early, rtol=1e-2, atol=1e-2)
        expected = float(quality.clean_cosine(*both))
        assert columns["clean_cosine@scene_features"] == pytest.approx(expected, abs=1e-5)


def test_the_detectors_say_what_they_rest_on(study):
    seen = study.anchors["chosen_by_leave_one_out"]["ranks@scene_features@48"]
    assert seen["copies"] == 60 and set(seen["correlations"]) == {"stages_free", *detectors.SCORES}
    column = next(x.column for x in study.scorers if x.column.formula == "rank_detectors_free")
    assert column.passport["degraded_anchors"]["num"] == 30 and column.family == "label_free"
    assert not any("[m=20]" in x.column.name and x.column.formula in detectors.SCORES for x in study.scorers)


def test_the_chance_of_success_says_what_it_rests_on(study, table):
    column = next(scorer.column for scorer in study.scorers if scorer.column.formula == "success_free")
    assert (column.name, column.family, column.backbones) == ("success_free@scene_features", "label_free", _NAMES)
    assert column.passport["degraded_anchors"] == {"num": 30, "conditions": list(_DEGRADED)}
    assert study.details["anchors"]["degraded"] == column.passport["degraded_anchors"]
    assert pipeline.Column.from_record(column.name, column.record()).record() == column.record()
    seen = study.anchors["chosen_by_leave_one_out"]["success@scene_features@48"]
    assert seen["copies"] == 60 and 0 < seen["right"] < 1
    values = table.columns[column.name]
    assert (values > 0).all() and (values < 1).all() and np.ptp(values) > 0.1
    assert not any("[m=20]" in scorer.column.name and "success" in scorer.column.name for scorer in study.scorers)


def test_backbones_are_joined_and_bring_their_heads():
    names = ("scene_features", "scene_cnn_b")
    config = dataclasses.replace(
        _PLAIN, backbones=tuple(pipeline.NetworkChoice.parse(name) for name in names), num_anchors=30
    )
    study = pipeline.prepare(config)
    joined = study.witnesses["stages@scene_features+scene_cnn_b@48"]
    alone = [study.witnesses[f"stages@{name}@48"] for name in names]
    assert len(joined.anchors) == 1 + sum(len(witness.anchors) for witness in alone)
    columns = {scorer.column.name for scorer in study.scorers}
    assert {"stages_free@scene_features+scene_cnn_b", "head_guided@scene_cnn_b", "clean_cosine@scene_cnn_b"} <= columns
    # The head of scene_features is for other classes; one cosine per backbone says all.
    assert not {"head_free@scene_features", "clean_cosine@scene_features+scene_cnn_b"} & columns
    with pytest.raises(causal_iqa.InputError, match="anchor_counts: expected fewer than the 30"):
        pipeline.prepare(dataclasses.replace(config, anchor_counts=(30,)))


def test_a_classifier_glances_at_its_own_side_too(monkeypatch):
    small = backbones.load_packaged("scene_cnn_b")
    small = dataclasses.replace(small, preprocessing=backbones.networks.with_size(small.preprocessing, 24))
    load = loading.load_network
    monkeypatch.setattr(loading, "load_network", lambda choice: small if choice.name == "small" else load(choice))
    config = dataclasses.replace(
        _PLAIN,
        networks=(pipeline.NetworkChoice("small", "scene_cnn_b"),),
        backbones=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
        anchors="head",
    )
    study = pipeline.prepare(config)
    assert [(view.side, view.backbone_sides, view.glances) for view in study.views] == [
        (24, {"scene_cnn_a": 24}, {"scene_cnn_a": (48,)})
    ]
    assert not any(scorer.column.metric.startswith("stages") for scorer in study.scorers)


def test_undefined_scores_are_null_and_stay_out_of_the_numbers(study, table):
    assert np.isnan(table.columns["psnr"][0]).all()
    assert np.isfinite(table.columns["psnr"][1:]).all()
    columns = [scorer.column for scorer in study.scorers]
    scores, performance = pipeline.quality_and_performance(columns, table, ["scene_cnn_a"])
    assert set(performance) == {"scene_cnn_a", "all"}
    assert all(values.shape == (6, 33) for by in scores.values() for values in by.values())
    np.testing.assert_array_equal(scores["ssim"]["all"], table.columns["ssim"][1:])


@pytest.mark.usefixtures("table")
def test_the_table_on_disk_says_why_a_score_is_missing(folder):
    rows = pq.read_table(folder / "scores" / "part-00000.parquet").select(["degradation", "psnr", "undefined"])
    rows = rows.to_pylist()
    clean = [row for row in rows if row["degradation"] == "clean"]
    assert clean and all(row["psnr"] is None and row["undefined"].startswith("psnr: ") for row in clean)
    assert all(row["undefined"] is None for row in rows if row["degradation"] != "clean")


def test_direction_is_turned_so_that_higher_is_better(table):
    column = pipeline.Column("entropy", "entropy", "no_reference", False, 48, ("scene_cnn_a",), {})
    scores, _ = pipeline.quality_and_performance([column], table, ["scene_cnn_a"])
    np.testing.assert_array_equal(scores["entropy"]["all"], -table.columns["entropy"][1:])


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(study, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PART_IMAGES", 8)

    def written(folder):
        return {path.name: path.read_bytes() for path in sorted((folder / "scores").glob("*.parquet"))}

    _run(study, tmp_path / "whole", num_devices=1)
    whole = written(tmp_path / "whole")
    assert len(whole) == 5

    class Killed(Exception):
        pass

    def kill(done, total):
        if done >= 20:
            raise Killed

    output = pipeline.Store(tmp_path / "cut", study.config, study.provenance, study.details)
    with pytest.raises(Killed):
        pipeline.run(study, output, pipeline.Execution(num_devices=1), progress=kill)
    left = written(tmp_path / "cut")
    assert 0 < len(left) < 5
    # A part torn by a crash of the machine is not taken for a whole one.
    first = tmp_path / "cut" / "scores" / "part-00000.parquet"
    first.write_bytes(first.read_bytes()[:-10])
    seen = []
    output = pipeline.Store(tmp_path / "cut", study.config, study.provenance, study.details)
    pipeline.run(study, output, pipeline.Execution(num_devices=1), progress=lambda *at: seen.append(at))
    assert seen[0] == (8 * (len(left) - 1), 33) and seen[-1] == (33, 33)
    assert written(tmp_path / "cut") == whole


def test_another_config_and_another_run_at_once_are_refused(study, tmp_path):
    output = pipeline.Store(tmp_path, study.config, study.provenance, study.details)
    second = pipeline.Store(tmp_path, study.config, study.provenance, study.details)
    with output.locked(), pytest.raises(causal_iqa.InputError, match="another run"), second.locked():
        pass
    other = dataclasses.replace(_CONFIG, seed=1)
    with pytest.raises(causal_iqa.InputError, match=r"seed \(0 there, 1 now\)"):
        pipeline.run(study, pipeline.Store(tmp_path, other, provenance.Provenance.of({}, provenance.Listing()), {}))


def test_config_goes_through_json():
    assert pipeline.StudyConfig.from_json(json.loads(json.dumps(_CONFIG.to_json()))) == _CONFIG
    with pytest.raises(causal_iqa.InputError, match="sede"):
        pipeline.StudyConfig.from_json({"sede": 1})


def test_judged_images_are_never_anchors():
    config = dataclasses.replace(_CONFIG, anchor_split="test", num_images=9_900, num_anchors=200)
    source = data.open_source("scenes")
    indices = data.choose(source, config.num_images, seed=0)
    found = anchors.choose_anchors(config, source, indices, False)
    _, chosen = found
    assert len(chosen) == 100 and not set(chosen.tolist()) & set(indices.tolist())


def test_heads_serve_as_anchors_and_give_the_classifier_itself(tmp_path):
    twin = pipeline.NetworkChoice("twin", "scene_cnn_a")
    config = dataclasses.replace(_PLAIN, backbones=(twin,), anchors="head", num_images=8)
    table = _run(pipeline.prepare(config), tmp_path, num_devices=1)
    np.testing.assert_allclose(
        table.columns["ridge_guided@twin"], table.columns["scene_cnn_a/p_true"], atol=1e-5, rtol=1e-5
    )
    with pytest.raises(causal_iqa.InputError, match="no head for these 10 classes"):
        pipeline.prepare(dataclasses.replace(_PLAIN, anchors="head"))


def test_networks_of_two_input_sizes_have_their_own_scores(tmp_path, monkeypatch):
    def load(choice):
        network = backbones.load_packaged(choice.architecture)
        side = {"scene_cnn_c": 24}.get(choice.name)
        if side is None:
            return network
        return dataclasses.replace(network, preprocessing=backbones.networks.with_size(network.preprocessing, side))

    monkeypatch.setattr(loading, "load_network", load)
    names = ("scene_cnn_a", "scene_cnn_c")
    config = dataclasses.replace(
        _PLAIN, networks=tuple(pipeline.NetworkChoice.parse(name) for name in names), num_images=8, metrics=("mse",)
    )
    study = pipeline.prepare(config)
    assert [(view.side, view.networks) for view in study.views] == [(24, ("scene_cnn_c",)), (48, ("scene_cnn_a",))]
    table = _run(study, tmp_path, num_devices=1)
    assert {"mse@24px", "mse@48px", "ridge_free@scene_features@24px"} <= set(table.columns)
    # Downsampling averages noise away.
    noise = [i for i, c in enumerate(table.conditions) if c.degradation == "gaussian_noise"]
    assert (table.columns["mse@24px"][noise] < table.columns["mse@48px"][noise]).all()
    scores, _ = pipeline.quality_and_performance([s.column for s in study.scorers], table, list(names))
    np.testing.assert_allclose(
        scores["mse"]["all"], (scores["mse"]["scene_cnn_a"] + scores["mse"]["scene_cnn_c"]) / 2, rtol=1e-6
    )
    at_image = pipeline.prepare(dataclasses.replace(config, score_at="image"))
    assert [(view.side, view.networks) for view in at_image.views] == [(48, names)]


def test_metrics_that_images_are_too_small_for_are_undefined_with_a_reason():
    scorer = metric_scorer(metrics.TABLE["ssim"], pipeline.View(8, ("n",), {}))
    assert "smallest side, 11" in scorer.column.passport["undefined"]
    assert np.isnan(scorer.fn(ProgramState({}, {}, {}, {}), pipeline.Seen(None, None, {}, {}, {}, 0, ())))


def _compiled(conditions, scorers):
    """Runs the program of some scores twice; returns the text of every program that was compiled."""
    texts = []
    lower = _kept_programs._lower

    def noting(*arguments):
        lowered, outputs = lower(*arguments)
        texts.append(lowered.as_text())
        return lowered, outputs

    program = pipeline.make_program(
        seed=0,
        conditions=conditions,
        networks={},
        feature_backbones={},
        views=(pipeline.View(48, (), {}),),
        scorers=scorers,
        devices=jax.local_devices()[:1],
    )
    rng = np.random.default_rng(0)
    nothing = ProgramState({}, {}, {}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kept_programs, "_lower", noting)
        patch.setattr(_kept_programs, "folder", lambda: None)
        for _ in range(2):
            pixels = rng.integers(0, 256, (8, 48, 48, 3), dtype=np.uint8)
            salts = rng.integers(0, 2**32, 8, dtype=np.uint32)
            rows = program(nothing, pixels, np.zeros(8, np.int32), salts).fetch()
            assert {name: values.shape for name, values in rows.items()} == {
                scorer.column.name: (len(conditions), 8) for scorer in scorers
            }
    return texts


def test_every_piece_is_compiled_once_and_depends_on_what_it_computes_alone(study):
    conditions = study.config.conditions
    mse, entropy = (metric_scorer(metrics.TABLE[name], pipeline.View(48, (), {})) for name in ("mse", "entropy"))
    before = _compiled(conditions[:2], (mse,))
    assert len(before) == len(set(before)) == 5  # Begin, clean, a degradation, the runs of conditions, the metric.
    another_metric = _compiled(conditions[:2], (mse, entropy))
    assert len(set(another_metric) - set(before)) == 1
    # Another degradation, with as many conditions: only how it degrades is new.
    other = next(one for one in conditions if one.severity and one.degradation != conditions[1].degradation)
    assert len(set(_compiled((conditions[0], other), (mse,))) - set(before)) == 1
