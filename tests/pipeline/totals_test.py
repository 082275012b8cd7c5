"""Totals of scores: exact, the same however the images are shared out, and read back."""

import fractions
import itertools
import json
import math

import numpy as np
import pytest

from causal_iqa import InputError, pipeline


def _values(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n).astype(np.float32) * np.float32(10) ** rng.integers(-20, 20, n).astype(np.float32)
    values[::7] = np.nan
    values[1] = -0.0
    return values


def _totals(values: np.ndarray, name: str = "photos") -> pipeline.Totals:
    return pipeline.Totals({name: pipeline.SetTotals(len(values), 1, {"score": pipeline.Spread.of(values)})})


def test_a_spread_is_that_of_the_values():
    values = _values(0, 500)
    own = values[np.isfinite(values)].astype(np.float64)
    spread = pipeline.Spread.of(values)
    assert (spread.defined, spread.undefined) == (own.size, 500 - own.size)
    assert (spread.lowest, spread.highest) == (own.min(), own.max())
    assert spread.mean == pytest.approx(math.fsum(own) / own.size, rel=1e-15)
    for level in (0.01, 0.3, 0.5, 0.77, 1.0):
        exact = np.quantile(own, level, method="inverted_cdf")
        assert spread.quantile(level) == pytest.approx(exact, rel=1 / 1024)


def test_the_order_of_merging_changes_no_bit():
    parts = [_totals(_values(seed, 40)) for seed in range(6)]
    whole = pipeline.merge_totals(parts)
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 97):
        halves = [pipeline.merge_totals([parts[i] for i in some]) for some in (order[:2], order[2:])]
        assert pipeline.merge_totals(halves) == whole
    one = pipeline.Spread.of(np.concatenate([_values(seed, 40) for seed in range(6)]))
    merged = whole.sets["photos"].scores["score"]
    assert merged._replace(total=one.total) == one
    assert merged.total == pytest.approx(one.total, rel=1e-14)
    assert (whole.sets["photos"].images, whole.sets["photos"].unreadable) == (240, 6)


def test_many_parts_are_merged_in_steps():
    several = [_totals(np.asarray([i], np.float32)) for i in range(1000)]
    merged = pipeline.merge_totals(several).sets["photos"]
    assert merged.images == 1000 and merged.scores["score"].total == fractions.Fraction(499_500)


def test_sets_stay_apart_and_a_set_without_readable_images_counts():
    nothing = pipeline.Totals({"photos": pipeline.SetTotals(0, 3, {})})
    merged = pipeline.merge_totals([nothing, _totals(np.ones(2, np.float32)), _totals(np.ones(1, np.float32), "field")])
    assert {name: (own.images, own.unreadable) for name, own in merged.sets.items()} == {
        "photos": (2, 4),
        "field": (1, 1),
    }


def test_other_scores_are_refused():
    other = pipeline.Totals({"photos": pipeline.SetTotals(1, 0, {"piqe": pipeline.Spread.of(np.ones(1, np.float32))})})
    with pytest.raises(InputError, match="the set 'photos' was scored otherwise in some of them: piqe, score"):
        pipeline.merge_totals([_totals(np.ones(1, np.float32)), other])


def test_runs_that_were_scored_otherwise_or_come_twice_are_refused(tmp_path):
    runs = []
    for name, way in (("a", {"size": "224"}), ("b", {"size": "224"}), ("c", {"size": "32"})):
        (tmp_path / name).mkdir()
        _totals(np.ones(2, np.float32)).of_run(way, [f"images of {name}"]).write(tmp_path / name)
        runs.append(pipeline.Totals.read(tmp_path / name))
    merged = pipeline.merge_totals(runs[:2])
    assert merged.sets["photos"].images == 4 and merged.way == runs[0].way and len(merged.runs) == 2
    with pytest.raises(InputError, match="expected runs that were scored in one way"):
        pipeline.merge_totals(runs)
    for several in ([runs[0], runs[0]], [merged, runs[1]]):
        with pytest.raises(InputError, match="expected each run once"):
            pipeline.merge_totals(several)


def test_totals_are_read_back(tmp_path):
    totals = pipeline.merge_totals([_totals(_values(1, 50)), _totals(np.full(3, np.nan, np.float32), "field")])
    totals.write(tmp_path)
    content = json.loads((tmp_path / pipeline.TOTALS_FILE).read_text())["sets"]
    assert content["field"]["scores"]["score"]["mean"] is None
    again = pipeline.Totals.read(tmp_path)
    assert again.sets["photos"] == totals.sets["photos"]
    assert again.to_json() == totals.to_json(), "not-a-numbers come back, too"
    (tmp_path / pipeline.TOTALS_FILE).write_text("{}")
    with pytest.raises(InputError, match=r"totals\.json cannot be read"):
        pipeline.Totals.read(tmp_path)
    with pytest.raises(InputError, match=r"expected what Totals\.to_json gives"):
        pipeline.Totals.from_json({"photos": {"images": 3}})
