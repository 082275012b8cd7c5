"""A part of an analysis that fails is named, and costs nothing but itself."""

import json
import pathlib

import jax
import numpy as np
import pytest

from causal_iqa import alignment, causal, pipeline
from causal_iqa.analysis import findings, network_outputs, parts, sets
from causal_iqa.pipeline import Column
from causal_iqa.report import study

_CONDITIONS = (
    pipeline.Condition(pipeline.CLEAN, 0.0),
    *(pipeline.Condition(name, severity) for name in ("fog", "contrast", "snow") for severity in (2.0, 4.0)),
)
_IMAGES = 24


@pytest.fixture(scope="module")
def config():
    return pipeline.StudyConfig(networks=(pipeline.NetworkChoice("one", "scene_cnn_a"),), num_resamples=10)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(_CONDITIONS), _IMAGES)) - np.arange(len(_CONDITIONS))[:, None]
    columns = {
        "one/correct": x + rng.normal(size=x.shape) > -2,
        "one/confidence": 1 / (1 + np.exp(-x)),
        "good": x,
        "odd": -x,
    }
    return pipeline.ScoreTable(
        tuple(f"{i}" for i in range(_IMAGES)),
        np.arange(_IMAGES) % 3,
        _CONDITIONS,
        {name: np.asarray(values, np.float32) for name, values in columns.items()},
        {},
        (),
        {"columns": {"good": {}, "odd": {}}},
    )


_COLUMNS = tuple(Column(name, name, "no_reference", True, 32, ("one",), {}) for name in ("good", "odd"))


def _failing(original, broken):
    """A function of many metrics that cannot do some."""

    def compute(first, second, *rest, **options):
        by_metric = first if isinstance(first, dict) else second
        if broken & set(by_metric):
            raise ValueError(f"cannot do {sorted(broken)}")
        return original(first, second, *rest, **options)

    return compute


def test_each_loses_only_the_unfit():
    doing = parts.Parts()

    def invert(some):
        return {key: 1 / value for key, value in some.items()}

    assert doing.each("inverses", invert, {"a": 1, "b": 0, "c": 4}) == {"a": 1.0, "c": 0.25}
    assert [(one.part, one.reason) for one in doing.failures] == [
        ("inverses of b", "ZeroDivisionError: division by zero")
    ]
    assert "ZeroDivisionError" in doing.failures[0].trace and "invert" in doing.failures[0].trace
    assert doing.attempt("a sum", lambda: sum([1, None]), 7) == 7
    assert len(doing.failures) == 2
    with pytest.raises(KeyboardInterrupt):
        doing.attempt("a signal", lambda: (_ for _ in ()).throw(KeyboardInterrupt()), None)


@pytest.mark.parametrize(
    ("room", "function", "lost"),
    [
        (alignment, "bootstrap", "intervals of odd"),
        (alignment, "measure_intervals", "further measures of odd"),
        (findings.predictions, "predict", "predicted performance of odd"),
    ],
)
def test_a_metric_that_cannot_be_done_leaves_the_others(config, table, room, function, lost, monkeypatch, tmp_path):
    monkeypatch.setattr(room, function, _failing(getattr(room, function), {"odd"}))
    found = findings.analyse(config, _COLUMNS, table)
    assert [one.part for one in found.failures] == [lost]
    assert "good" in found.alignments and "good" in found.measures and "good" in found.predicted
    (tmp_path / "figures").mkdir()
    text = study.write(tmp_path, config, table, found, {})
    assert f"warning: {lost} is missing (ValueError: cannot do ['odd'])\n" in text
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["failed"] == [{"part": lost, "reason": "ValueError: cannot do ['odd']"}]
    assert summary["metrics"]["good"]["alignment"]["all"]["pooled"]["rho"] is not None
    assert lost in (tmp_path / "report.html").read_text()
    assert "Traceback" in (tmp_path / study.ERRORS).read_text()


@pytest.mark.parametrize(
    ("room", "function"),
    [
        (network_outputs, "gather"),
        (network_outputs, "add_alignments"),
        (sets, "image_shares"),
        (sets, "align_sets"),
        (alignment, "permutation_null"),
        (alignment, "compare"),
        (findings.causal, "average_effects"),
        (findings.causal, "judge"),
        (study.figures, "alignment_bars"),
        (study.figures, "accuracy_against_quality"),
        (study.figures, "dose_response"),
        (study.tables, "gains_table"),
        (study.accuracy, "accuracy_table"),
    ],
)
def test_whatever_fails_the_table_the_summary_and_the_page_are_there(
    config, table, room, function, monkeypatch, tmp_path
):
    def broken(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(room, function, broken)
    (tmp_path / "figures").mkdir()
    (tmp_path / study.ERRORS).write_text("of an earlier analysis")
    text = study.write(tmp_path, config, table, findings.analyse(config, _COLUMNS, table), {})
    assert all(name in text for name in ("good", "odd", "between"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["metrics"]["good"]["alignment"]["all"]["between"]["rho"] is not None
    assert "<html" in (tmp_path / "report.html").read_text()
    if function not in ("gains_table",):  # There are no gains without a new metric, so nothing fails.
        assert summary["failed"][0]["reason"] == "RuntimeError: broken"
        assert "broken" in (tmp_path / study.ERRORS).read_text()


def test_the_parts_of_an_analysis_are_told_in_order(config, table, tmp_path):
    told = []
    found = findings.analyse(config, _COLUMNS, table, progress=lambda part, done, total: told.append(part))
    assert tuple(dict.fromkeys(told)) == findings.PARTS
    (tmp_path / "figures").mkdir()
    (tmp_path / study.ERRORS).write_text("of an earlier analysis")
    study.write(tmp_path, config, table, found, {})
    assert not pathlib.Path(tmp_path / study.ERRORS).exists()


def test_no_two_procedures_draw_from_one_key(config, table, monkeypatch):
    """Bootstrap, permutation null, measures, halves and effects once shared the key of the seed itself."""
    seen = {}

    def watch(room, name):
        original = getattr(room, name)

        def watched(key, *arguments, **options):
            one = key[0] if isinstance(key, tuple) else key
            seen.setdefault(name, set()).add(tuple(np.asarray(jax.random.key_data(one)).tolist()))
            return original(key, *arguments, **options)

        monkeypatch.setattr(room, name, watched)

    for name in ("bootstrap", "resample_conditions", "measure_intervals", "permutation_null", "half_samples"):
        watch(alignment, name)
    watch(causal, "average_effects")
    watch(sets, "align_sets")
    found = findings.analyse(config, _COLUMNS, table)
    assert found.failures == () and len(seen) == 7
    keys = [key for own in seen.values() for key in own]
    assert len(keys) == len(set(keys)) == 7
    assert tuple(np.asarray(jax.random.key_data(jax.random.key(config.seed))).tolist()) not in keys
