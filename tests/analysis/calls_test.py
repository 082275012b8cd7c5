"""`causal_iqa.align` and `causal_iqa.audit` as calls: for a folder as for scenes, with findings that are kept."""

import dataclasses
import json

import pytest

import causal_iqa
from causal_iqa import InputError, pipeline
from causal_iqa.analysis import calls, findings, kept
from causal_iqa.analysis.audit import Audit
from causal_iqa.analysis.rows import image_rows
from tests.pipeline import folders

_HOW = pipeline.Execution(num_devices=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A study of ten images of a folder and a user's network, which takes seconds."""
    folder = tmp_path_factory.mktemp("calls")
    folders.write_images(folder / "images", "ab", range(5))
    (folder / "mine.py").write_text(folders.NETWORK.format(imported=""))
    return {
        "dataset": f"folder:{folder / 'images'}",
        "num_images": None,
        "networks": [f"mine={folder / 'mine.py'}:make"],
        "degradations": ["brightness"],
        "severities": [3.0],
        "metrics": ["entropy"],
        "num_resamples": 5,
    }


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, causal_iqa.align(output_dir=folder, execution=_HOW, **settings)


def test_findings_of_a_folder_come_without_files(settings, run):
    told = []
    found = causal_iqa.align(**settings, execution=_HOW, progress=lambda part, done, total: told.append(part))
    assert found.to_json() == run[1].to_json()
    assert set(found.alignments) >= {"entropy", "confidence"} and found.failures == ()
    assert {pipeline.PREPARATION[0], "scores", findings.PARTS[0]} <= set(told)
    assert repr(found).startswith("Findings(") and "1 networks, 1 conditions" in repr(found)


def test_an_audit_takes_the_findings_of_the_run(run, monkeypatch):
    folder, found = run
    here = causal_iqa.audit(folder, graphs=["screen=C -> Q -> M"])
    assert isinstance(here, Audit) and "screen" in here.graph_tests.graphs
    (folder / kept.FILE).rename(folder / "aside.json")
    assert causal_iqa.audit(folder, graphs=["screen=C -> Q -> M"]).to_json() == here.to_json()
    (folder / "aside.json").rename(folder / kept.FILE)

    def computed(*arguments, **options):
        raise AssertionError("the bootstrap was computed again")

    monkeypatch.setattr(findings, "analyse_images", computed)
    causal_iqa.audit(folder)
    assert found.effects.keys() == kept.read(folder, *_made_of(folder)).effects.keys()


def _made_of(folder):
    run = pipeline.read_run(folder)
    return run.config, run.table


def test_findings_of_anything_else_are_not_used(run, tmp_path):
    folder, found = run
    config, table = _made_of(folder)
    kept.write(tmp_path, config, table, found)
    assert kept.read(tmp_path, config, table).to_json() == found.without_images().to_json()
    assert kept.read(tmp_path, dataclasses.replace(config, seed=1), table) is None
    for changed in (
        table._replace(labels=table.labels[::-1]),
        table._replace(columns={**table.columns, "entropy": table.columns["entropy"] + 1e-6}),
        table._replace(image_ids=table.image_ids[::-1]),
    ):
        assert kept.read(tmp_path, config, changed) is None
    assert kept.read(tmp_path / "none", config, table) is None
    text = (tmp_path / kept.FILE).read_text()
    (tmp_path / kept.FILE).write_text(text.replace("0.", "1.", 1))
    with pytest.raises(InputError, match=r"findings\.json.* damaged"):
        kept.read(tmp_path, config, table)
    rows = image_rows(config, pipeline.read_run(folder).columns, table, whole=False)
    assert kept.of_images(dataclasses.replace(found, alignments={}), rows) is None


def test_settings_are_those_of_a_study(settings):
    config = calls._config(None, {**settings, "level": 0.9})
    assert (config.level, config.severities, config.networks[0].name) == (0.9, (3.0,), "mine")
    assert [one.name for one in calls._config(None, {"seed": 3}).networks] == [
        "scene_cnn_a",
        "scene_cnn_b",
        "scene_cnn_c",
    ]
    assert calls._config(config, {"seed": 3}) == dataclasses.replace(config, seed=3)
    with pytest.raises(InputError, match=r"settings: unknown num_image; a study has .*num_images"):
        causal_iqa.align(num_image=3)


def test_what_is_no_findings_is_refused_by_name(run):
    values = json.loads(json.dumps(run[1].to_json()))
    again = findings.Findings.from_json(values)
    assert again.to_json() == values and again.conditions == run[1].conditions
    with pytest.raises(InputError, match=r"findings: written by another version .schema 9; this one reads 1.; run"):
        findings.Findings.from_json({**values, "schema": 9})
    del values["alignments"]["entropy"]["all"]["between"]
    with pytest.raises(InputError, match=r"findings\.alignments\.entropy\.all: missing field 'between'"):
        findings.Findings.from_json(values)
