"""Predicted accuracy: what two stages mend, what held out means, and intervals that hold the truth."""

import numpy as np
import pytest
from scipy import optimize, special

from causal_iqa import alignment

_NAMES = [f"d{i}" for i in range(8) for _ in range(4)]


def _study(rng, images=150, noise=1.5, names=_NAMES, offset=0.0):
    """Conditions of falling ease; the score sees ease and scene through noise."""
    scene = rng.normal(size=(1, images))
    ease = np.concatenate([rng.normal(1, 1) - np.arange(4)[:, None] for _ in range(len(names) // 4)])
    m = (rng.uniform(size=(len(names), images)) < special.expit(1.5 * (ease + scene))).astype(float)
    off = offset * rng.normal(size=len(names) // 4).repeat(4)[:, None]
    return ease + scene + off + noise * rng.normal(size=m.shape), m


def test_map_is_isotonic_regression_twice():
    rng = np.random.default_rng(0)
    q, m = _study(rng, images=30, noise=0.5)
    q = np.round(q)
    q[3, 4], m[5, 6] = np.nan, np.nan
    fitted = alignment.fit_accuracy_map(q, m)
    use = np.isfinite(q) & np.isfinite(m)
    nodes = np.unique(q[use])
    hits = [m[use & (q == node)] for node in nodes]
    first = optimize.isotonic_regression([h.mean() for h in hits], weights=[h.size for h in hits]).x
    np.testing.assert_allclose(fitted.score, nodes)
    np.testing.assert_allclose(fitted.probability, first)
    mean = np.array([np.interp(a[u], nodes, first).mean() for a, u in zip(q, use, strict=True)])
    truth = np.array([b[u].mean() for b, u in zip(m, use, strict=True)])
    order = np.argsort(mean)
    second = optimize.isotonic_regression(truth[order], weights=use.sum(axis=1)[order]).x
    found = alignment.predict_accuracy(fitted, np.where(np.isfinite(m), q, np.nan))
    np.testing.assert_allclose(found, np.interp(mean, mean[order], second), atol=1e-9)


def test_rows_alone_move_too_little_and_the_second_stage_mends_it():
    """The twin: the mean of the first stage shrinks towards the overall accuracy."""
    rng = np.random.default_rng(1)
    q, m = _study(rng, noise=2.0)
    other_q, other_m = _study(rng, noise=2.0)
    fitted = alignment.fit_accuracy_map(q, m)
    truth = other_m.mean(axis=1)
    rows = np.interp(other_q, fitted.score, fitted.probability).mean(axis=1)
    slopes = [np.polyfit(truth, p, 1)[0] for p in (rows, alignment.predict_accuracy(fitted, other_q))]
    assert slopes[0] < 0.6
    assert slopes[1] == pytest.approx(1, abs=0.1)


def test_a_held_out_prediction_is_that_of_a_map_without_its_degradation_and_images():
    rng = np.random.default_rng(2)
    q, m = _study(rng, images=40, names=_NAMES[:12])
    q = np.round(q * 2)
    folds = alignment.image_folds(40, num_folds=3, seed=5)
    assert sorted(np.bincount(folds)) == [13, 13, 14]
    found = alignment.held_out_accuracy(q, m, _NAMES[:12], folds)
    groups = np.array(_NAMES[:12])
    for c in (0, 5, 11):
        expected = 0.0
        for fold in range(3):
            fitted = alignment.fit_accuracy_map(
                q[groups != groups[c]][:, folds != fold], m[groups != groups[c]][:, folds != fold]
            )
            expected += alignment.predict_accuracy(fitted, q[c : c + 1, folds == fold])[0] * (folds == fold).mean()
        assert found.predicted.value[c] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(found.truth, m.mean(axis=1))


def test_neither_labels_of_a_degradation_nor_of_an_image_reach_their_own_prediction():
    rng = np.random.default_rng(3)
    q, m = _study(rng, images=40)
    folds = alignment.image_folds(40)
    before = alignment.held_out_accuracy(q, m, _NAMES, folds)
    changed = m.copy()
    changed[4:8] = 1 - changed[4:8]
    after = alignment.held_out_accuracy(q, changed, _NAMES, folds)
    for one, other in zip(after.predicted, before.predicted, strict=True):
        np.testing.assert_array_equal(one[4:8], other[4:8])
    assert (after.predicted.value != before.predicted.value).sum() > 14


def test_intervals_cover_degradations_that_were_never_seen():
    rng = np.random.default_rng(4)
    covered, width = [], []
    for _ in range(25):
        q, m = _study(rng, images=80, offset=0.5)
        found = alignment.held_out_accuracy(q, m, _NAMES, alignment.image_folds(80), level=0.8)
        covered += list((found.predicted.low <= found.truth) & (found.truth <= found.predicted.high))
        width += list(found.predicted.high - found.predicted.low)
    # 25 studies of 8 degradations, whose 4 conditions err alike: standard error of the coverage .03.
    assert 0.7 < np.mean(covered) < 0.92
    assert 0.1 < np.mean(width) < 0.6


def test_clean_images_train_and_are_not_predicted():
    rng = np.random.default_rng(5)
    q, m = _study(rng, images=60, names=_NAMES[:12])
    names, folds = [*_NAMES[:12], None], alignment.image_folds(60)
    clean_q, clean_m = q.max(axis=0, keepdims=True) + 5, np.ones((1, 60))
    found = alignment.held_out_accuracy(np.concatenate([q, clean_q]), np.concatenate([m, clean_m]), names, folds)
    assert np.isnan(found.predicted.value[-1]) and np.isfinite(found.predicted.value[:-1]).all()
    without = alignment.held_out_accuracy(q, m, names[:-1], folds)
    assert (found.predicted.value[:-1] != without.predicted.value).any()
    missing = np.concatenate([q, np.full((1, 60), np.nan)])
    same = alignment.held_out_accuracy(missing, np.concatenate([m, clean_m]), names, folds)
    np.testing.assert_allclose(same.predicted.value[:-1], without.predicted.value)


def test_undefined_conditions_have_no_prediction():
    rng = np.random.default_rng(6)
    q, m = _study(rng, images=40, names=_NAMES[:12])
    q[2] = np.nan
    found = alignment.held_out_accuracy(q, m, _NAMES[:12], alignment.image_folds(40))
    assert np.isnan(found.predicted.value[2]) and np.isnan(found.predicted.low[2])
    assert np.isfinite(np.delete(found.predicted.value, 2)).all()
    fitted = alignment.fit_accuracy_map(q, m)
    assert np.isnan(alignment.predict_accuracy(fitted, q)[2])


def test_two_degradations_leave_something_to_learn_from_or_nothing():
    """Where the clean images have no score, as PSNR's, leaving both degradations out leaves nothing."""
    rng = np.random.default_rng(7)
    q, m = _study(rng, images=40, names=_NAMES[:8])
    names, folds = [*_NAMES[:8], None], alignment.image_folds(40)
    clean_m = np.concatenate([m, np.ones((1, 40))])
    found = alignment.held_out_accuracy(np.concatenate([q, np.full((1, 40), np.nan)]), clean_m, names, folds)
    assert np.isfinite(found.predicted.value[:-1]).all()
    assert np.isnan(found.predicted.low).all() and np.isnan(found.predicted.high).all()
    # One degradation alone has a score: the other's map has only the clean images, or nothing.
    alone = np.where(np.arange(9)[:, None] < 4, np.concatenate([q, q[:1]]), np.nan)
    found = alignment.held_out_accuracy(alone, clean_m, names, folds)
    assert np.isnan(found.predicted.value).all()


def test_truth_is_the_mean_over_all_images_with_known_performance():
    rng = np.random.default_rng(8)
    q, m = _study(rng, images=40, names=_NAMES[:12])
    q[rng.random(q.shape) < 0.2] = np.nan
    found = alignment.held_out_accuracy(q, m, _NAMES[:12], alignment.image_folds(40))
    np.testing.assert_allclose(found.truth, m.mean(axis=1))


def test_refuses_designs_that_hold_nothing_out():
    q, m = np.zeros((4, 6)), np.zeros((4, 6))
    folds = np.arange(6) % 2
    for names, own_folds, level in (
        (["a"] * 4, folds, 0.9),
        (["a", "a", "b", "b"], np.zeros(6, int), 0.9),
        (["a", "b"], folds, 0.9),
        (["a", "a", "b", "b"], folds, 90),
    ):
        with pytest.raises(ValueError, match=r"groups, folds|level"):
            alignment.held_out_accuracy(q, m, names, own_folds, level=level)
    with pytest.raises(ValueError, match="defined in both"):
        alignment.fit_accuracy_map(np.full((2, 3), np.nan), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="one length"):
        alignment.accuracy_errors(np.zeros(3), np.zeros(3), ["a"])
