"""Networks of masks and boxes: predictions in slots, and runs that predict something else."""

# pyright: reportArgumentType=false

import jax
import numpy as np
import pytest

from causal_iqa import InputError, backbones, tasks

_PREPROCESSING = backbones.Preprocessing(8, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), smallest=8, fixed_size=True)


def _network(run, performance, **options):
    return backbones.task_network(
        "net", run, _PREPROCESSING, performance=performance, num_classes=2, weights=np.ones(1), options=options
    )


def test_the_surest_boxes_fill_the_slots():
    boxes, scores, classes = backbones.padded_detections(
        [
            (np.arange(12.0).reshape(3, 4), np.array([0.1, 0.9, 0.5]), np.array([1, 2, 3])),
            (np.zeros((0, 4)),) + (np.zeros(0),) * 2,
        ],
        most=2,
    )
    assert classes.tolist() == [[2, 3], [-1, -1]] and scores[0].tolist() == pytest.approx([0.9, 0.5])
    np.testing.assert_array_equal(boxes[0, 0], [4, 5, 6, 7])
    assert not boxes[1].any() and classes.dtype == np.int32


def test_masks_are_those_of_the_run_one_by_one_and_mapped():
    network = _network(lambda images: (images.mean(axis=-1) > 0.5).astype(np.int64), "mean_iou")
    assert network.task is not None and network.task.mask_side == 8 and network.task.spec.kind == "masks"
    images = np.random.default_rng(0).random((3, 8, 8, 3)).astype(np.float32)
    mapped = jax.vmap(network.apply, (None, 0))({}, images)[0]
    np.testing.assert_array_equal(mapped, images.mean(axis=-1) > 0.5)
    np.testing.assert_array_equal(network.apply({}, jax.numpy.asarray(images[1]))[0], mapped[1])


def test_boxes_come_as_detections():
    def run(images):
        return backbones.padded_detections(
            [(np.array([[0, 0, 1, 1]]), np.array([0.5]), np.array([1]))] * len(images), most=3
        )

    network = _network(run, "box_f1", least_score=0.3)
    found, _ = network.apply({}, jax.numpy.zeros((8, 8, 3)))
    assert isinstance(found, tasks.Detections) and network.task is not None and network.task.mask_side is None
    assert found.classes.tolist() == [1, -1, -1] and network.task.options == {"least_score": 0.3}


@pytest.mark.parametrize(
    ("run", "performance", "message"),
    [
        (lambda images: images.mean(axis=-1), "dice", r"expected masks, int \[3, H, H\]"),
        (lambda images: np.zeros((len(images), 4, 5), int), "dice", r"got int64 \[3, 4, 5\]"),
        (lambda images: 1 / 0, "dice", r"run fails on images of shape \[3, 8, 8, 3\] \(ZeroDivisionError"),
        (lambda images: np.zeros((3, 2, 4)), "box_f1", "expected boxes"),
        (
            lambda images: (np.zeros((3, 2, 4)), np.zeros((3, 2)), np.zeros((3, 2))),
            "box_f1",
            r"got float64 \[3, 2, 4\], float64 \[3, 2\], float64 \[3, 2\]",
        ),
    ],
)
def test_other_predictions_are_refused_at_once(run, performance, message):
    with pytest.raises(InputError, match=message):
        _network(run, performance)


def test_an_unknown_performance_is_answered_with_a_close_one():
    with pytest.raises(InputError, match=r"did you mean .*dice"):
        _network(lambda images: images, "dise")


@pytest.mark.parametrize(
    ("part", "said"), [(0, "boxes\\[0, 1\\] on drawn images are not finite \\(3 such boxes\\)"), (1, "scores")]
)
def test_boxes_and_scores_that_are_not_finite_are_refused(part, said):
    def run(images):
        found = np.zeros((len(images), 2, 4), np.float32), np.ones((len(images), 2), np.float32)
        found[part][:, 1] = np.nan
        return *found, np.zeros((len(images), 2), np.int32)

    def empty(images):
        *found, classes = run(images)
        return *found, np.where(np.arange(2) == 1, -1, classes)

    preprocessing = backbones.Preprocessing(8, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=8)
    options = {"performance": "box_f1", "num_classes": 2, "weights": np.ones(1)}
    with pytest.raises(InputError, match=f"^network net: {said}"):
        backbones.task_network("net", run, preprocessing, **options)
    backbones.task_network("net", empty, preprocessing, **options)  # Nothing is read from an empty slot.
