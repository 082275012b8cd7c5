"""Performance that was measured elsewhere: tables read and joined, and a study of an error in any range."""

import csv
import json
import re

import jax
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, backbones, data, pipeline
from causal_iqa.analysis import audit as auditing
from causal_iqa.analysis import findings
from causal_iqa.analysis.rows import image_rows
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import performance
from causal_iqa.report import audit as audit_report
from causal_iqa.report import study as study_report

_HEAD = "image_id,condition,network,performance\n"
_GOOD = "a,clean,net,0.5\na,fog/3,net,0.25\n"


def _write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_id,condition,performance\na,clean,1\n", "no column 'network' (1 missing)"),
        (_HEAD, "has no rows"),
        (_HEAD + _GOOD + "b,clean,net,high\nc,clean,net,low\n", "'high' of b, clean, net"),
        (_HEAD + _GOOD + "b,clean,net,high\nc,clean,net,low\n", "is no number (2 such rows)"),
        (_HEAD + _GOOD + "b,clean,net,nan\n", "'nan' of b, clean, net in"),
        (_HEAD + _GOOD + "b,clean,net,inf\nc,clean,net,-inf\n", "is not finite (2 such rows)"),
        (_HEAD + _GOOD + "b,clean,net,1.5\n", "is outside 0 to 1 (1 such rows)"),
        (_HEAD + _GOOD + "a,clean/0,net,0.5\n", "has 2 rows for a, clean/0, net"),
        (_HEAD + "a,clean,net,0.5\nb,clean,net,0.5\n", "network net in"),
        (_HEAD + "a,clean,net/x,0.5\nb,clean,net/x,0.4\n", "cannot be a name"),
        (_HEAD + _GOOD + ",clean,net,0.5\n", "row 3 of"),
        (_HEAD.replace("\n", ",group\n") + "a,clean,net,0.5,v1\na,fog/3,net,0.4,v2\n", "a of"),
    ],
)
def test_a_bad_table_is_refused_in_one_line_that_names_the_first_row(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        performance.read_table(_write(tmp_path, text), bounds=(0.0, 1.0))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_cell_is_a_missing_row_and_ids_stay_texts(tmp_path):
    table = performance.read_table(_write(tmp_path, _HEAD + "007,clean,net,2\n008,fog/3.0,net,\n009,fog/3.0,net,3\n"))
    assert table.image_ids.tolist() == ["007", "009"] and table.num_empty == 1
    assert table.conditions.tolist() == ["clean/0", "fog/3"]


def test_parquet_says_the_same_as_csv(tmp_path):
    text = _HEAD + _GOOD
    rows = list(csv.reader(text.splitlines()))
    columns = dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))
    columns["performance"] = [float(value) for value in columns["performance"]]
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    one, other = (
        performance.read_table(tmp_path / f"table{end}") for end in (".parquet", _write(tmp_path, text).suffix)
    )
    for first, second in zip(one[1:5], other[1:5], strict=True):
        assert first.tolist() == second.tolist()


def test_missing_and_surplus_rows_are_counted_and_the_first_is_named(tmp_path):
    text = _HEAD + _GOOD + "b,clean,net,0.75\nz,clean,net,1\nb,fog/5,net,0\nb,nonsense,net,0\n"
    table = performance.read_table(_write(tmp_path, text))
    conditions = (Condition("clean", 0.0), Condition("fog", 3.0))
    joined = performance.join(table, ["b", "a"], ["a", "b", "c"], conditions)
    np.testing.assert_array_equal(joined.values["net"]["a"], [0.5, 0.25])
    np.testing.assert_array_equal(joined.values["net"]["b"], [0.75, np.nan])
    told = " ".join(joined.remarks)
    assert "1 of 4 rows are missing" in told and "first b, fog/3, net" in told
    assert "1 rows" in joined.remarks[0] and "not in the dataset and left out, first z" in joined.remarks[0]
    assert "2 rows" in joined.remarks[1] and "first fog/5" in joined.remarks[1]
    with pytest.raises(InputError, match=r"no row of network net .* first row is of image a"):
        performance.join(table, ["c"], ["c"], conditions)


_CONFIG = pipeline.StudyConfig(
    performance="table.csv",
    performance_name="error in mm",
    performance_direction="lower",
    num_images=24,
    degradations=("gaussian_noise", "pixelate", "brightness", "contrast", "jpeg_compression"),
    severities=(2.0, 5.0),
    metrics=("psnr", "entropy"),
    num_resamples=20,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two networks whose error grows with severity, in pairs of images that belong together."""
    folder = tmp_path_factory.mktemp("table")
    source = data.open_source("scenes")
    rng = np.random.default_rng(0)
    rows = ["image_id,condition,network,performance,group"]
    for index in range(30):
        for condition in _CONFIG.conditions:
            for network, scale in (("near", 10.0), ("far", 30.0)):
                error = scale * (1 + condition.severity + rng.random())
                rows.append(f"{source.id(index)},{condition.name},{network},{error},pair{index // 2}")
    path = _write(folder, "\n".join(rows) + "\n")
    config = pipeline.StudyConfig.from_json({**_CONFIG.to_json(), "performance": str(path)})
    return pipeline.prepare(config), folder


@pytest.fixture(scope="module")
def run(study):
    prepared, folder = study
    output = pipeline.Store(folder / "run", prepared.config, prepared.provenance, prepared.details)
    with output.locked():
        pipeline.run(prepared, output, pipeline.Execution(num_devices=1))
        found = pipeline.read_run(folder / "run")
        analysed = findings.analyse(found.config, found.columns, found.table)
        study_report.write(output.folder, found.config, found.table, analysed, prepared.details)
    return found, analysed


def test_an_error_counts_less_the_larger_it_is(run):
    found, analysed = run
    assert [choice.name for choice in found.config.networks] == ["near", "far"]
    assert not analysed.failures
    assert set(found.table.image_ids) <= {data.open_source("scenes").id(index) for index in range(30)}
    near = analysed.performance["near"]
    assert near.shape == (10, 24) and (near > -70).all() and (near < -30).all()
    assert analysed.alignments["psnr"]["all"].between.value > 0.5
    assert analysed.doses["performance"]["pixelate"].mean[0] > analysed.doses["performance"]["pixelate"].mean[1]
    predicted = analysed.predicted["psnr"]["near"]
    truth = predicted.held_out.truth
    assert truth.min() < -30 and np.nanmin(predicted.held_out.predicted.low) < -30
    assert predicted.errors.mean_absolute.value < np.ptp(truth)


def test_images_of_a_group_are_resampled_together(run):
    found, analysed = run
    clusters = pipeline.clusters(found.table.columns)
    members = np.bincount(clusters)
    assert members.max() == 2
    from causal_iqa import _keys, alignment

    counts = alignment.resample_counts(_keys.named(0, "test"), 24, 50, clusters)
    for cluster in np.unique(clusters):
        own = counts[:, clusters == cluster]
        assert (own == own[:, :1]).all()
    assert counts.max() > 1
    folds = alignment.image_folds(24, clusters=clusters)
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in clusters)
    reason = analysed.alignments["psnr"]["all"].reliability.reason
    assert reason.endswith("groups of images are too few, 20 are needed")


_WORDS = re.compile(r"accurac\w*|\bcorrect\b|correctness", re.IGNORECASE)


def _said(text):
    """Where a text speaks of accuracy, other than to say that this is none."""
    text = re.sub(r"(\"|&quot;)is_accuracy(\"|&quot;): false", "", text)
    return [text[max(0, m.start() - 40) : m.end() + 40] for m in _WORDS.finditer(text)]


def test_nothing_says_accuracy_or_correct(study, run):
    found, analysed = run
    folder = study[1] / "run"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["measure"] == {"name": "minus error in mm", "is_accuracy": False, "low": None, "high": None}
    assert summary["networks"]["near"]["clean_performance"] == pytest.approx(-15, abs=5)
    assert _said((folder / "summary.json").read_text()) == []
    page = (folder / "report.html").read_text()
    assert "minus error in mm" in page
    visible = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert _said(visible) == []
    audited = auditing.audit(
        found,
        findings.analyse_images(found.config, image_rows(found.config, found.columns, found.table, whole=False)),
    )
    assert audited.effects["performance"]["pixelate/5"].value < -20
    again = auditing.Audit.from_json(audited.to_json())
    assert again.to_json() == audited.to_json() and "clean_performance" in again.to_json()
    audit_report.write(folder, audited, analysed)
    assert _said((folder / "audit.md").read_text()) == []
    assert _said((folder / "audit.json").read_text()) == []


def test_the_same_table_twice_is_the_same_study_and_another_is_not(study, tmp_path):
    prepared, folder = study
    text = (folder / "table.csv").read_text()
    first, rest = text.split("\n", 2)[1:]
    other = _write(tmp_path, "\n".join([text.split("\n", 1)[0], re.sub(r",near,[^,]*,", ",near,1.0,", first), rest]))
    config = pipeline.StudyConfig.from_json({**_CONFIG.to_json(), "performance": str(other)})
    changed = pipeline.prepare(config)
    assert changed.provenance.parts["table of performance"] != prepared.provenance.parts["table of performance"]


def test_a_study_judges_networks_or_reads_a_table_not_both():
    with pytest.raises(InputError, match="no --network is judged here"):
        pipeline.StudyConfig(performance="x.csv", networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),))
    with pytest.raises(InputError, match="performance_name: expected only together with"):
        pipeline.StudyConfig(performance_name="IoU", networks=(pipeline.NetworkChoice.parse("scene_cnn_a"),))
    with pytest.raises(InputError, match="performance_range: expected LOWEST,HIGHEST"):
        pipeline.StudyConfig(performance="x.csv", performance_range=(1.0, 0.0))


def test_images_without_classes_are_scored_by_the_backbones_own_head(tmp_path):
    source = data.open_source("scenes")
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = []
    for index in range(4):
        PIL.Image.fromarray(source[index].image).save(folder / f"{index}.png")
        rows += [f"{index}.png,{name},net,{index + place}" for place, name in enumerate(("clean", "contrast/5"))]
    config = pipeline.StudyConfig(
        dataset=f"images:{folder}",
        performance=str(_write(tmp_path, _HEAD + "\n".join(rows))),
        backbones=(pipeline.NetworkChoice.parse("scene_cnn_a"),),
        degradations=("contrast",),
        severities=(5.0,),
        metrics=(),
        num_images=None,
    )
    prepared = pipeline.prepare(config)
    names = {scorer.column.metric: scorer.column for scorer in prepared.scorers}
    assert {column.family for column in names.values()} == {"label_free", "feature_reference"}
    assert names["head_free@scene_cnn_a"].reads_beside == ("class_vectors",)
    output = pipeline.Store(tmp_path / "run", prepared.config, prepared.provenance, prepared.details)
    table = pipeline.run(prepared, output, pipeline.Execution(num_devices=1))
    network = backbones.load_packaged("scene_cnn_a")
    images = dict(pipeline.degraded_images(prepared.config, prepared.source, prepared.indices, prepared.image_size))
    for place, name in enumerate(table.image_ids):
        for row in range(2):
            logits, _ = network.apply(network.params, images[name][row])
            expected = float(jax.nn.softmax(logits).max())
            assert table.columns["head_free@scene_cnn_a"][row, place] == pytest.approx(expected, abs=2e-3)
    assert table.columns["clean_cosine@scene_cnn_a"][0] == pytest.approx(1, abs=1e-5)
    assert (table.columns["clean_cosine@scene_cnn_a"][1] < 0.99).all()


def test_another_performance_is_put_beside_finished_scores(run, tmp_path):
    found, _ = run
    kept = found.table.image_ids[3:9]
    rows = [
        f"{name},{c.name},other,{place + c.severity}" for place, name in enumerate(kept) for c in found.table.conditions
    ]
    table = performance.read_table(_write(tmp_path, _HEAD + "\n".join(rows)))
    config, attached = performance.attach(found.config, found.table, table)
    assert [choice.name for choice in config.networks] == ["other"] and attached.image_ids == kept
    np.testing.assert_array_equal(attached.columns["psnr"], found.table.columns["psnr"][:, 3:9])
    severities = [condition.severity for condition in found.table.conditions]
    np.testing.assert_allclose(attached.columns["other/performance"], np.add.outer(severities, np.arange(6)))
    assert "near/performance" not in attached.columns
