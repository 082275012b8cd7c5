"""A name that a user gave is text wherever it is shown: in figures, on the page, in recorded tables."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import copy
import html.parser
import re

import numpy as np
import pytest

from causal_iqa import alignment, causal
from causal_iqa.report import figures, record, tables
from causal_iqa.report import html as page
from tests.report.record_test import CONFIG, SUMMARY, _page

_HOSTILE = (
    "<script>alert(1)</script>",
    "$\\frac{1$",
    "_hidden",
    "a|b`c`<img src=x onerror=alert(1)>",
    "<!-- end -->",
    "[click](javascript:alert(1))",
    "x\n## heading",
)


class _Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def _tags(text):
    parser = _Parser()
    parser.feed(text)
    return parser.found


@pytest.mark.parametrize("name", _HOSTILE)
def test_figures_draw_any_name(name):
    one = alignment.Estimate(0.5, 0.4, 0.6)
    numbers = alignment.Alignment(one, one, one, one)
    drawn = figures.alignment_bars([tables.Row(name, "label_free", numbers)], title=name)
    assert figures.png(drawn).startswith(b"\x89PNG")
    dose = causal.dose_response(np.random.default_rng(0).normal(size=(2, 6)), ["fog", "fog"], [1.0, 2.0])
    drawn = figures.dose_response({name: dose, "other": dose}, title=name)
    assert figures.png(drawn).startswith(b"\x89PNG")
    assert len(drawn.legends[0].get_texts()) == 2
    quality = {name: np.array([0.1, 0.2])}
    drawn = figures.accuracy_against_quality(quality, np.array([0.5, 0.6]), ["fog", "fog"], [1.0, 2.0], title=name)
    assert figures.png(drawn).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", _HOSTILE)
def test_the_page_escapes_any_name(name):
    sections = [page.Section(name, [page.Text(name), page.Text(name, fixed=True)])]
    tags = {tag for tag, _ in _tags(page.page(name, sections))}
    assert tags == {"html", "head", "meta", "title", "style", "body", "h1", "section", "h2", "p", "pre"}


@pytest.mark.parametrize("name", _HOSTILE)
def test_recorded_tables_escape_any_name(name):
    # A copy: the summary is that of other tests.
    metrics = {f"stages_{name}": copy.deepcopy(SUMMARY["metrics"]["stages_free@b"]), name: SUMMARY["metrics"]["ssim"]}
    for number in ("within", "corrected"):
        metrics[f"stages_{name}"]["gains"]["best_conventional"][number]["best"] = name
    summary = SUMMARY | {
        "metrics": metrics,
        "networks": {name: {"clean_accuracy": None}},
        "notes": [f"too few images ({name})"],
        "predicted_accuracy": {name: SUMMARY["predicted_accuracy"]["ssim"]},
    }
    config = CONFIG | {"dataset": f"folder:{name}", "backbones": [{"name": name}]}
    names = ("headline", "alignment", "gains", "anchors", "accuracy", "settings")
    filled = record.fill(_page(*names), {"run": record.Recorded.of(summary, config)})
    outside = re.sub(r"`[^`]*`", "", filled)
    assert _tags(re.sub(r"<!-- (run/\w+|end) -->", "", outside)) == []
    assert filled.count("<!-- end -->") == len(names)
    assert "](javascript" not in outside and "\n## " not in filled
    # Filled again it is the same: no name ends a place.
    assert record.fill(filled, {"run": record.Recorded.of(summary, config)}) == filled
    for line in filled.splitlines():
        if line.startswith("| ") and "clean_image" not in line:
            assert len(re.findall(r"(?<!\\)\|", line)) in (5, 6, 7)
