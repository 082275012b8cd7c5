"""What is found of scored sets whose truth is known, and what is said of those that are too small for a number."""

import json

import jax
import numpy as np
import pyarrow as pa
import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.analysis import attribution, datasets
from causal_iqa.analysis.datasets import comparison, distributions, galleries, oddities, values

_COLUMNS = (
    pipeline.Column("free@b", "free@b", "label_free", True, 32, (), {}),
    pipeline.Column("noise_sigma", "noise_sigma", "no_reference", False, 32, (), {}),
)


def scored_sets(sets: dict[str, np.ndarray], *, correct: bool = False, features: bool = True) -> pipeline.Scored:
    """Sets whose images have the given qualities; names of images are numbers in two folders."""
    names = tuple(sets)
    quality = np.concatenate(list(sets.values())).astype(np.float32)
    n = len(quality)
    rng = np.random.default_rng(n)
    ids = [f"{'ab'[i % 2]}/{i}.png" for i in range(n)]
    table = {
        "image_id": pa.array(ids, pa.string()),
        "set": pa.array([name for name, own in sets.items() for _ in own], pa.string()),
        "group": pa.array([name[0] for name in ids], pa.string()),
        "label": pa.array(np.full(n, 0 if correct else -1, np.int32)),
        "position": pa.array(np.arange(n)),
        "width": pa.array(np.full(n, 32, np.int32)),
        "height": pa.array(np.full(n, 32, np.int32)),
        "format": pa.array(["PNG"] * n, pa.string()),
        "one_colour": pa.array(np.zeros(n, bool)),
        "look_across": pa.array(rng.integers(1, 2**63, n, dtype=np.uint64)),
        "look_down": pa.array(rng.integers(1, 2**63, n, dtype=np.uint64)),
        "free@b": pa.array(quality, mask=~np.isfinite(quality)),
        "noise_sigma": pa.array(rng.uniform(size=n).astype(np.float32)),
    }
    if correct:
        table["net/correct"] = pa.array((rng.uniform(size=n) < 0.5).astype(np.float32))
    table |= {"cause": pa.nulls(n, pa.string()), "cause_severity": pa.nulls(n, pa.float32())}
    table |= {"cause_probability": pa.nulls(n, pa.float32()), "undefined": pa.nulls(n, pa.string())}
    kept = {"b": tuple(pipeline.Sample(np.arange(len(x)), np.stack([x, x], 1)) for x in sets.values())}
    return pipeline.Scored(
        pa.table(table), _COLUMNS, names, tuple(map(len, sets.values())), (), kept if features else {}, 32, 1.0,
        ((),) * len(names),
    )  # fmt: skip


def test_two_sets_that_differ_and_two_that_do_not():
    rng = np.random.default_rng(0)
    found = datasets.analyse(
        scored_sets({"train": rng.normal(size=200), "same": rng.normal(size=200), "dark": rng.normal(-1, 1, 200)}),
        datasets.Request(),
    ).findings
    same, dark = found.comparisons
    assert (same.first, same.second, dark.second) == ("train", "same", "dark")
    assert min(same.features.p_value, same.quality.p_value) > 0.01
    assert dark.features.p_value == dark.quality.p_value == pytest.approx(0.001)
    assert dark.superiority.high < 0.4 and same.superiority.low < 0.5 < same.superiority.high
    assert dark.quality.mmd_squared > 0.05 > same.quality.mmd_squared
    assert np.isnan(dark.expected_accuracy.value) and found.cut.matters
    assert found.sets[2].below > 0.15 and found.sets[0].below == pytest.approx(0.05)
    assert json.loads(json.dumps(found.to_json()))["comparisons"][1]["second"] == "dark"


def test_columns_are_percentiles_of_the_set_and_of_the_reference():
    scored = scored_sets({"a": np.arange(10.0), "b": np.asarray([4.5, 100.0, np.nan])}, features=False)
    derived = datasets.analyse(scored, datasets.Request()).derived
    assert derived["percentile"].to_pylist()[:3] == [5.0, 15.0, 25.0]
    assert derived["percentile"].to_pylist()[10:] == [25.0, 75.0, None]
    assert derived["percentile_in_reference"].to_pylist()[10:] == [50.0, 100.0, None]
    assert derived["expected_correct"].null_count == 13
    alone = datasets.analyse(scored_sets({"a": np.arange(10.0)}), datasets.Request()).derived
    assert alone["percentile_in_reference"].null_count == 10


def test_the_score_of_the_headline():
    assert datasets.choose(_COLUMNS) == "free@b"
    assert datasets.choose(_COLUMNS[1:]) == "noise_sigma"
    with pytest.raises(InputError, match="quality: 'free' is not scored; did you mean free@b"):
        datasets.choose(_COLUMNS, "free")
    lower = datasets.quality_of(scored_sets({"a": np.arange(4.0)}), "noise_sigma")
    assert (lower.values <= 0).all() and lower.columns == (("noise_sigma", -1.0),)
    with pytest.raises(InputError, match="reference: no set is called 'x'"):
        datasets.analyse(scored_sets({"a": np.arange(4.0)}), datasets.Request(reference="x"))


@pytest.mark.parametrize("quality", [[1.0], [np.nan, np.nan], [2.0] * 30])
def test_sets_that_are_too_small_have_no_number_that_means_nothing(quality):
    found = datasets.analyse(scored_sets({"a": np.asarray(quality)}), datasets.Request()).findings
    (one,) = found.sets
    assert one.tenths == () or len({tenth.low for tenth in one.tenths}) == 1
    assert np.isnan(one.quality.modes.p_value) and one.quality.edges == ()
    assert any("too few" in line or "same score" in line for line in found.remarks)
    json.dumps(found.to_json(), allow_nan=False)


def test_actual_accuracy_needs_no_map():
    found = datasets.analyse(
        scored_sets({"a": np.arange(100.0)}, correct=True), datasets.Request(accuracy=0.4)
    ).findings
    (network,) = found.sets[0].networks
    assert network.network == "net" and 0.3 < network.actual.low < network.actual.value < network.actual.high < 0.7
    assert np.isnan(network.expected.value) and found.sets[0].thresholds[0].by == "actual"
    assert sum(group.count for group in found.sets[0].groups) == 100


def test_modes_are_found_where_there_are_two():
    rng = np.random.default_rng(0)
    key = jax.random.key(0)
    one = distributions.modes(key, rng.normal(size=800))
    two = distributions.modes(key, np.concatenate([rng.normal(0, 1, 400), rng.normal(6, 1, 400)]))
    assert one.p_value > 0.05 and one.places == ()
    assert two.p_value <= 0.01 and two.places == pytest.approx((0, 6), abs=0.6) and 2 < two.valley < 4
    assert np.isnan(distributions.modes(key, np.ones(100)).p_value)


def test_one_mode_is_kept_at_the_level():
    rng = np.random.default_rng(1)
    keys = jax.random.split(jax.random.key(1), 40)
    refused = sum(distributions.modes(key, rng.normal(size=300)).p_value < 0.05 for key in keys)
    assert refused <= 5


def test_odd_images_and_copies():
    scored = scored_sets({"a": np.arange(8.0), "b": np.arange(2.0)})
    table = scored.table.to_pydict()
    table["width"] = [32, 1, 200, 32, 16, 32, 32, 32, 32, 32]
    table["height"] = [32, 1, 20, 32, 16, 32, 32, 32, 32, 32]
    table["one_colour"] = [False] * 3 + [True] + [False] * 6
    table["look_across"][6] = table["look_across"][5] ^ 3
    table["look_down"][6] = table["look_down"][5]
    table["look_across"][8], table["look_down"][8] = table["look_across"][0], table["look_down"][0]
    table = pa.table(table, schema=scored.table.schema)
    kinds = oddities.kinds_of(table, 32, 1.0)
    found = {odd.kind: odd.rows for odd in oddities.listed(kinds)}
    assert found == {
        oddities.ONE_PIXEL: (1,), oddities.ONE_COLOUR: (3,), oddities.EXTREME: (2,), oddities.ENLARGED: (1, 2, 4),
    }  # fmt: skip
    words = oddities.reasons(kinds).to_pylist()
    assert words[0] is None and words[2] == f"{oddities.EXTREME}; {oddities.ENLARGED}"
    copies = oddities.find_copies(table, np.repeat([0, 1], [8, 2]), np.zeros(10, bool))
    assert copies.count == 2 and copies.across == 1 and sorted(copies.groups) == [(0, 8), (5, 6)]
    assert np.flatnonzero(copies.is_copy).tolist() == [6, 8]


def test_no_image_is_shown_twice():
    quality = np.asarray([3.0, np.nan, 1.0, 2.0, 0.0])
    found = galleries.pick("a", None, np.arange(5) + 10, quality, num=2)
    assert (found.worst, found.typical, found.best) == ((14, 12), (), (10, 13))
    assert galleries.pick("a", None, np.arange(1), np.ones(1), num=2)[2:] == ((0,), (), ())


def test_superiority_has_the_level_of_its_interval():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        found = comparison.superiority(rng.normal(size=60), rng.normal(0.5, 1, 60), level=0.9)
        inside += found.low <= 0.6382 <= found.high  # Phi(.5 / sqrt(2))
    assert 165 <= inside <= 195
    assert comparison.superiority(np.zeros(5), np.zeros(5), level=0.9).value == 0.5


def test_shares():
    assert values.share(0, 10, level=0.95)[:2] == (0.0, 0.0)
    assert values.share(0, 10, level=0.95).high == pytest.approx(0.2775, abs=1e-3)  # Wilson, 0 of 10
    assert np.isnan(values.share(0, 0, level=0.95).value)


def test_findings_are_read_as_they_were_written():
    scored = scored_sets({"a": np.asarray([*range(40), np.nan]), "b": np.arange(3.0)}, correct=True)
    found = datasets.analyse(scored, datasets.Request(accuracy=0.4)).findings
    parts = attribution.Attribution(("fog", "rest"), *np.asarray([[0.1, np.nan]] * 4), 0.5, 0.6)
    compared = found.comparisons[0]._replace(parts=parts)
    where = datasets.MapFacts("run", "scenes", "free@b", ("net",), 400, 12, 0.9, np.nan)
    copies = datasets.Copies(2, 1, ((0, 8),), np.ones(44, bool))
    found = found._replace(comparisons=(compared,), map=where, odd=(datasets.Odd("small", 2, (1, 4)),), copies=copies)
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["odd"] == {"small": 2} and written["copies"] == {"count": 2, "groups_across_sets": 1}
    assert written["schema"] == 1 and "galleries" not in written
    again = datasets.DatasetFindings.from_json(written)
    assert again.to_json() == written
    assert again.odd == (datasets.Odd("small", 2, ()),) and again.copies[:3] == (2, 1, ()) and again.galleries == ()
    assert np.isnan(again.map.transfer_error) and again.sets[0].formats == (("PNG", 41),)
    np.testing.assert_array_equal(again.comparisons[0].parts.low, parts.low)
    of_file = {**written, "skipped": [], "num_below_threshold": 3}
    assert datasets.DatasetFindings.from_json(of_file).to_json() == written
    for change, message in (
        ({"schema": 2}, r"findings: written by another version .*run causal-iqa score again"),
        ({"more": 1}, "findings: unknown field 'more'"),
        ({"cut": {"score": None, "why": 1, "matters": True}}, r"findings\.cut\.why: expected text, got 1"),
        ({"odd": {"small": "two"}}, r"findings\.odd\.small: expected a whole number"),
    ):
        with pytest.raises(InputError, match=message):
            datasets.DatasetFindings.from_json({**written, **change})
