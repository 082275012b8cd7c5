"""A stored audit rendered without a run: every table says what the records say, and a name is never more than text.

golden/audit.json is the audit of the made-up run of tests/experiments/audit_test.py, golden/audit.txt what was rendered
from it and read through once. After a change of the words: python -m tests.report.audit_test.
"""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.analysis.audit import Audit, NotDone
from causal_iqa.report import audit as audit_report
from causal_iqa.report import audit_markdown, record

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
_PLACES = ("desiderata", "implications", "carried", "observational", "transfer")
_PAGE = "".join(f"<!-- run/{name} -->\n<!-- end -->\n" for name in _PLACES)


def _golden():
    return json.loads((_GOLDEN / "audit.json").read_text("utf-8"))


def _recorded(audited):
    """A run of which nothing but the audit is asked."""
    summary = {"num_images": 0, "conditions": [], "networks": {}, "metrics": {}, "predicted_accuracy": {}}
    config = {"dataset": "", "backbones": [], "anchors": "", "num_anchors": 0, "seed": 0, "num_resamples": 0}
    return record.Recorded.of(summary, config, audited)


def _rendered(audited):
    return audit_markdown.markdown(audited, ["figures/a.png"]) + record.fill(_PAGE, {"run": _recorded(audited)})


@pytest.fixture(scope="module")
def audited():
    return Audit.from_json(_golden())


def test_text_and_tables_are_those_of_the_golden_audit(audited):
    assert _rendered(audited) == (_GOLDEN / "audit.txt").read_text("utf-8")


def test_json_and_records_are_one_another(audited):
    assert audited.to_json() == _golden()
    assert audited.desiderata["ssim"].free_standing.answer == "no"
    assert audited.effects["accuracy"]["fog/5"].low < audited.effects["accuracy"]["fog/5"].value < 0


def test_an_older_audit_is_one_of_accuracies(audited):
    older = _golden()
    del older["measure"], older["transfer"][0]["measure"]
    assert Audit.from_json(older).to_json() == audited.to_json()


def test_another_measure_than_accuracy_has_its_own_words(audited):
    measure = pipeline.Measure("error in mm", False, 1.0, (-np.inf, np.inf))
    (transfer,) = audited.transfer
    renamed = {"performance" if key == "accuracy" else key: values for key, values in audited.effects.items()}
    trends = {"performance" if key == "accuracy" else key: values for key, values in audited.trends.items()}
    transfers = (transfer._replace(measure=measure),)
    other = dataclasses.replace(audited, measure=measure, effects=renamed, trends=trends, transfer=transfers)
    values = json.loads(json.dumps(other.to_json()))
    assert "clean_performance" in values and "clean_performance" in values["transfer"][0]
    assert "performance" in values["observational"] and "accuracy" not in values["observational"]
    assert Audit.from_json(values).to_json() == values
    text = audit_markdown.markdown(other)
    assert "clean error in mm 0.875" in text and "Effect on error in mm against clean" in text
    assert "accurac" not in text.replace("difference", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema=2), "audit: written by an older version .schema 2; this one reads 3.; run"),
        (lambda v: v.pop("schema"), "audit: written by another version .schema None"),
        (lambda v: v.update(more=1), "audit: unknown field 'more'"),
        (lambda v: v.pop("effects"), "audit: missing field 'effects'"),
        (lambda v: v["mediation"]["ssim"].pop("share"), "audit.mediation.ssim: missing field 'share'"),
        (
            lambda v: v["desiderata"]["ssim"]["prior"].update(answer="maybe"),
            "prior.answer: expected one of 'yes', 'no'",
        ),
        (lambda v: v["observational"].update(reason="x"), "audit.observational: unknown field 'reason'"),
        (lambda v: v.update(level="95"), "audit.level: expected a number or null, got '95'"),
    ],
)
def test_what_is_no_audit_of_this_version_is_refused_by_name(change, message):
    values = _golden()
    change(values)
    with pytest.raises(InputError, match=message):
        Audit.from_json(values)


def test_tables_of_the_record_say_what_the_audit_says(audited):
    text = record.fill(_PAGE, {"run": _recorded(audited)})
    assert "| `ssim` | full reference | yes; falls in 2 of 2 (Page 2) | " in text
    assert "| `rms_contrast` | no reference | no; falls in 0 of 2 (Page 0) | not shown with 128 images" in text
    kept = next(line for line in text.splitlines() if line.startswith("| C and clean_rms_contrast |"))
    assert kept.endswith("| apart | HSIC, gamma | yes | - |")
    rejected = next(line for line in text.splitlines() if line.startswith("| C and Q | "))
    assert rejected.endswith("| blind | HSIC, gamma | - | 2: `ssim`, `confidence` |")
    share = audited.mediation["ssim"].surrogate_share
    assert f"| {share.value:.2f} [{share.low:.2f}, {share.high:.2f}] |" in text
    assert "| doubly_robust | " in text and "E-value" in text
    assert "| `average_confidence` | no map | outputs of the judged network | " in text
    with pytest.raises(InputError, match="needs an audit"):
        record.fill(_PAGE, {"run": _recorded(None)})


def test_what_was_not_done_is_said(audited):
    some = dataclasses.replace(audited, num_images=50, images_of_run=128, transfer=())
    text = _rendered(dataclasses.replace(some, observational=NotDone("too few images")))
    assert "50 images, drawn at random from 128, networks" in text
    assert text.count("Not done: too few images.") == 2
    assert "Not done: no other run was given" in text and "learned on another run" not in text
    unbound = audited.observational._replace(sensitivity=NotDone("9 images for 8 covariates"))
    assert "No sensitivity bound: 9 images for 8 covariates." in _rendered(
        dataclasses.replace(audited, observational=unbound)
    )


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "![x](http://y)", "a|b`c", "# heading", "__init__"])
def test_no_name_is_more_than_text(audited, name):
    given = json.dumps(_golden())
    for known in ("rms_contrast", "scene_cnn_a", "screen"):
        given = given.replace(known, json.dumps(name)[1:-1])
    plain, text = _rendered(audited), _rendered(Audit.from_json(json.loads(given)))
    assert not re.search(r"(?<!\\)" + re.escape(name), re.sub(r"`[^`\n]*`", "", text))
    # Every table keeps its cells.
    bars = [[len(re.findall(r"(?<!\\)\|", line)) for line in one.splitlines()] for one in (plain, text)]
    assert sorted(bars[0]) == sorted(bars[1])


def test_a_damaged_file_is_named(tmp_path):
    assert audit_report.read(tmp_path) is None
    (tmp_path / audit_report.FILE).write_text("{")
    with pytest.raises(InputError, match=r"audit: .*audit\.json cannot be read"):
        audit_report.read(tmp_path)


if __name__ == "__main__":
    (_GOLDEN / "audit.txt").write_text(_rendered(Audit.from_json(_golden())), "utf-8")
