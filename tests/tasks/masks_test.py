"""IoU and Dice against torchmetrics."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import tasks
from tests.golden import task_performance as golden

_GOLDEN = json.loads((pathlib.Path(golden.__file__).with_suffix(".json")).read_text())


@pytest.fixture(scope="module")
def pixels():
    prediction, truth = golden.drawn_masks()
    count = jax.jit(jax.vmap(lambda p, t: tasks.class_pixels(p, t, num_classes=golden.CLASSES)))
    return count(prediction, truth)


@pytest.mark.parametrize("name", ["pixel_accuracy", "mean_iou", "dice"])
def test_masks_equal_torchmetrics(pixels, name):
    found = np.asarray(getattr(tasks, name)(pixels))
    assert found.shape == (golden.IMAGES,) and np.ptp(found) > 0.02
    np.testing.assert_allclose(found, _GOLDEN[name], atol=1e-6)


def test_the_iou_of_a_set_is_not_the_mean_of_its_images(pixels):
    whole = float(tasks.mean_iou(jax.tree.map(lambda x: x.sum(axis=0), pixels)))
    assert whole == pytest.approx(_GOLDEN["set_mean_iou"][0], abs=1e-6)
    assert abs(whole - np.mean(_GOLDEN["mean_iou"])) > 1e-3


def test_unknown_pixels_count_for_nothing_and_an_image_without_others_is_undefined():
    prediction = jnp.array([[0, 1], [2, 2]])
    mask = jnp.array([[0, -1], [-1, 1]])
    counts = tasks.class_pixels(prediction, mask, num_classes=3)
    assert float(tasks.pixel_accuracy(counts)) == 0.5
    assert float(tasks.mean_iou(counts)) == pytest.approx(1 / 3)
    nothing = tasks.class_pixels(prediction, jnp.full((2, 2), -1), num_classes=3)
    assert all(np.isnan(fn(nothing)) for fn in (tasks.pixel_accuracy, tasks.mean_iou, tasks.dice))
    with pytest.raises(ValueError, match=r"prediction, mask: expected one shape"):
        tasks.class_pixels(prediction, mask[:1], num_classes=3)
