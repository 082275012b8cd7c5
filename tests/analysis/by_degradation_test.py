"""Agreement split by degradation: constructed truths, gaps, the file and the picture."""

import csv
import io

import numpy as np
import pytest

from causal_iqa.analysis import by_degradation
from causal_iqa.degradations import Condition
from causal_iqa.report import blind_spots

CONDITIONS = [
    Condition(kind, float(level)) for kind in ("fog", "gaussian_noise", "defocus_blur") for level in (1, 3, 5)
]
TRUTH = np.array([0.9, 0.7, 0.5, 0.9, 0.8, 0.6, 0.8, 0.6, 0.2])


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    performance = (rng.uniform(size=(9, 400)) < TRUTH[:, None]).astype(float)
    mean = performance.mean(axis=1)
    blind = mean.copy()
    blind[3:6] = [0.5, 0.7, 0.9]  # Climbs where performance falls.
    scores = {"sees": np.tile(mean[:, None], 400), "blind to noise": np.tile(blind[:, None], 400)}
    scores["blind to noise"][0, :10] = np.nan
    predicted = {"sees": mean, "blind to noise": mean + np.repeat([0.0, 0.3, -0.1], 3)}
    return by_degradation.by_degradation(scores, performance, predicted, CONDITIONS)


def test_every_cell_is_that_of_its_degradation(split):
    assert split.degradations == ("fog", "gaussian_noise", "defocus_blur") and split.severities == (1.0, 3.0, 5.0)
    np.testing.assert_allclose(split.along, [[1, 1, 1], [1, -1, 1]])
    np.testing.assert_allclose(split.bias, [[0, 0, 0], [0, 0.3, -0.1]], atol=1e-12)
    np.testing.assert_allclose(split.across[0], 1)
    assert (split.across[1] < 1).any()


def test_what_cannot_be_ranked_or_predicted_is_undefined():
    two = by_degradation.by_degradation(
        {"q": np.ones((4, 5)), "r": np.arange(20.0).reshape(4, 5)},
        np.arange(20.0).reshape(4, 5) / 20,
        {"r": np.array([0.5, np.nan, np.nan, np.nan])},
        [Condition("fog", 1.0), Condition("fog", 3.0), Condition("snow", 1.0), Condition("snow", 3.0)],
    )
    assert np.isnan(two.along).all() and np.isnan(two.across).all() and np.isnan(two.bias[0]).all()
    assert two.bias[1, 0] == pytest.approx(0.5 - 0.1) and np.isnan(two.bias[1, 1])
    with pytest.raises(ValueError, match="performance: expected 2 conditions, got 3"):
        by_degradation.by_degradation({}, np.ones((3, 5)), {}, CONDITIONS[:2])
    with pytest.raises(ValueError, match="at least one metric with predicted"):
        blind_spots.blind_spots(two._replace(bias=np.full((2, 2), np.nan)))


def test_the_file_has_a_line_for_each_cell(split):
    lines = list(csv.DictReader(io.StringIO(by_degradation.as_csv(split))))
    assert len(lines) == 12
    empty = {"degradation": "", "spearman_over_severities": "", "predicted_less_true": ""}
    metric = {"metric": "blind to noise"}
    of_noise = {"degradation": "gaussian_noise", "spearman_over_severities": "-1.0", "predicted_less_true": "0.3"}
    assert lines[7] == metric | of_noise | {"severity": "", "spearman_over_degradations": ""}
    across = str(round(split.across[1, 1], 4))
    assert lines[10] == metric | empty | {"severity": "3.0", "spearman_over_degradations": across}
    formula = by_degradation.as_csv(split._replace(metrics=("=1+1", *split.metrics[1:])))
    assert formula.splitlines()[1].startswith("'=1+1,") and formula.endswith("\r\n")


def test_the_picture_shows_points_with_sign(split):
    axes = blind_spots.blind_spots(split).axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert shown[3:] == ["+0", "+30", "-10"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["sees", "blind to noise"]
