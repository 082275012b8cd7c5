"""The map from score to correctness where the truth is known: images drawn from one law of correctness given score."""

import pathlib

import numpy as np
import pytest

from causal_iqa import InputError, alignment, pipeline
from causal_iqa.analysis.datasets import maps, rejection

_DEGRADATIONS = ("fog", "frost", "snow", "brightness", "contrast", "pixelate")


def _probability(q):
    return 1 / (1 + np.exp(-2.0 * q))


def _run(seed=0, num_images=400, degradations=6, noise=0.0) -> pipeline.Run:
    """A run in which the score is all there is to know of correctness."""
    rng = np.random.default_rng(seed)
    names = ["clean", *_DEGRADATIONS[:degradations]]
    conditions = tuple(
        pipeline.Condition(name, float(severity))
        for name in names
        for severity in ((0.0,) if name == "clean" else (1.0, 5.0))
    )
    shift = np.asarray([0.0 if c.severity == 0 else -0.5 * c.severity * rng.uniform(0.5, 1.5) for c in conditions])
    q = 1.0 + shift[:, None] + rng.normal(size=(len(conditions), num_images))
    correct = (rng.uniform(size=q.shape) < _probability(q + noise * rng.normal(size=q.shape))).astype(np.float32)
    column = pipeline.Column("free@b", "free@b", "label_free", True, 32, ("net",), {})
    network = pipeline.NetworkChoice("net", "scene_cnn_a")
    config = pipeline.StudyConfig(networks=(network,), degradations=("fog",), num_images=num_images)
    table = pipeline.ScoreTable(
        tuple(map(str, range(num_images))),
        np.zeros(num_images, np.int32),
        conditions,
        {"free@b": q.astype(np.float32), "net/correct": correct},
        {},
        (),
        {},
    )
    return pipeline.Run(pathlib.Path("run"), config, (column,), table)


@pytest.fixture(scope="module")
def learned() -> maps.ScoreMap:
    return maps.learn(_run(), "free@b", num_resamples=30)


def test_expected_accuracy_holds_on_unseen_images(learned):
    """Where correctness follows the score by one law, the interval holds the truth, at every mixture of quality."""
    rng = np.random.default_rng(1)
    hits, widths = 0, []
    for mean in (-1.5, -0.5, 0.5, 1.0):
        for _ in range(5):
            q = mean + rng.normal(size=300)
            actual = (rng.uniform(size=300) < _probability(q)).mean()
            found = maps.apply(learned, q, level=0.9)
            hits += found.accuracy.low <= actual <= found.accuracy.high
            widths.append(found.accuracy.high - found.accuracy.low)
            assert found.accuracy.value == pytest.approx(_probability(q).mean(), abs=0.07)
            assert np.mean(found.probability) == pytest.approx(found.accuracy.value, abs=1e-6)
    assert hits >= 17 and max(widths) < 0.35


def test_what_is_uncertain_shows_in_the_interval(learned):
    few, many = (maps.apply(learned, np.zeros(n) + np.linspace(-1, 1, n), level=0.95).accuracy for n in (10, 2000))
    assert few.high - few.low > many.high - many.low
    assert many.high - many.low >= 2 * learned.transfer_half(0.95) - 1e-9, "no less than the errors left out"
    short = maps.learn(_run(degradations=2), "free@b", num_resamples=5)
    unknown = maps.apply(short, np.zeros(50), level=0.95).accuracy
    assert np.isfinite(unknown.value) and np.isnan(unknown.low) and "too few degradations" in unknown.reason


def test_scores_outside_are_told_and_refused(learned):
    inside = np.linspace(learned.low, learned.high, 95)
    some = maps.apply(learned, np.append(inside, [learned.high + 1] * 5), level=0.95)
    assert some.outside == pytest.approx(0.05) and not some.refused
    many = maps.apply(learned, np.full(10, learned.low - 1), level=0.95)
    assert np.isnan(many.accuracy.value) and np.isnan(many.probability).all()
    assert "100 % of the scores lie outside" in many.refused
    none = maps.apply(learned, np.full(3, np.nan), level=0.95)
    assert none.refused == "no image has a score"
    with pytest.raises(InputError, match="has no score 'fre@b'; did you mean free@b"):
        maps.learn(_run(), "fre@b")


def test_leaving_out_the_worst_raises_what_is_expected_as_it_raises_the_truth(learned):
    q = np.random.default_rng(3).normal(-0.5, 1.2, 4000)
    correct = (np.random.default_rng(4).uniform(size=4000) < _probability(q)).astype(float)
    applied = maps.apply(learned, q, level=0.95)
    steps = rejection.curve(q, correct, learned, applied, level=0.95)
    assert [step.kept for step in steps] == sorted((step.kept for step in steps), reverse=True)
    for step in steps:
        assert step.expected.value == pytest.approx(step.actual.value, abs=0.06), step
    assert steps[0].expected.value == pytest.approx(applied.accuracy.value, abs=1e-3)
    assert steps[-1].errors_removed > 0.9 and steps[0].errors_removed == 0
    wanted = rejection.threshold_for(0.7, q, applied.probability, by="expected")
    assert wanted.accuracy >= 0.7 and correct[q >= wanted.score].mean() == pytest.approx(0.7, abs=0.06)
    assert wanted.left_out == pytest.approx((q < wanted.score).mean())
    never = rejection.threshold_for(0.9999, q, np.full(4000, 0.5), by="expected")
    assert np.isnan(never.score) and "the best is 50.0 %" in never.reason


def test_difference_of_two_sets(learned):
    rng = np.random.default_rng(5)
    first, second = rng.normal(1, 1, 500), rng.normal(-1, 1, 500)
    found = maps.difference(learned, first, second, level=0.95)
    truth = _probability(second).mean() - _probability(first).mean()
    assert found.low <= truth <= found.high and found.value == pytest.approx(truth, abs=0.1)
    same = maps.difference(learned, first, first, level=0.95)
    assert same.value == 0 and same.low < 0 < same.high


def test_compressed_points_keep_the_mean():
    values = np.random.default_rng(0).normal(size=10_001)
    points, weights = maps.compress(values)
    assert (
        len(points) == 2048 and weights.sum() == pytest.approx(1) and weights @ points == pytest.approx(values.mean())
    )
    fitted = alignment.fit_accuracy_map(np.sort(values)[None], (np.arange(10_001) > 5000).astype(float)[None])
    whole = np.interp(values, fitted.score, fitted.probability).mean()
    assert weights @ np.interp(points, fitted.score, fitted.probability) == pytest.approx(whole, abs=1e-3)


def test_the_map_of_a_run_with_groups_takes_them_whole():
    """Copies of an image are no more evidence than the image: the intervals are those of the images without copies."""
    of = np.repeat(np.arange(30), 10)

    def learned(run, *, num_copies=1, with_groups=False):
        own = of if num_copies > 1 else np.arange(30)
        columns = {name: values[:, own] for name, values in run.table.columns.items()}
        if with_groups:
            columns["cluster"] = np.broadcast_to(own.astype(np.float32), (len(run.table.conditions), len(own)))
        ids = tuple(map(str, range(len(own))))
        table = run.table._replace(image_ids=ids, labels=run.table.labels[own], columns=columns)
        return maps.learn(run._replace(table=table), "free@b", num_resamples=60)

    def spread(learned):
        """Of the probability that an image of middling score is right, over the resamples."""
        return np.std([np.interp(-0.5, one.score, one.probability) for one in learned.resampled])

    one_degradation = _run(num_images=30, degradations=1)
    single = spread(learned(one_degradation))
    assert spread(learned(one_degradation, num_copies=10)) < 0.6 * single
    assert spread(learned(one_degradation, num_copies=10, with_groups=True)) > 0.75 * single
    # Without groups copies of an image are in both folds, so that the errors on left-out images are too small.
    many = _run(num_images=30)
    alone, together = (learned(many, num_copies=10, with_groups=own).errors for own in (False, True))
    assert np.abs(together).mean() > np.abs(alone).mean()
