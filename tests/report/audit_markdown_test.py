"""The audit as Markdown: its sections, and shares only where they are shares."""

import dataclasses
import math

from causal_iqa import causal
from causal_iqa.report import audit_markdown


def test_every_section_is_there_once_and_figures_last(golden):
    text = audit_markdown.markdown(golden, ["figures/a.png"])
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(heads) == len(set(heads)) and heads[0] == "## Desiderata" and heads[-1] == "## Figures"
    assert text.endswith("![figures/a.png](figures/a.png)\n") and "Figures" not in audit_markdown.markdown(golden)
    for metric in golden.desiderata:
        assert metric.replace("_", "") in text.replace("\\", "").replace("_", "")


def test_a_sample_of_the_images_is_said(golden):
    some = dataclasses.replace(golden, num_images=5, images_of_run=9, warnings=("a <b>",))
    text = audit_markdown.markdown(some)
    assert "5 images, drawn at random from 9" in text and "Warning: a " in text and "<b>" not in text


def test_a_share_that_is_none_gives_way_to_its_reason(golden):
    one = next(iter(golden.mediation.values()))
    nothing = causal.Estimate(math.nan, math.nan, math.nan)
    cells = audit_markdown.split(one._replace(share=nothing, share_reason="too small", surrogate_reason=""))
    assert len(cells) == len(audit_markdown.SPLIT_HEAD) and cells[4] == "too small"
