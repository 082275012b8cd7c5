"""What findings show in a notebook: the numbers in a table, escaped, written by a room that is loaded when asked."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from causal_iqa import causal, pipeline
from causal_iqa._score import ScoredImages
from causal_iqa.alignment import Alignment, Estimate
from causal_iqa.analysis import datasets, findings, parts
from causal_iqa.analysis.audit import Audit
from causal_iqa.report import notebook
from tests.analysis.datasets.scored import scored_sets

_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "audit.json"
_ALL = pipeline.ALL_NETWORKS


def _rows(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in rows]


def _found(values):
    """Findings of metrics with these numbers."""
    alignments = {name: {_ALL: Alignment(*[Estimate(x, x - 0.05, x + 0.05)] * 3)} for name, x in values.items()}
    families = dict.fromkeys(values, "full_reference")
    return findings.Findings((), families, {}, {}, {}, alignments, {}, {}, {})


def test_findings_show_the_metrics_best_first():
    found = dataclasses.replace(
        _found({"psnr": 0.3, "<b>": 0.5}), failures=(parts.Failure("gains", "a < b", "Traceback"),)
    )
    html = found._repr_html_()
    head, first, second = _rows(html)
    assert head == ["metric", "family", "between", "corrected", "within", "pooled"]
    assert first == ["&lt;b&gt;", "full reference", ".50 [.45, .55]", "-", ".50 [.45, .55]", ".50 [.45, .55]"]
    assert second[0] == "psnr" and "<b>" not in html
    assert "missing: gains: a &lt; b</p>" in html and "Traceback" not in html


def test_many_metrics_are_cut_and_counted():
    html = _found({f"m{i}": i / 100 for i in range(notebook.MOST_ROWS + 2)})._repr_html_()
    assert len(_rows(html)) == 1 + notebook.MOST_ROWS and "<p>and 2 more</p>" in html


def test_an_audit_shows_its_verdicts():
    audited = Audit.from_json(json.loads(_GOLDEN.read_text("utf-8")))
    html = dataclasses.replace(audited, warnings=("<script>",), networks=("a", "<i>"))._repr_html_()
    head, *rows = _rows(html)
    assert head == ["metric", "sensitive", "aligned", "free standing", "prior"]
    assert [row[0] for row in rows] == list(audited.desiderata)
    verdicts = [one.in_words(audited.num_images) for one in audited.verdicts()["ssim"]]
    assert rows[list(audited.desiderata).index("ssim")][1:] == verdicts
    assert "warning: &lt;script&gt;" in html and "2 networks: a, &lt;i&gt;" in html
    assert len(causal.Desiderata._fields) == len(head) - 1


def test_scored_sets_show_a_row_each():
    scored = scored_sets({"old": np.arange(60.0), "<b>": np.asarray([1.0, np.nan])})
    found = datasets.analyse(scored, datasets.Request(threshold=30.0)).findings
    html = found._repr_html_()
    head, *rows = _rows(html)
    assert head == ["set", "images", "with a score", "mean free@b", "below the threshold"]
    assert rows == [["old", "60", "60", "29.5", "50.0 %"], ["&lt;b&gt;", "2", "1", "1", "100.0 %"]]
    where = datasets.MapFacts("run", "scenes", "free@b", ("net",), 400, 12, 0.9, 0.1)
    sets = (found.sets[0]._replace(expected=datasets.ReasonedEstimate(0.75, 0.7, 0.8)),)
    head, row = _rows(found._replace(map=where, sets=sets)._repr_html_())
    assert (head[-1], row[-1]) == ("expected accuracy", "75.0 % [70.0, 80.0]")
    assert "<b>" not in html and "<p>The threshold is free@b = 30: " in html
    whole = ScoredImages(pa.table({}), found, ("no map & no labels",), (), scored, (), datasets.Found(found, {}))
    assert whole._repr_html_() == f"<p>no map &amp; no labels</p>{html}"


def test_what_is_no_finding_has_no_table():
    with pytest.raises(TypeError, match="found: expected findings or an audit, got dict"):
        notebook.as_html({})


def test_findings_are_made_without_the_room_that_shows_them():
    program = "import sys; from causal_iqa.analysis import calls; assert 'causal_iqa.report' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
