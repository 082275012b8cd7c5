"""A run arranged for the audit, and names and numbers on their way into records."""

import math

import numpy as np

from causal_iqa.analysis import findings, rows
from causal_iqa.analysis.audit import data
from tests.analysis import worlds


def test_a_run_is_arranged():
    run = worlds.run()
    own = rows.image_rows(run.config, run.columns, run.table, whole=False)
    found = data.gather(run, findings.analyse_images(run.config, own))
    assert found.names == tuple(condition.name for condition in worlds.CONDITIONS[1:])
    assert found.degradations == ("fog", "fog", "contrast", "contrast") and found.severities.tolist() == [1, 4, 1, 4]
    np.testing.assert_allclose(found.outcomes["accuracy"], own.performance["all"])
    np.testing.assert_array_equal(found.rows["a/correct"], run.table.columns["a/correct"][1:])
    np.testing.assert_allclose(found.clean["accuracy"], own.clean_performance["all"])
    assert "accuracy" not in found.metrics and "noise" in found.metrics
    assert found.num_resamples == 20 and found.clusters is None


def test_some_images_are_taken_from_everything():
    whole = worlds.audit_data()._replace(clusters=np.arange(60) // 2)
    part = whole.take(np.array([5, 2]))
    assert part.clusters is not None and part.clusters.tolist() == [2, 1] and len(part.labels) == 2
    np.testing.assert_array_equal(part.outcomes["good"], whole.outcomes["good"][:, [5, 2]])
    np.testing.assert_array_equal(part.clean["good"], whole.clean["good"][[5, 2]])
    np.testing.assert_array_equal(part.rows["a/correct"], whole.rows["a/correct"][:, [5, 2]])


def test_names_of_nodes_and_numbers():
    assert data.node_name("free@A+B[m=50]/x") == "free_A_B_m_50__x"
    assert math.isnan(data.number(np.inf)) and data.number(np.float32(2)) == 2.0
    found = data.each((np.array([1.0, np.nan]), np.array([0.0, 0.0]), np.array([2.0, 3.0])))
    assert found[0] == (1.0, 0.0, 2.0) and math.isnan(found[1].value) and found[1].high == 3.0
    assert data.each((1.0, 0.5, 2.0)) == (data.interval((1.0, 0.5, 2.0)),)
