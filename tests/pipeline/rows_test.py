"""Rows of several batches as one, and how many images go through the program at once."""

import dataclasses

import jax
import numpy as np

from causal_iqa import data, pipeline
from causal_iqa.pipeline import rows

_WORK = rows.Work(
    source=data.open_source("scenes"),
    indices=np.arange(33),
    image_size=48,
    crop_fraction=1.0,
    interventions=(pipeline.Condition("clean", 0.0),) * 7,
    networks={},
    feature_backbones={},
    views=(pipeline.View(48, (), {}),),
    scorers=(),
    witnesses={},
)


def test_batches_are_no_larger_than_the_work():
    few = dataclasses.replace(_WORK, indices=np.arange(3))
    assert rows.choose_batch(few, pipeline.Execution(batch_size=64), jax.local_devices()[:1]) == (8, 8)


def test_batches_join_in_order_and_what_is_unreadable_stays_out():
    def step(batch):
        return {"mean": np.stack([batch.images.mean((1, 2, 3)), batch.labels.astype(float)])}

    found = list(rows.compute(_WORK, _WORK.indices, step, 16, 1))
    assert [len(one.ids) for one in found] == [16, 16, 1]
    whole = rows.joined(found)
    assert whole.ids == [_WORK.source.id(i) for i in range(33)] and whole.skipped == []
    np.testing.assert_array_equal(whole.columns["mean"][1], whole.labels)
    assert whole.labels.tolist() == [_WORK.source.label(i) for i in range(33)]
    expected = [np.asarray(_WORK.source[i].image, float).mean() for i in (0, 17, 32)]
    np.testing.assert_allclose(whole.columns["mean"][0, [0, 17, 32]], expected, rtol=1e-6)
