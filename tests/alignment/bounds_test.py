"""The bounds of docs/theory.md: exact identities, brute force and simulated truths."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import itertools

import numpy as np
import pytest
import scipy.stats

from causal_iqa.alignment import bounds


def _noisy(seed: int, q: np.ndarray, m: np.ndarray, n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(1, n))
    of_q, of_m = (rng.normal(size=(len(q), n)) for _ in range(2))
    return q[:, None] + noise * (image + of_q), m[:, None] + noise * (image + of_m)


def test_the_parts_of_the_pooled_correlation_make_it_up():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(7, 40)) + rng.normal(size=(7, 1))
    m = 0.3 * q + rng.normal(size=(7, 40)) + rng.normal(size=(7, 1))
    parts = bounds.decompose(q, m)
    whole = parts.between * np.sqrt(parts.share_q * parts.share_m)
    whole += parts.within * np.sqrt((1 - parts.share_q) * (1 - parts.share_m))
    assert parts.pooled == pytest.approx(np.corrcoef(q.ravel(), m.ravel())[0, 1], abs=1e-12)
    assert whole == pytest.approx(parts.pooled, abs=1e-12)
    assert parts.between == pytest.approx(np.corrcoef(q.mean(1), m.mean(1))[0, 1], abs=1e-12)


def test_no_score_of_what_is_read_exceeds_the_ceiling_and_the_chance_itself_meets_it():
    rng = np.random.default_rng(1)
    read = rng.uniform(size=(1, 200_000))
    chance = read**2
    m = (rng.uniform(size=read.shape) < chance).astype(float)
    table, right = np.repeat(chance, 2, 0), np.repeat(m, 2, 0)
    ceiling = bounds.within_ceiling(table, right)[0]
    assert np.corrcoef(chance[0], m[0])[0, 1] == pytest.approx(ceiling, abs=5e-3)
    for score in (read, np.sin(5 * read), -read, np.exp(read)):
        assert abs(np.corrcoef(score[0], m[0])[0, 1]) < ceiling + 5e-3
        assert abs(scipy.stats.spearmanr(score[0], m[0]).statistic) < ceiling + 5e-3


def test_the_correlation_ratio_is_that_of_the_truth_and_takes_no_chance_for_it():
    rng = np.random.default_rng(6)
    read = rng.uniform(-1, 1, size=(2, 20_000))
    m = read**2 + rng.normal(size=read.shape) * np.sqrt(4 / 45)  # E[M | Q] has half of the variance.
    np.testing.assert_allclose(bounds.correlation_ratio(read, m, bins=40), np.sqrt(0.5), atol=0.02)
    unrelated = rng.normal(size=(400, 60))
    squares = bounds.correlation_ratio(rng.normal(size=unrelated.shape), unrelated) ** 2
    assert squares.mean() < 0.06  # Nine means of six would have .15 of it without the correction.
    never = np.vstack([np.ones(60), unrelated[0]])
    assert np.isnan(bounds.correlation_ratio(unrelated[:2], never)[0])
    # It is no less than what a line explains, whatever the groups lose of it.
    line = read[:, :60] + 0.01 * unrelated[:2, :60]
    linear = [np.corrcoef(a, b)[0, 1] for a, b in zip(read[:, :60], line, strict=True)]
    assert (bounds.correlation_ratio(read[:, :60], line) >= np.array(linear) - 1e-9).all()
    # Equal scores are one group, and fewer groups than bins do no harm.
    two = np.tile([0.0, 1.0], 30)[None] * np.ones((2, 1))
    np.testing.assert_allclose(bounds.correlation_ratio(two, two), 1.0)
    with pytest.raises(ValueError, match="bins: expected at least 2"):
        bounds.correlation_ratio(two, two, bins=1)


def test_attenuation_is_that_of_simulated_means():
    rng = np.random.default_rng(2)
    q, e = rng.normal(size=(2, 20_000))
    m = 0.8 * q + 0.6 * e
    observed = np.corrcoef(q + rng.normal(size=q.size), m + 0.5 * rng.normal(size=q.size))[0, 1]
    assert bounds.attenuated(0.8, 0.5, 1 / 1.25) == pytest.approx(observed, abs=0.015)


def test_contradictions_are_the_pairs_that_are_truly_reversed():
    truth_q, truth_m = np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.0, 3.0, 2.0, 4.0])
    found = bounds.contradicted_pairs(*_noisy(3, truth_q, truth_m, 400, 0.5))
    assert (found.proven, found.pairs, found.possible, found.worst) == (1, 10, 10, (2, 3))
    assert found.kendall_bound == pytest.approx(scipy.stats.kendalltau(truth_q, truth_m).statistic)


def test_contradictions_are_rarely_claimed_where_there_is_none():
    rng = np.random.default_rng(4)
    false = 0
    for seed in range(200):
        m = np.sort(rng.normal(size=12))
        false += bounds.contradicted_pairs(*_noisy(seed, np.exp(m), m, 30, 1.0), level=0.9).proven > 0
    assert false <= 200 * 0.1
    few = bounds.contradicted_pairs(*_noisy(1, -np.arange(6.0), np.arange(6.0), 12, 0.05))
    assert few.proven == few.possible


def test_the_bound_of_spearman_holds_for_every_order_of_six():
    for order in itertools.permutations(range(6)):
        m = np.arange(6.0)
        q = np.asarray(order, float)
        tables = (np.repeat(v[:, None], 8, 1) for v in (q, m))
        found = bounds.contradicted_pairs(*tables)
        assert found.kendall_bound == pytest.approx(scipy.stats.kendalltau(q, m).statistic)
        assert scipy.stats.spearmanr(q, m).statistic <= found.spearman_bound + 1e-12


def test_a_small_error_of_prediction_orders_the_conditions():
    rng = np.random.default_rng(5)
    for _ in range(50):
        m = rng.uniform(size=20)
        predicted = m + rng.uniform(-0.03, 0.03, size=20)
        assert scipy.stats.kendalltau(predicted, m).statistic >= bounds.ordered_by_error(predicted, m)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bounds.decompose(np.ones((2, 3)), np.ones((3, 2))), "one shape"),
        (lambda: bounds.contradicted_pairs(np.ones((2, 3)), np.ones((2, 3))), "8 images"),
        (lambda: bounds.contradicted_pairs(np.full((2, 9), np.nan), np.ones((2, 9))), "scores: expected finite"),
        (lambda: bounds.contradicted_pairs(np.ones((2, 9)), np.ones((2, 9)), level=1.0), "level"),
        (lambda: bounds.attenuated(0.5, 1.2, 1.0), "reliability_q"),
        (lambda: bounds.ordered_by_error([1.0], [1.0]), "at least 2"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
