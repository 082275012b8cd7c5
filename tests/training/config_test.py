"""Settings that are refused."""

import pytest

import causal_iqa
from causal_iqa import data
from causal_iqa.training import loop


def _sources():
    return data.open_source("scenes", split="train"), data.open_source("scenes", split="test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "lable"}, "objective"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 30_000}, "batch_size"),
        ({"network": "scene_cnn_d"}, "scene_cnn_"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected a share"),
        ({"label_smoothing": float("nan")}, "label_smoothing: expected a share"),
        ({"label_smoothing": 0.1, "objective": "rotation"}, "label_smoothing: needs the objective label"),
        ({"flip": True, "objective": "simclr"}, "flip: the views of simclr"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(causal_iqa.InputError, match=message):
        loop.train(loop.TrainConfig(**{"network": "scene_cnn_a", **change}), *_sources(), progress=False)
