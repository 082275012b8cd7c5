"""Masks and boxes: golden values of torchmetrics and pycocotools, hand-made cases, and what is undefined."""

import json
import pathlib

import jax
import numpy as np
import pytest

from causal_iqa import tasks
from tests.golden import task_performance as golden

_GOLDEN = json.loads((pathlib.Path(golden.__file__).with_suffix(".json")).read_text())


@pytest.fixture(scope="module")
def images():
    parts = [np.stack(part) for part in zip(*map(golden.padded, golden.drawn_boxes()), strict=True)]
    return tasks.Detections(*parts[:3]), *parts[3:]


def test_average_precision_of_images_equals_pycocotools(images):
    of_image = jax.jit(jax.vmap(lambda d, t, c: tasks.average_precision(d, t, c, num_classes=golden.CLASSES)))
    found = np.asarray(of_image(*images))
    expected = np.array([np.nan if one is None else one for one in _GOLDEN["average_precision"]])
    assert np.isnan(expected).sum() == 1 and np.nanmin(expected) < np.nanmax(expected)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_average_precision_of_the_set_equals_pycocotools(images):
    matches = jax.jit(jax.vmap(tasks.match_boxes))(*images)
    num_true = np.bincount(images[2][images[2] >= 0], minlength=golden.CLASSES)
    found = tasks.set_average_precision(matches.scores, matches.classes, matches.found, num_true)
    np.testing.assert_allclose(found, _GOLDEN["set_average_precision"], atol=1e-6)
    per_image = [one for one in _GOLDEN["average_precision"] if one is not None]
    assert abs(np.nanmean(found) - np.mean(per_image)) > 1e-3


def test_recalls_are_reached_as_pycocotools_reckons_them():
    """At 20 objects 7 of them are a recall of .35, which 101 steps of .01 overshoot by a rounding."""
    needed = np.asarray(tasks.boxes._needed(20))[20]
    assert needed[35] == 8 and needed[30] == 6 and needed[0] == 0 and needed[100] == 20


def test_f1_counts_false_boxes_and_lost_objects():
    box = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32)
    classes = np.array([4, 4], np.int32)
    one = tasks.Detections(box[:1], np.array([0.9], np.float32), classes[:1])
    assert float(tasks.box_f1(one, box, classes)) == pytest.approx(2 / 3)
    assert float(tasks.box_f1(one, box[:1], classes[:1])) == 1
    assert float(tasks.box_f1(one, box[:1], classes[:1] - 1)) == 0
    assert float(tasks.box_f1(one._replace(scores=np.array([0.4], np.float32)), box, classes)) == 0
    empty = np.full(2, -1, np.int32)
    assert float(tasks.box_f1(one, box, empty)) == 0
    assert np.isnan(tasks.box_f1(one._replace(classes=np.array([-1], np.int32)), box, empty))


def test_an_object_is_found_once_and_by_the_surest_box():
    box = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]], np.float32)
    two = tasks.Detections(box, np.array([0.3, 0.8], np.float32), np.array([1, 1], np.int32))
    found = tasks.match_boxes(two, box[:1], np.array([1], np.int32))
    assert found.found.tolist() == [True, False] and found.place.tolist() == [1, 0]
    assert not tasks.match_boxes(two, box[:1] + 5, np.array([1], np.int32)).found.any()
