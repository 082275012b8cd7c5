"""Attribution of a difference of expected accuracy: against Shapley's definition, and where the truth is known."""

import itertools
import math

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.analysis import attribution

CAUSES = ("none", "fog", "blur", "noise")


def _set(seed: int, n: int, shares, harm, group_shares, level) -> tuple[attribution.SetOfImages, np.ndarray]:
    """Images with known causes and groups: a cause takes `harm` of the accuracy that a group has without it."""
    draw = np.random.default_rng(seed)
    causes, groups = draw.choice(4, n, p=shares), draw.choice(len(level), n, p=group_shares)
    expected = np.asarray(level)[groups] - np.asarray(harm)[causes]
    return attribution.SetOfImages(expected, np.eye(4)[causes], groups), causes


def _game(first, second):
    """Value of every coalition by the definition in the module's docstring, without closed forms."""
    groups = np.unique(np.concatenate([first.groups, second.groups]))
    both = attribution.SetOfImages(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
    b = np.asarray([both.expected[(both.groups == g) & (both.causes[:, 0] > 0.5)].mean() for g in groups])
    tables = []
    for one in (first, second):
        w = np.asarray([(one.groups == g).mean() for g in groups])
        lack = one.expected - b[np.searchsorted(groups, one.groups)]
        d = [[(one.causes[:, c] * lack)[one.groups == g].mean() for g in groups] for c in range(4)]
        tables.append((w, np.asarray(d)))

    def value(players):
        return float(tables["groups" in players][0] @ (b + sum(tables[c in players][1][c] for c in range(4))))

    return value


def test_values_are_shapleys():
    first, _ = _set(0, 400, (0.7, 0.1, 0.1, 0.1), (0, 0.2, 0.3, 0.1), (0.5, 0.5), (0.9, 0.7))
    second, _ = _set(1, 500, (0.4, 0.4, 0.1, 0.1), (0, 0.3, 0.3, 0.2), (0.2, 0.8), (0.85, 0.6))
    found = attribution.attribute(first, second, CAUSES, resamples=2)
    value, players = _game(first, second), [1, 2, 3, 0, "groups"]
    for player, ours in zip(players, found.values, strict=True):
        others = [one for one in players if one != player]
        shapley = 0.0
        for size in range(len(others) + 1):
            weight = math.factorial(size) * math.factorial(len(others) - size) / math.factorial(len(players))
            for some in itertools.combinations(others, size):
                shapley += weight * (value({*some, player}) - value(set(some)))
        # The only departure is the prior of a group's accuracy without a cause.
        assert ours == pytest.approx(shapley, abs=0.003)
    assert found.values.sum() == pytest.approx(found.difference, abs=1e-12)
    assert found.names == ("fog", "blur", "noise", attribution.REST, attribution.GROUPS)


def test_truth_by_construction():
    harm = (0.0, 0.4, 0.2, 0.1)
    first, _ = _set(2, 4000, (1.0, 0, 0, 0), harm, (0.5, 0.5), (0.9, 0.9))
    second, causes = _set(3, 4000, (0.4, 0.3, 0.2, 0.1), harm, (0.5, 0.5), (0.9, 0.9))
    found = attribution.attribute(first, second, CAUSES)
    truth = np.asarray([-(causes == c).mean() * harm[c] for c in (1, 2, 3)])
    np.testing.assert_allclose(found.values[:3], truth, rtol=0.02)
    np.testing.assert_allclose(found.values[3:], 0.0, atol=1e-3)
    np.testing.assert_allclose(found.prevalence[:3], truth, rtol=0.02)
    assert (found.low[:3] < truth).all() and (truth < found.high[:3]).all()
    assert (found.high - found.low)[:3].max() < 0.02


def test_few_images_wrongly_called_clean_change_little():
    harm = (0.0, 0.4, 0.2, 0.1)
    first, _ = _set(8, 2000, (1.0, 0, 0, 0), harm, (1.0,), (0.9,))
    second, causes = _set(9, 2000, (0.0, 0.4, 0.4, 0.2), harm, (1.0,), (0.9,))
    seen = np.where(np.random.default_rng(0).uniform(size=2000) < 0.05, 0, causes)
    found = attribution.attribute(first, second._replace(causes=np.eye(4)[seen]), CAUSES, resamples=2)
    truth = np.asarray([-(causes == c).mean() * harm[c] for c in (1, 2, 3)])
    np.testing.assert_allclose(found.values[:3], truth, rtol=0.25)


def test_severity_and_groups_are_told_from_prevalence():
    first, _ = _set(4, 4000, (0.5, 0.5, 0, 0), (0, 0.1, 0, 0), (0.5, 0.5), (0.9, 0.5))
    worse, _ = _set(5, 4000, (0.5, 0.5, 0, 0), (0, 0.3, 0, 0), (0.5, 0.5), (0.9, 0.5))
    found = attribution.attribute(first, worse, CAUSES, resamples=2)
    assert found.values[0] == pytest.approx(-0.1, abs=0.01) and abs(found.prevalence[0]) < 0.01
    other, _ = _set(6, 4000, (0.5, 0.5, 0, 0), (0, 0.1, 0, 0), (0.1, 0.9), (0.9, 0.5))
    found = attribution.attribute(first, other, CAUSES, resamples=2)
    assert found.values[-1] == pytest.approx(-0.16, abs=0.015) and np.abs(found.values[:-1]).max() < 0.01
    # A group that the other set lacks is a matter of composition alone.
    lone, _ = _set(7, 2000, (0.5, 0.5, 0, 0), (0, 0.1, 0, 0), (1.0, 0.0), (0.9, 0.5))
    found = attribution.attribute(lone, first, CAUSES, resamples=2)
    assert found.values[-1] == pytest.approx(-0.2, abs=0.015) and np.abs(found.values[:-1]).max() < 0.01
    assert found.values.sum() == pytest.approx(found.difference, abs=1e-12)


def test_bad_input():
    good = attribution.SetOfImages(np.full(3, 0.5), np.eye(4)[[0, 1, 2]])
    for wrong, message in (
        (good._replace(expected=np.full(2, 0.5)), r"second: expected \[n\]"),
        (good._replace(expected=np.full(3, 1.5)), "in \\[0, 1\\]"),
        (good._replace(causes=0.5 * good.causes), "sum to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            attribution.attribute(good, wrong, CAUSES)
    with pytest.raises(InputError, match="groups"):
        attribution.attribute(good, good._replace(groups=np.zeros(3)), CAUSES)
    with pytest.raises(ValueError, match="causes: expected 4 names, got 2"):
        attribution.attribute(good, good, CAUSES[:2])
