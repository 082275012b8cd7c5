"""Estimators of whole sets: what the table has the outputs for, on all images and on halves."""

import numpy as np
import pytest

from causal_iqa import estimators
from causal_iqa.analysis import set_scores
from tests.analysis import worlds

_ORDER = (1, 2, 3, 4, 0)


def _outputs(seed=0, n=worlds.NUM_IMAGES):
    logits = np.random.default_rng(seed).normal(size=(5, n, 3))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    classes = np.argsort(-log_p, axis=-1)
    return np.take_along_axis(log_p, classes, axis=-1), classes


def test_outputs_come_in_the_order_that_is_asked():
    log_p, classes = _outputs()
    fields = {"log_probabilities": log_p, "classes": classes, "head_log_probabilities": log_p, "head_classes": classes}
    kept = set_scores.kept_outputs({"a": fields, "eye": {"features": log_p}}, _ORDER, np.zeros(40, int), None)
    assert set(kept.networks) == set(kept.heads) == {"a"}
    np.testing.assert_array_equal(kept.networks["a"].log_probabilities[-1], log_p[0])
    assert kept.networks["a"].num_classes == 3
    part = set_scores.part_of(kept.networks["a"], 1, np.array([4, 2]))
    np.testing.assert_array_equal(part.classes, classes[2, [4, 2]])


def test_classes_beyond_those_kept_count():
    log_p, classes = _outputs()
    fields = {"log_probabilities": log_p, "classes": classes, "power_sums": np.ones((5, 40, 2))}
    labels = np.full(40, 9)
    assert set_scores.kept_outputs({"a": fields}, _ORDER, labels, None).networks["a"].num_classes == 10
    assert set_scores.kept_outputs({"a": fields}, _ORDER, labels, 100).networks["a"].num_classes == 100


def test_every_estimator_of_sets_that_has_its_inputs_is_there():
    log_p, classes = _outputs()
    kept = {"a": estimators.KeptOutputs(log_p[list(_ORDER)], classes[list(_ORDER)], 3, None)}
    table = worlds.table()
    found = {one.name: one for one in set_scores.set_scores(("a",), table, _ORDER, kept, table.labels)}
    assert {"nuclear_norm", "leep", "log_me@eye", "h_score@eye"} <= set(found)
    assert "dispersion" not in found, "no embedding was kept"
    unlabelled = set_scores.set_scores(("a",), table, _ORDER, kept, np.full(40, -1))
    assert not {"leep", "log_me@eye"} & {one.name for one in unlabelled}
    values = set_scores.on_halves(found["nuclear_norm"], np.arange(40).reshape(2, 20), 4)
    dense = estimators.dense(np.exp(log_p[1, :20]), classes[1, :20], 3)
    assert values.shape == (3, 4)
    assert values[1, 0] == pytest.approx(float(estimators.TABLE["nuclear_norm"].fn(dense[None])[0]))


def test_images_without_outputs_are_left_out_of_a_set():
    defined = np.array([[True, True, False], [False, False, False]])
    one = set_scores.SetScore("mean", ("a",), "own", defined, lambda c, images: images.mean(axis=1))
    values = set_scores.on_halves(one, np.array([[0, 1], [1, 2]]), 2)
    np.testing.assert_array_equal(values, [[0.5, np.nan], [0.5, np.nan], [1.0, np.nan]])


def test_lines_are_fitted_on_the_partner_and_the_other_degradations():
    halves = np.array([[0, 1], [2, 3]])
    rng = np.random.default_rng(0)
    accuracy = np.repeat(rng.uniform(size=(4, 1)), 4, axis=1)  # The same for every image: halves agree.
    values = np.stack([2 * accuracy[:, 0] - 1] * 3)
    found = set_scores.regressed({"e": {"a": values}}, halves, {"a": accuracy}, ("fog", "fog", "blur", "blur"))
    np.testing.assert_allclose(found["e"]["a"], accuracy[:, 0], atol=1e-9)
    assert set_scores.regressed({"e": {"a": values}}, halves, {"a": accuracy}, ("fog",) * 4) == {}
    assert set_scores.regressed({"e": {"a": values}}, halves[:0], {"a": accuracy}, ("fog", "blur") * 2) == {}


def test_the_early_stage_is_read_where_detectors_were_asked_for():
    table = worlds.table()
    assert set_scores.witness_shares(table, _ORDER) == {}
    log_p, classes = _outputs()
    fields = {"witness_log_probabilities": log_p, "witness_classes": classes, "witness_early": log_p}
    names = {f"eye/{field}": {"owner": "eye", "field": field, "view": ""} for field in fields}
    table = table._replace(
        vectors={f"eye/{field}": values for field, values in fields.items()}, metadata={"outputs": names}
    )
    assert set_scores.witness_shares(table, _ORDER)["eye"].num_classes == 3
    found = {one.name: one for one in set_scores.set_scores((), table, _ORDER, {}, table.labels)}
    assert {"mano@eye", "frechet_early@eye", "nuclear_norm@eye"} <= set(found)
    shares = np.exp(log_p[1])
    mano = ((shares**4).sum(-1).mean() / 3) ** 0.25
    assert set_scores.on_halves(found["mano@eye"], np.zeros((0, 0), int), 1)[0, 0] == pytest.approx(mano)
