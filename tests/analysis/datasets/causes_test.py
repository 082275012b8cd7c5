"""The composition of causes of scored sets, and the parts of their difference, where the truth is known."""

import jax
import numpy as np
import pyarrow as pa
import pytest

from causal_iqa import pipeline
from causal_iqa.analysis import datasets
from causal_iqa.analysis.datasets import causes
from causal_iqa.report import dataset_words
from tests.analysis.datasets.scored import scored_sets

N = 400
NAMES = ("none", "fog", "motion_blur", "other")
# How a diagnosis that is calibrated under even shares sees an image of each cause.
SEEN = np.asarray([[0.6, 0.2, 0.1, 0.1], [0.2, 0.7, 0.05, 0.05], [0.1, 0.05, 0.8, 0.05], [0.1, 0.05, 0.05, 0.8]])


def _columns(probabilities) -> dict[str, pa.Array]:
    return {
        f"{pipeline.CAUSE_IS}{name}": pa.array(np.asarray(probabilities[:, i], np.float16))
        for i, name in enumerate(NAMES)
    }


def _confused(truth: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities of images of these causes, each seen as one of its cause or by mistake of another."""
    draw = np.random.default_rng(seed)
    seen = np.asarray([draw.choice(len(NAMES), p=SEEN[:, t] / SEEN[:, t].sum()) for t in truth])
    return SEEN[seen] / SEEN[seen].sum(axis=1, keepdims=True)


def _given(probabilities, groups, expected):
    table = pa.table({"group": pa.array(groups, pa.string()), **_columns(probabilities)})
    return table, expected, causes.diagnosed(jax.random.key(0), table, level=0.95)


def test_parts_are_those_of_the_construction():
    day, certain = ["day"] * N, np.eye(4)
    truth = np.repeat([0, 1, 2], [200, 120, 80])
    clean = _given(certain[np.zeros(N, int)], day, np.full(N, 0.9))
    expected = np.repeat([0.9, 0.5, 0.8], [200, 120, 80])
    found = causes.attribute([clean, _given(certain[truth], day, expected)], level=0.95, seed=0)
    parts = dict(zip(found.names, found.values, strict=True))
    assert parts["fog"] == pytest.approx(-0.12, abs=2e-3) and parts["motion_blur"] == pytest.approx(-0.02, abs=1e-3)
    assert found.values.sum() == pytest.approx(found.difference, abs=1e-9)
    # Images without an expectation are left out; without diagnoses nothing is attributed.
    expected[0] = np.nan
    assert causes.attribute([clean, _given(certain[truth], day, expected)], level=0.95, seed=0) is not None
    few = np.where(np.arange(N) < 19, 0.5, np.nan)
    assert causes.attribute([clean, _given(certain[truth], day, few)], level=0.95, seed=0) is None
    assert causes.diagnosed(jax.random.key(0), pa.table({"group": day}), level=0.95) is None
    assert causes.diagnosed(jax.random.key(0), clean[0].slice(0, 19), level=0.95) is None


def test_shares_are_corrected_where_causes_are_taken_for_each_other():
    clean_truth, truth = np.zeros(2000, int), np.repeat([0, 1, 2], [500, 1000, 500])
    day = ["day"] * 2000
    harmed = np.asarray([0.9, 0.5, 0.8])[truth]
    sets = [_given(_confused(clean_truth, 0), day, np.full(2000, 0.9)), _given(_confused(truth, 1), day, harmed)]
    shares = sets[1][2].composition.shares
    assert shares[:3] == pytest.approx([0.25, 0.5, 0.25], abs=0.05)
    likeliest = np.bincount(sets[1][2].probabilities.argmax(axis=1), minlength=4) / 2000
    assert np.abs(likeliest[:3] - [0.25, 0.5, 0.25]).max() > 0.05, "the correction has something to correct"
    found = causes.attribute(sets, level=0.95, seed=0)
    assert found.difference == pytest.approx(-0.225) == found.values.sum()
    # What images of a cause lose goes partly to the causes they are taken for.
    assert -0.2 < dict(zip(found.names, found.values, strict=True))["fog"] < -0.11


def test_shared_groups_are_a_part():
    same, expected = np.eye(4)[np.zeros(N, int)], [np.repeat([0.9, 0.5], counts) for counts in ((300, 100), (100, 300))]
    sets = [
        _given(same, np.repeat(["day", "night"], counts).tolist(), own)
        for counts, own in zip(((300, 100), (100, 300)), expected, strict=True)
    ]
    found = causes.attribute(sets, level=0.95, seed=0)
    assert dict(zip(found.names, found.values, strict=True))["composition of groups"] == pytest.approx(-0.2, abs=5e-3)
    apart = [sets[0], _given(same, ["dusk"] * N, expected[1])]
    found = causes.attribute(apart, level=0.95, seed=0)
    assert dict(zip(found.names, found.values, strict=True))["composition of groups"] == pytest.approx(0.0, abs=1e-9)


def test_the_headline_has_the_corrected_shares_and_few_images_their_likeliest_causes():
    truth = np.repeat([0, 1], [100, 300])
    probabilities = _confused(truth, 2)
    named = np.asarray(NAMES, object)[probabilities.argmax(axis=1)]

    def analysed(rows):
        scored = scored_sets({"a": np.arange(float(len(rows)))}, features=False)
        table = scored.table.drop_columns(["cause"]).append_column("cause", pa.array(named[rows].tolist()))
        for name, values in _columns(probabilities[rows]).items():
            table = table.append_column(name, values)
        return datasets.analyse(scored._replace(table=table), datasets.Request()).findings

    found = analysed(np.arange(400))
    fog, none = found.sets[0].causes[:2]
    assert (fog.name, none.name) == ("fog", "none") and fog.share.low < 0.75 < fog.share.high
    assert fog.likeliest == pytest.approx((named == "fog").mean()) != pytest.approx(fog.share.value, abs=0.02)
    assert f"fog ({100 * fog.share.value:.0f} %)" in dataset_words.headline(found)[0]
    few = analysed(np.arange(95, 105))
    assert np.isnan(few.sets[0].causes[0].share.value) and few.sets[0].causes[0].share.reason
    assert "% of them, the commonest causes are " in dataset_words.headline(few)[0]
