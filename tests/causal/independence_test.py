"""Tests of what graphs imply."""

import jax
import numpy as np
import pytest

from causal_iqa import causal
from causal_iqa.causal import independence


def test_one_row_per_image_deals_in_equal_numbers(key):
    conditions, images = causal.one_row_per_image(key, 200, 19)
    assert sorted(images) == list(range(200))
    assert set(np.bincount(conditions)) == {10, 11}
    few, _ = causal.one_row_per_image(key, 60, 95, per_condition=8)
    assert len(set(few.tolist())) == 7
    capped, rows = causal.one_row_per_image(key, 200, 5, most=40)
    assert len(capped) == len(set(rows.tolist())) == 40


def _world(seed, n=120):
    """C -> X -> Q, S -> X, S -> Y, X -> M, with the score of another scene for an independent one."""
    rng = np.random.default_rng(seed)
    degradation, severity = np.arange(n) % 2, 1.0 + np.arange(n) // 2 % 3
    scene = rng.normal(size=n)
    x = scene - 0.8 * severity * (1 + degradation)
    noise = rng.normal(size=(3, n))
    return {
        "C": causal.Column(degradation, severity),
        "Y": causal.Column((scene + 0.5 * noise[0] > 0).astype(int)),
        "Q": causal.Column(numbers=x + 0.3 * noise[1]),
        "M": causal.Column((x + 0.5 * noise[2] > -2).astype(int)),
        "N": causal.Column(numbers=rng.normal(size=n) - severity),
        "P": causal.Column(numbers=(x + 0.3 * noise[1]) ** 2 + 0.5 * rng.normal(size=n)),
    }


# Statement -> (holds in the world, test that its kinds of columns call for).
STATEMENTS = {
    ("C", "Y"): (True, "HSIC, gamma"),
    ("C", "Q"): (False, "HSIC, gamma"),
    ("M", "N", "C"): (True, "HSIC, permutations within strata"),
    ("M", "Q", "C"): (False, "HSIC, permutations within strata"),
    ("P", "C", "Q"): (True, "KCI"),
    ("P", "Q", "N"): (False, "KCI"),
}


def test_tests_know_what_holds_and_are_chosen_by_kind(key):
    statements = {causal.Independence(x, y, frozenset(given)): truth for (x, y, *given), truth in STATEMENTS.items()}
    small = dict.fromkeys(statements, 0)
    for seed in range(3):
        found = causal.statement_tests(jax.random.fold_in(key, seed), statements, _world(seed), num_permutations=199)
        for one, result in found.items():
            assert (result.method, result.num_rows, result.reason) == (statements[one][1], 120, "")
            small[one] += result.p_value < 0.02
    assert {one: count for one, count in small.items() if (count > 1) == statements[one][0]} == {}


def test_large_strata_go_to_the_regression(key):
    """Given a label the kernel regression takes the means of its strata away, as a permutation within them would."""
    rng = np.random.default_rng(1)
    label = np.arange(120) % 2
    x, y = 2 * label + rng.normal(size=(2, 120))
    given = [causal.Column(label)]
    alone = causal.independence_test(key, causal.Column(numbers=x), causal.Column(numbers=y))
    assert alone.p_value < 1e-4
    kept = [independence._by_regression(key, *(causal.Column(numbers=v) for v in (x, y)), given)]
    kept.append(causal.independence_test(key, *(causal.Column(numbers=v) for v in (x, y)), given, num_permutations=199))
    assert [one.method for one in kept] == ["KCI", "HSIC, permutations within strata"]
    assert kept[0].p_value > 0.05
    assert abs(kept[0].p_value - kept[1].p_value) < 0.15


def test_many_rows_go_to_random_features(key, monkeypatch):
    world = _world(0)
    monkeypatch.setattr(independence, "_MOST_KCI_ROWS", 100)
    result = causal.independence_test(key, world["P"], world["C"], [world["Q"]])
    assert result.method == "RCIT"
    assert result.p_value > 0.01
    assert causal.independence_test(key, world["Q"], world["C"], [world["N"]]).p_value < 0.01


def test_what_cannot_be_tested_says_why(key):
    world = _world(0, 40)
    constant, short = causal.Column(np.zeros(40, int)), np.r_[np.full(25, np.nan), np.ones(15)]
    assert "never varies" in causal.independence_test(key, world["Q"], constant).reason
    assert "15 rows" in causal.independence_test(key, world["Q"], causal.Column(numbers=short)).reason
    alone = causal.Column(np.arange(40))
    assert "strata" in causal.independence_test(key, world["Q"], world["N"], [alone]).reason
    missing = causal.Independence("Q", "S", frozenset())
    assert causal.statement_tests(key, [missing], world)[missing].reason == "no column for S"
    with pytest.raises(ValueError, match="one number of rows"):
        causal.independence_test(key, world["Q"], causal.Column(np.zeros(3, int)))
    with pytest.raises(ValueError, match="labels, numbers"):
        causal.Column()
