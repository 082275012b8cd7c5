"""The page of a study: the best metric of each family, and pictures of what the conditions do."""

import dataclasses

import numpy as np
import pytest

from causal_iqa import alignment
from causal_iqa.analysis import Findings
from causal_iqa.analysis.networks import judged_networks
from causal_iqa.estimates import Estimate
from causal_iqa.report import study_page
from tests.analysis import worlds


def _aligned(value):
    interval = Estimate(value, value - 0.1, value + 0.1)
    return {"all": alignment.Alignment(interval, interval, interval)}


@pytest.fixture
def found():
    values = {"free": 0.8, "other": 0.5, "psnr": 0.4, "entropy": np.nan}
    families = {"free": "label_free", "other": "label_free", "psnr": "full_reference", "entropy": "no_reference"}
    return Findings(
        (), families, {}, {}, {"all": np.zeros((4, 9))}, {name: _aligned(value) for name, value in values.items()},
        {}, {}, {},
    )  # fmt: skip


def test_the_best_of_a_family_is_that_with_the_largest_pooled_number(found):
    assert study_page.best_of(found, "label_free") == "free" and study_page.best_of(found, "full_reference") == "psnr"
    assert study_page.best_of(found, "no_reference") is None and study_page.best_of(found, "task_guided") is None


def test_sentences_name_it_with_its_numbers_and_the_networks(found):
    judged = judged_networks(worlds.CONFIG, worlds.table(), 2)
    said = study_page.sentences(found, judged, level=0.95)
    assert said[0].startswith("Of the scores that need neither a label nor a pristine image, free predicts correctness")
    assert "psnr" in said[1] and not any("entropy" in line for line in said)
    assert said[-1].startswith("Accuracy on the clean images and under the conditions: a ")


def test_sections_hold_what_there_is(found):
    first = study_page.first_section(found, (), (), level=0.95)
    assert first.title == "Which metric to use" and len(first.parts) == 3
    moved = dataclasses.replace(found, like_these=found.like_these._replace(alignments=found.alignments))
    assert len(study_page.first_section(moved, (), (), level=0.95).parts) == 4
    assert study_page.samples_section(()) == []
    pixels = np.zeros((200, 100, 3), np.uint8)
    (section,) = study_page.samples_section([("clean", pixels), ("fog/3", pixels[:8, :8])])
    pictures = section.parts[0].pictures  # pyright: ignore[reportAttributeAccessIssue]
    assert [(one.width, one.height) for one in pictures] == [(80, 160), (8, 8)]
    assert (pictures[0].image or b"")[:2] == b"\xff\xd8" and (pictures[1].image or b"")[:4] == b"\x89PNG"


def test_networks_are_shown_under_every_condition():
    judged = judged_networks(worlds.CONFIG, worlds.table(), 2)
    section = study_page.networks_section(judged, ["odd"])
    text = str(section.parts)
    assert "Under each of 5 conditions" in text and "warning: odd" in text
