"""The audit of images in groups: graph tests take one image of each, and reject true nulls as often as they say."""

import numpy as np
import pytest

from causal_iqa import causal, pipeline
from causal_iqa.analysis.audit import NotDone, graphs, observational
from causal_iqa.analysis.audit.data import AuditData
from causal_iqa.report import audit_observational

_CONDITIONS, _GROUPS, _IN_GROUP, _METRICS = 4, 60, 6, 80
_NULL = causal.Independence("M", "Q", frozenset({"C"}))


@pytest.fixture(scope="module")
def grouped():
    return _grouped(_GROUPS, _IN_GROUP, _METRICS)


def _grouped(num_groups, in_group, num_metrics):
    """Scores and performance that share nothing, each with an effect of the group (a video) on all of its images."""
    rng = np.random.default_rng(0)
    clusters = rng.permutation(np.repeat(np.arange(num_groups), in_group))

    def table():
        scene = rng.normal(size=num_groups)[clusters]
        return scene + rng.normal(size=(_CONDITIONS, len(clusters))) - np.arange(_CONDITIONS)[:, None]

    names = [f"score{i}" for i in range(num_metrics)]
    outcomes = {name: table() for name in (pipeline.ACCURACY.key, *names)}
    return AuditData(
        config=pipeline.StudyConfig(performance="table.csv"),
        families=dict.fromkeys(names, "no_reference"),
        degradations=("fog",) * _CONDITIONS,
        severities=np.arange(1.0, 1 + _CONDITIONS),
        names=tuple(f"fog/{i}" for i in range(1, 1 + _CONDITIONS)),
        labels=rng.integers(0, 3, len(clusters)),
        outcomes=outcomes,
        clean={name: values[0] + 1 for name, values in outcomes.items()},
        rows={},
        clusters=clusters,
    )


@pytest.fixture
def only_the_null(monkeypatch):
    monkeypatch.setattr(graphs, "_statements", lambda data, *_: {None: [], **{one: [_NULL] for one in data.metrics}})
    monkeypatch.setattr(graphs, "_verdicts", lambda *_: {})


def _rejected(tested, level=0.1):
    return np.mean([test.p_value <= level for test in tested.tests])


def test_groups_are_no_crowd_of_independent_images(grouped, only_the_null):
    as_images = graphs.graph_tests(grouped._replace(clusters=None), {})
    as_groups = graphs.graph_tests(grouped, {})
    assert len(as_groups.tests) == _METRICS == len(as_images.tests)
    # .1 is expected of both if their null is right; a share of 80 p-values has a standard error of .034.
    assert _rejected(as_images) > 0.3 and _rejected(as_groups) < 0.2
    assert {test.num_rows for test in as_groups.tests} == {_CONDITIONS * _GROUPS}
    assert "one image of each of 60 groups" in as_groups.design and "groups" not in as_images.design


def test_one_image_of_each_group_still_sees_dependence(grouped, only_the_null):
    outcomes = dict(grouped.outcomes)
    outcomes["score0"] = outcomes[grouped.measure.key] + np.random.default_rng(1).normal(size=outcomes["score0"].shape)
    (test, *_) = graphs.graph_tests(grouped._replace(outcomes=outcomes), {}).tests
    assert test.p_value < 1e-3


def test_steps_of_severity_take_each_group_as_one_observation(grouped):
    name = "score0"
    alone, together = (graphs.falls(data, name)["fog"] for data in (grouped._replace(clusters=None), grouped))
    assert together.p_value > alone.p_value
    width = [one.smallest.high - one.smallest.low for one in (alone, together)]
    assert width[0] > 0 and width[1] > 0
    kept = graphs._independent_images(grouped)
    assert sorted(grouped.clusters[kept]) == list(range(_GROUPS))
    assert grouped.take(kept).clusters.tolist() == grouped.clusters[kept].tolist()


def test_the_observational_study_draws_groups_together():
    data = _grouped(20, 18, 1)
    alone, together = (observational.observational_study(one) for one in (data._replace(clusters=None), data))
    assert not isinstance(alone, NotDone) and not isinstance(together, NotDone)
    assert (alone.num_groups, together.num_groups) == (None, 20)
    method = together.method
    width = [np.mean([x.high - x.low for x in one.performance.methods[method].mean]) for one in (alone, together)]
    # Half of the variance is the group's, so that a mean over 20 groups varies more than one over 360 images.
    assert width[1] > 1.2 * width[0]
    assert together.performance.methods[method].mean_absolute_error == pytest.approx(
        alone.performance.methods[method].mean_absolute_error
    )
    first, second = alone.sensitivity, together.sensitivity
    assert not isinstance(first, NotDone) and not isinstance(second, NotDone)
    assert first.value == second.value and first.standard_error != second.standard_error
    said = "\n".join(audit_observational.study(together, data.measure))
    assert "of 20 groups, which the intervals draw whole" in said
    assert "groups" not in "\n".join(audit_observational.study(alone, data.measure))
