"""A study's findings on a made-up table: estimators and metrics, predicted accuracy, gains, warnings, valid JSON."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import csv
import dataclasses
import json
import re
import types
from typing import Any

import numpy as np
import pytest
from scipy import special

from causal_iqa import alignment, causal, estimators, pipeline
from causal_iqa.analysis import findings, network_outputs
from causal_iqa.estimates import Estimate
from causal_iqa.pipeline import Column
from causal_iqa.report import accuracy, html, study, study_page, summary, summary_records, tables

_IMAGES, _CLASSES = 40, 3
# As many as intervals for other degradations, and of the corrected number, need.
_DEGRADATIONS, _SEVERITIES = ("contrast", "fog", "jpeg_compression", "defocus_blur", "pixelate"), (1, 2, 3, 5)
_CONDITIONS = (
    pipeline.Condition(pipeline.CLEAN, 0.0),
    *(pipeline.Condition(name, float(s)) for name in _DEGRADATIONS for s in _SEVERITIES),
)


def _outputs(rng, labels, ease):
    logits = rng.normal(size=(len(_CONDITIONS), _IMAGES, _CLASSES))
    logits += (2 * ease + rng.normal(size=(1, _IMAGES)))[..., None] * np.eye(_CLASSES)[labels]
    return logits


def _terms(logits):
    return estimators.matrix_norm_terms(logits.astype(np.float32))._asdict().items()


def _table(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, _CLASSES, _IMAGES)
    shift = np.repeat([0.3, 0.15, 0.0, -0.15, -0.3], len(_SEVERITIES))
    ease = np.array([2.0, *(np.tile([1.5, 1.0, 0.7, 0.0], len(_DEGRADATIONS)) + shift)])[:, None]
    columns, vectors = {}, {}
    for name in ("one", "two"):
        logits = _outputs(rng, labels, ease)
        p = special.softmax(logits, axis=2)
        classes = np.argsort(-p, axis=2)
        top = np.take_along_axis(p, classes, axis=2)
        columns |= {
            f"{name}/correct": (classes[..., 0] == labels).astype(float),
            f"{name}/prediction": classes[..., 0].astype(float),
            f"{name}/confidence": top[..., 0],
            f"{name}/entropy": special.entr(p).sum(axis=2),
            f"{name}/margin": top[..., 0] - top[..., 1],
            f"{name}/energy": special.logsumexp(logits, axis=2),
        }
        columns |= {f"{name}/{field}": np.asarray(x) for field, x in _terms(logits)}
        columns[f"{name}/p_true"] = np.take_along_axis(p, labels[None, :, None], axis=2)[..., 0]
        vectors |= {
            f"{name}/embedding": (logits @ rng.normal(size=(_CLASSES, 6))).astype(np.float16),
            f"{name}/log_probabilities": np.log(top).astype(np.float16),
            f"{name}/classes": classes.astype(np.uint16),
        }
    opinion = special.log_softmax(_outputs(rng, labels, ease), axis=2)
    vectors["net/head_classes"] = np.argsort(-opinion, axis=2).astype(np.uint16)
    vectors["net/head_log_probabilities"] = -np.sort(-opinion, axis=2).astype(np.float16)
    vectors["net/witness_classes"] = vectors["net/head_classes"]
    vectors["net/witness_log_probabilities"] = vectors["net/head_log_probabilities"]
    early = rng.normal(size=(len(_CONDITIONS), _IMAGES, 3)) * ease[..., None]
    vectors["net/witness_early"] = early.astype(np.float16)
    vectors["net/features"] = rng.normal(size=(len(_CONDITIONS), _IMAGES, 4)).astype(np.float16)
    noise = rng.normal(size=(3, len(_CONDITIONS), _IMAGES))
    columns |= {"ours": ease + 0.3 * noise[0], "psnr": ease + noise[1], "blur": -noise[2] * ease}
    columns["psnr"][0] = np.nan
    metadata = {"columns": {name: {"undefined": "equal images"} for name in ("ours", "psnr", "blur")}}
    return pipeline.ScoreTable(
        tuple(f"i{i}" for i in range(_IMAGES)), labels, _CONDITIONS, columns, vectors, (), metadata
    )


@pytest.fixture(scope="module", autouse=True)
def few_halves():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_outputs, "_PAIRS", 4)
        yield


@pytest.fixture(scope="module")
def config():
    networks = tuple(pipeline.NetworkChoice(name, "scene_cnn_a") for name in ("one", "two"))
    return pipeline.StudyConfig(networks=networks, num_resamples=30)


@pytest.fixture(scope="module")
def columns():
    both = ("one", "two")
    return [
        Column("ours", "ours", "label_free", True, 32, both, {}),
        Column("psnr", "psnr", "full_reference", True, 32, both, {}),
        Column("blur", "blur", "no_reference", False, 32, both, {}),
    ]


@pytest.fixture(scope="module")
def found(config, columns):
    return findings.analyse(config, columns, _table())


def test_findings_are_kept_whole_as_json(found):
    values = json.loads(json.dumps(found.to_json(), allow_nan=False))
    again = findings.Findings.from_json(values)
    assert again.to_json() == values
    np.testing.assert_array_equal(again.scores["psnr"]["all"], found.scores["psnr"]["all"])
    assert again.gains["ours"]["best_conventional"].best == found.gains["ours"]["best_conventional"].best
    own, theirs = (one.comparisons[0].difference.estimate for one in (found, again))
    assert own == theirs and len(again.comparisons) == len(found.comparisons)
    assert again.like_these.alignments.keys() == found.like_these.alignments.keys()


def test_estimators_stand_in_the_table_of_the_metrics(found):
    per_image = {"confidence", "negative_entropy", "margin", "energy", "agreement"}
    of_sets = {"atc_confidence", "atc_entropy", "cot", "cot_scaled", "fused_reference", "fused_reference@net"}
    numbers = {"nuclear_norm", "mano", "dispersion", "gd_score", "leep", "log_me@net", "h_score@net"}
    set_level = ("nuclear_norm", "dispersion", "mano", "uniformity", "frechet_early", "cot")
    of_witness = {f"{name}@net" for name in set_level}
    shares = {f"hsic_share_{target}@net" for target in ("labels", "clean")}
    whole = {f"{name}_{target}@net" for name in ("hsic", "cka") for target in ("labels", "clean")}
    assert (
        set(found.alignments) == {"ours", "psnr", "blur"} | per_image | of_sets | numbers | shares | whole | of_witness
    )
    for name in of_witness:  # Of the witness's class shares, and of nothing else.
        assert found.families[name] == "label_free" and found.reads[name] == ("anchor_labels",)
    for name in whole:
        aligned = found.alignments[name]["all"]
        assert aligned.between.low <= aligned.between.value <= aligned.between.high
        assert np.isnan(aligned.within.value) and np.isnan(aligned.pooled.value)
    for name in per_image | of_sets | {"nuclear_norm", "leep"}:
        assert found.families[name] == "network_output"
        assert not found.desiderata[name].prior.holds if name in found.desiderata else name in numbers
    for name in of_sets | numbers | of_witness:
        aligned = found.alignments[name]["all"]
        assert np.isfinite(aligned.between.value) and np.isnan(aligned.within.value) and np.isnan(aligned.pooled.value)
    for name in numbers:
        between = found.alignments[name]["all"].between
        assert between.low < between.value < between.high
    assert found.desiderata["ours"].prior.holds
    assert found.alignments["confidence"]["one"].between.value > 0.8


def test_estimators_are_the_formulas_of_the_columns(config):
    table, folds = _table(), np.arange(_IMAGES) % 2
    own = network_outputs.gather(config, table, folds)
    order = [*range(1, len(_CONDITIONS)), 0]
    np.testing.assert_allclose(own.rows["negative_entropy"]["one"], -table.columns["one/entropy"][order])
    same = table.columns["one/prediction"] == table.columns["two/prediction"]
    np.testing.assert_allclose(own.accuracy["gde"]["all"], same[order])
    # The clean images themselves have the accuracy that the threshold of the other fold gives them, nearly.
    assert own.accuracy["atc_confidence"]["one"][-1].mean() == pytest.approx(
        table.columns["one/correct"][0].mean(), abs=0.1
    )
    older = table._replace(
        columns={name: x for name, x in table.columns.items() if name.split("/")[-1] in ("correct", "confidence")},
        vectors={},
    )
    fewer = network_outputs.gather(config, older, folds)
    assert set(fewer.rows) == {"confidence"} and not fewer.values
    plain = {"average_confidence", "difference_of_confidences", "doc_regression", "atc_confidence"}
    assert set(fewer.accuracy) == plain


def test_a_perfect_network_is_predicted_to_be_perfect(config):
    table = _table()
    labels, shape = table.labels, (len(_CONDITIONS), _IMAGES)
    classes = np.broadcast_to((labels[:, None] + np.arange(_CLASSES)) % _CLASSES, (*shape, _CLASSES))
    log_p = np.broadcast_to(np.array([0, *[-np.inf] * (_CLASSES - 1)], np.float16), (*shape, _CLASSES))
    certain = {"correct": 1, "p_true": 1, "confidence": 1, "margin": 1, "entropy": 0}
    columns, vectors = dict(table.columns), dict(table.vectors)
    for name in ("one", "two"):
        columns |= {f"{name}/{field}": np.full(shape, float(value)) for field, value in certain.items()}
        columns[f"{name}/prediction"] = np.broadcast_to(labels.astype(float), shape)
    for name in ("one/", "two/", "net/head_"):
        vectors |= {f"{name}log_probabilities": log_p, f"{name}classes": classes.astype(np.uint16)}
    folds = alignment.image_folds(_IMAGES, seed=0)
    own = network_outputs.gather(config, table._replace(columns=columns, vectors=vectors), folds)
    # Class shares of one half of these images would have told the other half's wrongly.
    assert len({np.bincount(labels[folds == fold]).tobytes() for fold in np.unique(folds)}) > 1
    assert {"cot", "cot_scaled", "fused_reference@net", "gde", "doc_regression_scaled"} <= set(own.accuracy)
    for name, by_network in own.accuracy.items():
        if name != "cot@net":  # Of a witness, which knows nothing of the perfect network.
            np.testing.assert_allclose(by_network["all"].mean(axis=1), 1, atol=1e-6, err_msg=name)
    for name in ("mano", "dispersion", "gd_score", "nuclear_norm"):
        np.testing.assert_allclose(own.regressed[name]["all"], 1, atol=1e-6, err_msg=name)


def test_accuracy_is_predicted_by_scores_and_by_estimators(found):
    reads = {name: by["all"].reads for name, by in found.predicted.items()}
    assert reads["ours"] == ("anchor_labels", "other_performance")
    assert reads["psnr"] == ("clean_image", "other_performance")
    assert reads["blur"] == ("other_performance",)
    assert reads["hsic_share_labels@net"] == ("clean_image", "image_label", "other_performance")
    assert reads["confidence"] == reads["mano"] == ("own_outputs", "other_performance")
    assert reads["leep"] == ("image_label", "own_outputs", "other_performance")
    assert reads["difference_of_confidences"] == reads["average_confidence_scaled"] == ("own_outputs", "clean_labels")
    assert reads["doc_regression"] == ("own_outputs", "clean_labels", "other_performance")
    assert reads["cot"] == ("own_outputs", "class_shares")
    assert reads["cot_scaled"] == ("own_outputs", "clean_labels", "class_shares")
    assert reads["average_confidence"] == ("own_outputs",)
    assert reads["gde"] == reads["fused_reference@net"] == ("own_outputs", "second_outputs")
    truth = found.performance["one"].mean(axis=1)
    for name in ("ours", "average_confidence"):
        one = found.predicted[name]["one"]
        np.testing.assert_allclose(one.held_out.truth, truth)
        assert one.errors.mean_absolute.value == pytest.approx(np.abs(one.held_out.predicted.value - truth).mean())
    assert (
        found.predicted["ours"]["all"].errors.mean_absolute.value
        < found.predicted["blur"]["all"].errors.mean_absolute.value
    )
    text = accuracy.accuracy_table(found.predicted, found.families)
    assert max(map(len, text.splitlines())) <= 100
    rows, legend = text.split("\n\n")
    assert "m: performance under the other degradations" in legend.splitlines()
    # The error stands before the bias, which has a sign.
    without = (re.sub(r"\[.*?\]", "", line) for line in rows.splitlines()[2:])
    errors = [float(re.split(r"\s+[+-]\d", line)[0].split()[-1]) for line in without]
    assert errors == sorted(errors) and len(errors) == len(found.predicted)


def test_gains_and_comparisons(found):
    assert set(found.gains) == {"ours", "cot@net", "hsic_share_labels@net", "hsic_share_clean@net"}
    pooled = found.gains["ours"]["best_conventional"].differences.pooled.estimate.value
    alone = {name: found.alignments[name]["all"].pooled.value for name in ("ours", "psnr", "blur")}
    assert pooled == pytest.approx(alone["ours"] - max(alone["psnr"], alone["blur"]))
    assert {one.second for one in found.comparisons} == {"psnr"}
    text = tables.gains_table(found.gains, {})
    assert max(map(len, text.splitlines())) <= 100 and text.count("\nours\n") == 1


def _intervals(written):
    """Every interval of a summary with its number, and where it stands."""
    for metric, entry in written["metrics"].items():
        for kind in ("alignment", "alignment_like_these"):
            for network, numbers in entry[kind].items():
                for number, one in numbers.items():
                    fixed = entry["alignment"][network][number]["rho"]
                    yield f"{metric} {kind} {network} {number}", fixed, one["low"], one["high"]
        for measure, one in entry.get("measures", {}).items():
            yield f"{metric} {measure}", one["rho"], one["low"], one["high"]
        compared = {**entry.get("gains", {}), "against": entry.get("against_best_conventional", {})}
        for yardstick, numbers in compared.items():
            for number in alignment.NUMBERS:
                if number in numbers:
                    one = numbers[number]
                    for bounds in (one, one["like_these"]):
                        yield f"{metric} {yardstick} {number}", one["difference"], bounds["low"], bounds["high"]
    for score, by in written["predicted_accuracy"].items():
        for one in by.values():
            yield f"{score} error", one["mean_absolute"], one["low"], one["high"]
            for condition in one["conditions"].values():
                yield f"{score} predicted", condition["predicted"], condition["low"], condition["high"]


def test_every_interval_holds_its_number_or_is_missing_with_a_reason(config, found):
    written = summary.summary(config, _table(), found).to_json()
    seen = 0
    for name, value, low, high in _intervals(written):
        assert (low is None) == (high is None), name
        if low is not None:
            assert low - 1e-9 <= value <= high + 1e-9, (name, low, value, high)
            seen += 1
    assert seen > 1000
    ours = written["metrics"]["ours"]
    assert all(
        ours[kind]["all"][n]["low"] is not None
        for kind in ("alignment", "alignment_like_these")
        for n in ours[kind]["all"]
    )
    assert any("not corrected" in note for note in written["notes"])


def test_a_corrected_value_near_one_is_said_to_be_less_sure(found):
    near, far = (Estimate(value, value - 0.03, value + 0.03) for value in (alignment.LEAST_NEAR_ONE, 0.92))
    names = list(found.alignments)
    alignments = {
        name: {"all": found.alignments[name]["all"]._replace(corrected=near if name == names[0] else far)}
        for name in names
    }
    said = [note for note in summary.notes(dataclasses.replace(found, alignments=alignments)) if "near 1" in note]
    assert len(said) == 1 and said[0].endswith(f"({names[0]})")


def test_intervals_for_other_degradations_are_wider_and_for_the_same_numbers(found):
    for metric in ("ours", "psnr", "blur", "confidence"):
        fixed, moved = found.alignments[metric]["all"], found.like_these.alignments[metric]["all"]
        for number in ("within", "pooled"):
            a, b = getattr(fixed, number), getattr(moved, number)
            assert a.value == b.value and b.high - b.low > 0.9 * (a.high - a.low)
    assert set(found.like_these.gains) == set(found.gains)
    assert [(one.first, one.number) for one in found.like_these.comparisons] == [
        (one.first, one.number) for one in found.comparisons
    ]
    assert np.isfinite(found.like_these.alignments["nuclear_norm"]["all"].between.low)


def test_two_degradations_and_few_images_lose_nothing_but_what_they_cannot_say(config, columns, tmp_path):
    """Ten images are the fewest with intervals, two degradations leave no map of accuracy without both."""
    table = _table()
    (tmp_path / "figures").mkdir()
    rows = list(range(1 + 2 * len(_SEVERITIES)))
    two = table._replace(
        conditions=tuple(table.conditions[i] for i in rows),
        columns={name: values[rows] for name, values in table.columns.items()},
        vectors={name: values[rows] for name, values in table.vectors.items()},
    )
    few = two._replace(
        image_ids=two.image_ids[:9],
        labels=two.labels[:9],
        columns={name: values[:, :9] for name, values in two.columns.items()},
        vectors={name: values[:, :9] for name, values in two.vectors.items()},
    )
    for small, reason in ((two, "8 conditions are too few for an interval"), (few, "9 images under 8 conditions")):
        found = findings.analyse(config, columns, small)
        assert found.failures == ()
        text = study.write(tmp_path, config, small, found, {})
        assert reason in text
        written = json.loads((tmp_path / "summary.json").read_text())
        assert any(reason in note for note in written["notes"])
    between = written["metrics"]["ours"]["alignment"]["all"]["between"]
    assert between["rho"] is not None and between["low"] is None
    against = written["metrics"]["ours"]["against_best_conventional"]["pooled"]
    assert against["p_value"] is None and against["p_normal"] is None


def test_summary_is_json_and_the_page_shows_everything(config, found, tmp_path):
    table = _table()
    (tmp_path / "figures").mkdir()
    up, down = alignment.Estimate(0.4, 0.3, 0.5), alignment.Estimate(-0.4, -0.5, -0.3)
    turned = {**found.alignments, "psnr": {**found.alignments["psnr"], "all": alignment.Alignment(up, down, up)}}
    found = dataclasses.replace(found, alignments=turned)
    text = study.write(tmp_path, config, table, found, {})
    assert "network output" in text
    assert text.count("warning: psnr: ") == 2 and "between 0.40 [0.30, 0.50] and within -0.40" in text
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["schema"] == summary_records.SCHEMA == 1
    ours = written["metrics"]["ours"]
    assert set(ours["measures"]["auroc_pooled"]) == {"rho", "low", "high"}
    assert ours["null"]["p_pooled"] >= 1 / 1000
    gain = ours["gains"]["best_full_reference"]["corrected"]
    assert set(gain) == {"difference", "low", "high", "p_value", "best", "like_these"}
    assert ours["against_best_conventional"]["baseline"] == "psnr"
    assert "p_holm" in ours["against_best_conventional"]["pooled"]["like_these"]
    assert set(ours["reliability"]["all"]) == {"score", "performance", "reason"}
    bounds = {row["metric"]: row for row in csv.DictReader((tmp_path / "bounds.csv").read_text().splitlines())}
    assert float(bounds["ours"]["between"]) == pytest.approx(ours["alignment"]["all"]["between"]["rho"], abs=1e-4)
    assert float(bounds["ours"]["tau"]) <= float(bounds["ours"]["tau_at_most"])
    assert float(bounds["ours"]["largest_error"]) > 0 and "nuclear_norm" not in bounds
    assert set(ours["alignment_like_these"]["one"]) == set(alignment.NUMBERS)
    assert written["metrics"]["leep"]["desiderata"] == {}
    predicted = written["predicted_accuracy"]["ours"]["all"]
    assert set(predicted["conditions"]) == set(written["conditions"]) - {"clean/0"}
    page = (tmp_path / "report.html").read_text()
    assert "Accuracy predicted" in page and "Gains" in page
    for words in (text, page):
        assert tables.FIXED in words and tables.LIKE_THESE in words and tables.BOTH in words
        # Hardest first.
        places = [words.index(f"  {yardstick.replace('_', ' ')}  ") for yardstick in tables.HEADLINE]
        assert places == sorted(places)
    assert "Signs that disagree" in page
    assert [one["certain"] for one in written["metrics"]["psnr"]["warnings"]] == [True, True]


def test_sample_images_and_the_audit_in_short_stand_on_the_page(tmp_path):
    samples = [("clean", np.zeros((32, 40, 3), np.uint8)), ("fog/5", np.full((300, 200, 3), 90, np.uint8))]
    (section,) = study_page.samples_section(samples)
    page = html.page("t", [section])
    assert 'width="40" height="32"' in page and 'width="107" height="160"' in page and "fog/5" in page
    assert study_page.samples_section([]) == []
    one = causal.Verdict("yes", "why")
    found: Any = types.SimpleNamespace(
        desiderata={"ssim": causal.Desiderata(one, one._replace(answer="no"), one, one)},
        families={"ssim": "full_reference"}, performance={"all": np.zeros((2, 30))}, measure=pipeline.ACCURACY,
    )  # fmt: skip
    page = html.page("t", [study_page.desiderata_section(found, tmp_path, [html.Text("why")])])
    assert "0 of 1 metrics are shown to predict correctness" in page and "causal-iqa audit --run=" in page
    (tmp_path / "audit.md").write_text("")
    assert "audit.md in this folder" in html.page("t", [study_page.desiderata_section(found, tmp_path, [])])


def test_an_estimator_that_one_network_does_not_have_is_reported_for_the_others(config, found, tmp_path):
    def partly(alignments):
        return {**alignments, "nuclear_norm": {"large": alignments["nuclear_norm"]["all"]}}

    moved = found.like_these._replace(alignments=partly(found.like_these.alignments))
    found = dataclasses.replace(found, alignments=partly(found.alignments), like_these=moved)
    (tmp_path / "figures").mkdir()
    study.write(tmp_path, config, _table(), found, {})
    written = json.loads((tmp_path / "summary.json").read_text())
    assert set(written["metrics"]["nuclear_norm"]["alignment"]) == {"large"}
