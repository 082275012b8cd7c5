"""Blocks and batches."""

import jax
import numpy as np
import pytest

import causal_iqa
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


def test_blocks_shrink_to_fit_the_memory():
    devices = jax.local_devices()[:2]
    assert rows.choose_batch(_WORK, pipeline.Execution(batch_size=1), devices) == (16, 8)
    size, block = rows.choose_batch(_WORK, pipeline.Execution(memory_gb=0.01), devices)
    assert block < 8 and size % (2 * block) == 0
    with pytest.raises(causal_iqa.InputError, match="memory_gb"):
        rows.choose_batch(_WORK, pipeline.Execution(memory_gb=1e-4), devices)
