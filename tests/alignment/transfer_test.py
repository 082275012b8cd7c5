"""Maps that go from one dataset to another, on draws whose accuracy is known."""

import numpy as np
import pytest

from causal_iqa import alignment

_GROUPS = [f"g{i // 5}" for i in range(40)]


def _dataset(seed, *, shift=0.0, scale=1.0, top=0.9, images=400):
    """Accuracy top (1 - dose) under 40 conditions and clean; scores are ease in a unit of the dataset's own."""
    rng = np.random.default_rng(seed)
    dose = np.append(np.tile(np.linspace(0.1, 0.9, 5), 8), 0.0)[:, None]
    m = (rng.uniform(size=(41, images)) < top * (1 - dose)).astype(float)
    q = shift + scale * (1 - dose + 0.3 * rng.normal(size=(41, images)))
    return q, m, top * (1 - dose[:, 0])


def test_the_map_of_one_dataset_predicts_another_of_the_same_law():
    q, m, _ = _dataset(0)
    target_q, target_m, truth = _dataset(1)
    folds = alignment.image_folds(400)
    found = alignment.transferred_accuracy(q, m, [*_GROUPS, None], folds, target_q[:-1], target_m[:-1], level=0.9)
    assert np.abs(found.predicted.value - truth[:-1]).mean() < 0.02
    np.testing.assert_allclose(found.truth, target_m[:-1].mean(axis=1))
    assert ((found.predicted.low <= found.truth) & (found.truth <= found.predicted.high)).mean() > 0.75
    # The half width is a quantile of what is missed when a degradation of the first dataset is left out.
    held = alignment.held_out_accuracy(q, m, [*_GROUPS, None], folds)
    errors = np.sort(np.abs(held.predicted.value - held.truth)[:-1])
    _, low, high = found.predicted
    inner = (low > 0) & (high < 1)
    np.testing.assert_allclose((high - low)[inner] / 2, errors[int(np.ceil(41 * 0.9)) - 1])


def test_scores_relative_to_clean_bridge_units_and_clean_accuracies():
    (q, m, _), (target_q, target_m, truth) = _dataset(0), _dataset(1, shift=5, scale=20, top=0.6)
    options = ([*_GROUPS, None], alignment.image_folds(400))
    as_is = alignment.transferred_accuracy(q, m, *options, target_q[:-1], target_m[:-1])
    assert np.abs(as_is.predicted - truth[:-1]).mean() > 0.2
    relative = [alignment.relative_to_clean(values, values[-1]) for values in (q, target_q)]
    ratio = target_m[-1].mean() / m[-1].mean()
    found = alignment.transferred_accuracy(relative[0], m, *options, relative[1][:-1], target_m[:-1], scale=ratio)
    assert np.abs(found.predicted.value - truth[:-1]).mean() < 0.03
    np.testing.assert_allclose(relative[0][-1].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(relative[0][-1].std(), 1)


def test_undefined_scores_and_unfit_input():
    q, m, _ = _dataset(0, images=20)
    assert np.isnan(alignment.relative_to_clean(q, np.full(20, 1.0))).all()
    assert np.isnan(alignment.relative_to_clean(q, np.full(20, np.inf))).all()
    hidden = np.where(np.arange(41)[:, None] == 3, np.nan, q)
    folds = alignment.image_folds(20)
    found = alignment.transferred_accuracy(q, m, [*_GROUPS, None], folds, hidden, m)
    assert np.isnan(found.predicted.value[3]) and np.isfinite(np.delete(found.predicted.value, 3)).all()
    with pytest.raises(ValueError, match="scale"):
        alignment.transferred_accuracy(q, m, [*_GROUPS, None], folds, q, m, scale=0.0)
    with pytest.raises(ValueError, match="target_q"):
        alignment.transferred_accuracy(q, m, [*_GROUPS, None], folds, q, m[:3])
