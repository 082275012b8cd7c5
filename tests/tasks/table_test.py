"""What every row promises."""

import numpy as np
import pytest

from causal_iqa import tasks


@pytest.mark.parametrize("name", tasks.TABLE)
def test_every_row_scores_a_right_prediction_as_one(name):
    spec = tasks.TABLE[name]
    if spec.kind == "masks":
        truth = np.arange(16).reshape(4, 4) % 3
        assert float(spec.score(truth, truth, 3)) == 1
        assert float(spec.score((truth + 1) % 3, truth, 3)) == 0
        return
    boxes, classes = np.array([[0, 0, 0.5, 0.5]], np.float32), np.array([2], np.int32)
    prediction = tasks.Detections(boxes, np.array([0.9], np.float32), classes)
    assert float(spec.score(prediction, (boxes, classes), 3)) == pytest.approx(1)
    assert float(spec.score(prediction._replace(classes=classes - 1), (boxes, classes), 3)) == 0
