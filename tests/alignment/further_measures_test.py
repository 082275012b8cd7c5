"""Kendall, concordance, monotone Pearson and partial Spearman against scipy and loops; resamples are repeated rows."""

import json

import numpy as np
import pytest
from scipy import optimize, stats

from causal_iqa import alignment

_SEVERITIES = (1, 2, 3, 1, 2, 3)


def _tables(seed=0, images=40, levels=2):
    """Six conditions; scores with ties, and one undefined."""
    rng = np.random.default_rng(seed)
    scene = rng.normal(size=(1, images)) - np.asarray(_SEVERITIES)[:, None] / 2
    q = np.round(scene + rng.normal(size=(6, images)), 1)
    m = np.clip(np.floor((scene + rng.normal(size=(6, images)) + 2) / 4 * levels), 0, levels - 1) / (levels - 1)
    q[2, 5] = np.nan
    return q, m


def _auroc(q, m):
    better = m[:, None] > m
    return np.mean(((q[:, None] > q) + 0.5 * (q[:, None] == q))[better])


@pytest.mark.parametrize("levels", [2, 4])
def test_pairs_are_counted_as_scipy_and_a_loop_count_them(levels):
    q, m = _tables(levels=levels)
    found = alignment.measures(q, m, _SEVERITIES, folds=np.arange(40) % 2)
    rows = [(a[np.isfinite(a)], b[np.isfinite(a)]) for a, b in zip(q, m, strict=True)]
    flat = q[np.isfinite(q)], m[np.isfinite(q)]
    means = np.array([(a.mean(), b.mean()) for (a, _), b in zip(rows, m, strict=True)]).T
    assert found.kendall_pooled == pytest.approx(stats.kendalltau(*flat).statistic)
    assert found.kendall_within == pytest.approx(np.mean([stats.kendalltau(*row).statistic for row in rows]))
    assert found.kendall_between == pytest.approx(stats.kendalltau(*means).statistic)
    assert found.auroc_pooled == pytest.approx(_auroc(*flat))
    assert found.auroc_within == pytest.approx(np.mean([_auroc(*row) for row in rows]))
    assert 0.5 < found.auroc_within < found.auroc_pooled < 1


def test_partial_is_the_correlation_of_what_severity_leaves():
    q, m = _tables()
    found = alignment.measures(q, m, _SEVERITIES, folds=np.arange(40) % 2)

    def residual(y, s):
        design = np.column_stack([np.ones(len(s)), stats.rankdata(s)])
        ranks = stats.rankdata(y)
        return ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]

    severity = np.broadcast_to(np.array(_SEVERITIES)[:, None], q.shape)[np.isfinite(q)]
    flat = residual(q[np.isfinite(q)], severity), residual(m[np.isfinite(q)], severity)
    assert found.partial_pooled == pytest.approx(np.corrcoef(*flat)[0, 1])
    means = (
        residual(np.nanmean(q, axis=1), _SEVERITIES),
        residual(m.mean(axis=1), _SEVERITIES),
    )
    assert found.partial_between == pytest.approx(np.corrcoef(*means)[0, 1])
    assert abs(found.partial_pooled) < abs(alignment.pooled(q, m))


def test_pearson_after_the_monotone_fit_of_other_images():
    q, m = _tables(images=60)
    q = np.round(q)
    folds = np.arange(60) % 3
    found = alignment.measures(q, m, _SEVERITIES, folds=folds)
    fitted = np.full(q.shape, np.nan)
    for fold in range(3):
        x, y = q[:, folds != fold], m[:, folds != fold]
        x, y = x[np.isfinite(x)], y[np.isfinite(x)]
        nodes = np.unique(x)
        rate = [y[x == node].mean() for node in nodes]
        rate = optimize.isotonic_regression(rate, weights=[(x == node).sum() for node in nodes]).x
        own = folds == fold
        fitted[:, own] = np.interp(q[:, own], nodes, rate)
    fitted[np.isnan(q)] = np.nan
    use = np.isfinite(fitted)
    assert found.isotonic_pooled == pytest.approx(np.corrcoef(fitted[use], m[use])[0, 1])
    rows = [np.corrcoef(a[u], b[u])[0, 1] for a, b, u in zip(fitted, m, use, strict=True)]
    assert found.isotonic_within == pytest.approx(np.mean(rows))
    means = [np.nanmean(fitted, axis=1), m.mean(axis=1)]
    assert found.isotonic_between == pytest.approx(np.corrcoef(*means)[0, 1])


def test_one_rule_for_undefined_scores_in_everything_over_condition_means():
    """A condition's performance is that of all its images, also of those without a score, in every between number."""
    rng = np.random.default_rng(4)
    ease = np.linspace(-0.6, 0.6, 18)[:, None]
    scene = rng.normal(size=(1, 30))
    m = (ease + scene + rng.normal(size=(18, 30)) > 0).astype(float)
    q = ease + rng.normal(size=(18, 30))
    q[scene.repeat(18, axis=0) + 0.5 * rng.normal(size=q.shape) > 1.2] = np.nan
    means = np.nanmean(q, axis=1), m.mean(axis=1)
    found = alignment.measures(q, m, np.tile([1, 2, 3], 6), folds=np.arange(30) % 2)
    rho = alignment.between(q, m)
    assert rho == pytest.approx(stats.spearmanr(*means).statistic)
    assert found.kendall_between == pytest.approx(stats.kendalltau(*means).statistic)
    severities = np.tile([1, 2, 3], 6)
    qs, ms = (stats.spearmanr(x, severities).statistic for x in means)
    assert found.partial_between == pytest.approx((rho - qs * ms) / np.sqrt((1 - qs**2) * (1 - ms**2)))
    both = np.where(np.isfinite(q), m, np.nan)
    assert found.kendall_between != pytest.approx(stats.kendalltau(means[0], np.nanmean(both, axis=1)).statistic)


def test_any_increasing_score_gives_the_same_measures():
    q, m = _tables()
    folds = np.arange(40) % 2
    one, other = (alignment.measures(f(q), m, _SEVERITIES, folds=folds) for f in (lambda x: x, lambda x: 3 * x + 1))
    assert other == pytest.approx(one)


def test_a_resample_repeats_its_images(key):
    q, m = _tables(levels=3)
    counts = alignment.resample_counts(key, 40, 30)
    found = alignment.measure_intervals(key, {"q": q}, m, _SEVERITIES, folds=np.arange(40) % 2, num_resamples=30)["q"]
    taus, areas = [], []
    for row in counts.astype(int):
        a, b = np.repeat(q, row, axis=1).ravel(), np.repeat(m, row, axis=1).ravel()
        taus.append(np.arctanh(stats.kendalltau(a, b, nan_policy="omit").statistic))
        areas.append(np.arctanh(2 * _auroc(a[np.isfinite(a)], b[np.isfinite(a)]) - 1))
    for interval, drawn in ((found.kendall_pooled, taus), (found.auroc_pooled, areas)):
        area = interval is found.auroc_pooled
        z = np.arctanh(2 * interval.value - 1 if area else interval.value)
        bounds = np.tanh(z + stats.norm.ppf(0.975) * np.std(drawn, ddof=1) * np.array([-1, 1]))
        assert (interval.low, interval.high) == pytest.approx(tuple((1 + bounds) / 2 if area else bounds), abs=1e-6)
    # Here every score has a bin of its own, so the standard errors are exact too.
    assert len(np.unique(q)) < 240


def test_intervals_cover(key):
    rng = np.random.default_rng(3)

    def draw(images):
        scene = rng.normal(size=(1, images)) - np.asarray(_SEVERITIES)[:, None] / 2
        q = scene + rng.normal(size=(6, images))
        return q, (scene + rng.normal(size=(6, images)) > -1).astype(float)

    truth = alignment.measures(*draw(20_000), _SEVERITIES, folds=np.arange(20_000) % 2)
    held = dict.fromkeys(("kendall_pooled", "auroc_within", "isotonic_pooled", "partial_pooled"), 0)
    for _ in range(50):
        q, m = draw(80)
        found = alignment.measure_intervals(
            key, {"q": q}, m, _SEVERITIES, folds=np.arange(80) % 2, num_resamples=40, level=0.9
        )["q"]
        for name in held:
            interval = getattr(found, name)
            held[name] += interval.low <= getattr(truth, name) <= interval.high
    # Binomial(50, 0.9) lies in 37..50 all but once in a thousand.
    assert all(37 <= count <= 50 for count in held.values()), held


def test_undefined_is_none(key):
    q, m = _tables()
    folds = np.arange(40) % 2
    constant = alignment.measures(np.ones_like(q), m, _SEVERITIES, folds=folds)
    assert np.isnan(constant.kendall_pooled) and constant.auroc_pooled == 0.5
    nothing = alignment.measures(np.full_like(q, np.nan), m, _SEVERITIES, folds=folds)
    assert np.isnan(nothing).all()
    assert alignment.measure_intervals(
        key, {"q": np.full_like(q, np.nan)}, m, _SEVERITIES, folds=folds, num_resamples=3
    )["q"].as_dict()["partial_between"] == {"rho": None, "low": None, "high": None}
    json.dumps(constant.as_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="severities"):
        alignment.measures(q, m, (1, 2), folds=folds)


def test_performance_of_many_values_is_taken_by_quantiles():
    rng = np.random.default_rng(0)
    m = rng.normal(-40, 9, (4, 50))
    q = m + rng.normal(0, 6, m.shape)
    found = alignment.measures(q, m, (1, 2, 3, 4), folds=np.arange(50) % 2)
    assert found.kendall_pooled == pytest.approx(stats.kendalltau(q.ravel(), m.ravel()).statistic, abs=0.02)
    within = np.mean([stats.kendalltau(*rows).statistic for rows in zip(q, m, strict=True)])
    assert found.kendall_within == pytest.approx(within, abs=0.03)
    assert found.auroc_pooled == pytest.approx((1 + stats.kendalltau(q.ravel(), m.ravel()).statistic) / 2, abs=0.02)
