"""The audit of a run whose truth is known: one score that follows what the network sees, one that sees no condition."""

import json

import numpy as np
import pytest

from causal_iqa import _files, pipeline
from causal_iqa.analysis import audit as auditing
from causal_iqa.report import audit as audit_report
from tests.experiments.binaries import error_of, run

_IMAGES = 128
_APART = "--graph=apart = C -> Q, C -> M, clean_rms_contrast"
_NETWORK = pipeline.NetworkChoice("scene_cnn_a", "scene_cnn_a")


def _write_run(folder, seed=0):
    """A finished run, drawn from C -> X, S -> X, X -> ssim, S -> rms_contrast, X -> M."""
    config = pipeline.StudyConfig(
        networks=(_NETWORK,),
        num_images=_IMAGES,
        degradations=("gaussian_noise", "fog"),
        severities=(1.0, 3.0, 5.0),
        metrics=("ssim", "rms_contrast"),
        num_resamples=60,
    )
    rng = np.random.default_rng(seed)
    scene = rng.normal(size=_IMAGES)
    slopes = {"gaussian_noise": 0.5, "fog": 0.3}
    shift = np.array([[slopes.get(one.degradation, 0.0) * one.severity] for one in config.conditions])
    x = scene - shift
    clean = shift[:, 0] == 0
    columns = {
        "ssim": np.where(clean[:, None], 1.0, x + 0.2 * rng.normal(size=x.shape)),
        "rms_contrast": np.broadcast_to(scene + 0.5 * rng.normal(size=_IMAGES), x.shape),
        "scene_cnn_a/correct": x + 0.5 * rng.normal(size=x.shape) > -1,
        "scene_cnn_a/p_true": 1 / (1 + np.exp(-x)),
        "scene_cnn_a/confidence": 0.5 + 0.5 / (1 + np.exp(-x)),
    }
    families = {"ssim": "full_reference", "rms_contrast": "no_reference"}
    passports = {
        name: {"metric": name, "family": family, "higher_is_better": True, "side": 48, "networks": ["scene_cnn_a"]}
        for name, family in families.items()
    }
    store = pipeline.Store(folder, config, "test", {"dataset": {"size": _IMAGES}})
    labels = (scene + rng.normal(size=_IMAGES) > 0).astype(np.int32)
    for part in range(2):
        own = slice(64 * part, 64 * (part + 1))
        values = {name: table[:, own] for name, table in columns.items()}
        ids = [f"test/{i}" for i in range(own.start, own.stop)]
        store.write_part(part, ids, labels[own], config.conditions, values, (), passports)
    return folder


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = _write_run(tmp_path_factory.mktemp("run"))
    graphs = folder / "graphs.txt"
    graphs.write_text("# One on each line.\nscreen=C -> Q -> M, Q -> Y  # Q carries all\nC -> ssim -> M\n")
    other = _write_run(tmp_path_factory.mktemp("other"), seed=1)
    run("audit", f"--run={folder}", f"--graph={graphs}", _APART, f"--transfer_from={other}")
    return folder, json.loads((folder / "audit.json").read_text())


def _test_of(audited, metric, x, y, given):
    (found,) = [
        t for t in audited["graph_tests"]["tests"] if (t["metric"], t["x"], t["y"], t["given"]) == (metric, x, y, given)
    ]
    return found


def test_desiderata_know_the_blind_score(audited):
    desiderata = audited[1]["desiderata"]
    answers = {name: verdict["answer"] for name, verdict in desiderata["ssim"].items()}
    assert (answers["sensitive"], answers["free_standing"], answers["prior"]) == ("yes", "no", "yes")
    assert desiderata["ssim"]["aligned"]["independence"]["holm"] < 0.05
    assert desiderata["ssim"]["aligned"]["common_sign"]["z"] > 3
    assert desiderata["ssim"]["sensitive"]["independent_of_condition"]["holm"] < 1e-4
    for fall in desiderata["ssim"]["sensitive"]["degradations"].values():
        assert fall["answer"] == "yes" and fall["falls_at_every_step"]["holm"] < 1e-4 and fall["page"]["holm"] < 1e-4
        assert fall["smallest_fall"]["low"] > 0
    blind = desiderata["rms_contrast"]
    assert blind["sensitive"]["answer"] == "no"
    # Dependent on performance within a condition, which no condition changes: the correlation between is undefined.
    assert blind["aligned"]["answer"] == "not shown"
    assert blind["aligned"]["independence"]["holm"] < 0.05
    assert "independent of M given C: p " in blind["aligned"]["evidence"]


def test_graphs_are_rejected_by_what_they_imply(audited):
    verdicts = audited[1]["graph_tests"]["verdicts"]
    assert [verdicts["blind"][name]["rejected"] for name in ("ssim", "rms_contrast")] == [1, 0]
    assert verdicts["blind"]["ssim"]["by"] == [{"x": "C", "y": "Q", "given": []}]
    assert {"x": "M", "y": "Q", "given": ["C"]} in verdicts["irrelevant"]["ssim"]["by"]
    assert set(verdicts["no_reference"]) == {"rms_contrast"}
    assert all(not one["rejected"] for name in ("no_reference", "full_reference") for one in verdicts[name].values())
    # The users' graphs: what Q carries, a column by its name, and a factor of the clean image.
    assert _test_of(audited[1], "rms_contrast", "C", "M", ["Q"])["verdict"] == "rejected"
    assert _test_of(audited[1], None, "C", "M", ["ssim"])["verdict"] == "kept"
    assert _test_of(audited[1], None, "C", "clean_rms_contrast", [])["verdict"] == "kept"
    assert _test_of(audited[1], None, "M", "clean_rms_contrast", [])["verdict"] == "rejected"
    assert audited[1]["graph_tests"]["graphs"]["screen"]["graph"] == "C -> Q, Q -> M, Q -> Y"
    assert "one row per image" in audited[1]["graph_tests"]["design"]


def test_effects_doses_and_mediation_are_those_of_the_draw(audited):
    doses, mediation = audited[1]["dose_alignment"], audited[1]["mediation"]
    assert doses["ssim"]["mean"]["correlation"]["value"] > 0.95
    assert doses["rms_contrast"]["mean"]["correlation"]["value"] is None
    assert abs(mediation["ssim"]["surrogate_share"]["value"] - 1) < 0.2
    assert abs(mediation["rms_contrast"]["surrogate_share"]["value"]) < 0.05
    assert (mediation["ssim"]["base"], mediation["rms_contrast"]["base"]) == ("mildest", "clean")
    effects = audited[1]["effects"]["accuracy"]
    assert effects["gaussian_noise/5"]["effect"] < effects["fog/5"]["effect"] < effects["fog/1"]["effect"] + 0.05


def test_observational_study_comes_nearer_to_the_truth_than_the_naive_one(audited):
    found = audited[1]["observational"]
    assert found["arms"] == ["clean", "1", "3", "5"]
    assert set(found["adjustment_set"]) == {"Y", "clean rms_contrast"}
    methods = found["repeats"]["methods"]
    for method in ("regression", "weighting", "doubly_robust"):
        assert methods[method]["mean_absolute_bias"] < 0.6 * methods["naive"]["mean_absolute_bias"]
    truth = found["accuracy"]["truth"]
    assert truth[0] > truth[1] > truth[3]
    assert [one["name"] for one in found["refutations"]] == [
        "placebo_treatment",
        "random_common_cause",
        "random_subset",
    ]


def test_files_are_complete_and_the_same_again(audited):
    folder, _ = audited
    text = (folder / "audit.md").read_text()
    for part in ("Desiderata", "What the graphs imply", "fall together", "carry", "observational data", "Families"):
        assert part in text
    names = ("audit_dose_response", "audit_effects", "audit_mediation", "audit_observational")
    for name in names:
        assert f"figures/{name}.png" in text
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
    before = _files.read_json(folder / "audit.json")
    # The file is the typed audit, and the text is that of the file.
    assert audit_report.read(folder).to_json() == before
    run("audit", f"--run={folder}", f"--graph={folder}/graphs.txt", _APART)
    assert _files.read_json(folder / "audit.json") == {**before, "transfer": []}


def test_maps_of_another_run_of_the_same_law_predict_this_one(audited):
    (found,) = audited[1]["transfer"]
    scores = {(one["score"], one["learned_with"]): one for one in found["scores"]}
    assert set(scores) == {(name, name) for name in ("ssim", "rms_contrast", "confidence")}
    of_ssim, blind = scores["ssim", "ssim"], scores["rms_contrast", "rms_contrast"]
    assert of_ssim["as_is"]["mean_absolute"] < 0.06 < blind["as_is"]["mean_absolute"]
    # Clean images have one SSIM, so nothing is relative to its spread.
    assert of_ssim["relative_to_clean"] is None and blind["relative_to_clean"] is not None
    # Two degradations say nothing of how errors vary over degradations.
    assert of_ssim["as_is"]["conditions"]["fog/3"]["low"] is None and of_ssim["as_is"]["coverage"] is None
    errors = [abs(x["predicted"] - x["truth"]) for x in of_ssim["as_is"]["conditions"].values()]
    assert of_ssim["as_is"]["mean_absolute"] == pytest.approx(np.mean(errors))
    assert of_ssim["reads"] == ["clean_image"] and blind["reads"] == []
    beside = {one["score"]: one["reads"] for one in found["beside"]}
    assert beside == {
        "average_confidence": ["own_outputs"],
        "difference_of_confidences": ["own_outputs", "clean_labels"],
        "atc_confidence": ["own_outputs", "clean_labels"],
        "doc_regression": ["own_outputs", "clean_labels", "other_performance"],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ring=C -> Q -> C", "graph ring: edges: expected no cycle, got C -> Q -> C"),
        ("nofile.txt", "'nofile.txt' is neither a graph (C -> X, X -> Q) nor a file"),
        ("blind=C -> Q", "the name 'blind' is taken"),
        ("C -> ", "graph graph1: text: expected nodes joined by '->'"),
    ],
)
def test_refuses_what_is_no_graph(capsys, tmp_path, text, expected):
    assert expected in error_of(capsys, "audit", f"--run={tmp_path}", f"--graph={text}")


def test_a_large_run_is_judged_by_images_drawn_at_random(audited):
    run = pipeline.read_run(audited[0])
    assert auditing.at_most(run) is run
    # Two metrics and eight scores of outputs, seven conditions.
    some = auditing.at_most(run, most_values=10 * 7 * 50)
    assert len(some.table.image_ids) == len(set(some.table.image_ids)) == len(some.table.labels) == 50
    at = [run.table.image_ids.index(name) for name in some.table.image_ids]
    assert at != list(range(50))
    for name, values in run.table.columns.items():
        np.testing.assert_array_equal(some.table.columns[name], values[:, at])
    assert auditing.at_most(run, most_values=10 * 7 * 50).table.image_ids == some.table.image_ids


def test_every_interval_of_the_audit_holds_its_estimate(audited):
    """In a run of 40 images 19 estimates lay outside of theirs."""
    counted, missed = 0, []

    def walk(part, place):
        if isinstance(part, list):
            part = dict(enumerate(part))
        if not isinstance(part, dict):
            return
        for estimate in ("value", "effect", "mean_absolute"):
            row = [part.get(name) for name in ("low", estimate, "high")]
            if None not in row:
                nonlocal counted
                counted += 1
                if sorted(row) != row:
                    missed.append((place, row))
        for name, inner in part.items():
            walk(inner, (*place, name))

    walk({name: part for name, part in audited[1].items() if name != "transfer"}, ())
    assert missed == []
    assert counted > 100
