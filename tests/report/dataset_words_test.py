"""What is found of scored sets, in sentences."""

import math

import numpy as np

from causal_iqa.analysis import datasets
from causal_iqa.report import dataset_words
from tests.analysis.datasets.scored import scored_sets


def test_numbers_and_what_is_undefined():
    assert dataset_words.percent(0.1234) == "12.3 %" and dataset_words.percent(math.nan) == "-"
    assert dataset_words.percent(0.1234, 0) == "12 %" and dataset_words.number(1.23456) == "1.235"
    assert dataset_words.count(1, "image") == "1 image" and dataset_words.count(12345, "image") == "12,345 images"
    assert dataset_words.count(2, "image looks", "images look") == "2 images look"
    estimate = datasets.ReasonedEstimate(0.761, 0.702, 0.82)
    assert dataset_words.interval(estimate) == "76.1 % [70.2, 82.0]"
    assert dataset_words.interval(datasets.ReasonedEstimate(math.nan, math.nan, math.nan)) == "-"


def _found(sets):
    return datasets.analyse(scored_sets(sets), datasets.Request()).findings


def test_each_set_and_each_comparison_has_its_sentence():
    rng = np.random.default_rng(0)
    found = _found({"train": rng.normal(size=80), "dark": rng.normal(-2, 1, 80)})
    said = dataset_words.headline(found)
    assert said[0].startswith("train: 80 images") and said[1].startswith("dark: 80 images")
    assert any(line.startswith("dark against train: ") and " differ (p = " in line for line in said)
    assert said[-1] == dataset_words.WITHOUT_MAP
    hardly = dataset_words.headline(found._replace(family="no_reference"))
    assert hardly[-1] == dataset_words.HARDLY


def test_a_set_without_a_score_says_so():
    found = _found({"a": np.full(3, np.nan)})
    assert dataset_words.headline(found)[0] == "a: 3 images; none has a score."


def test_the_terminal_ends_with_what_lies_where():
    found = _found({"a": np.arange(30.0)})
    text = dataset_words.terminal(found, "out", ["index.html (the page)"])
    assert text.splitlines()[-1] == "results: out (index.html (the page))"
    assert "results" not in dataset_words.terminal(found, None, [])
    assert all(f"note: {line}" in text for line in found.remarks)
