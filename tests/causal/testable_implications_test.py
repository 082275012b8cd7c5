"""Testable implications against brute force, and the tests of independence against simulations with known truth."""

import itertools

import pytest

from causal_iqa import causal

OBSERVED = ("C", "M", "Q", "Y")


def _separations(graph, nodes):
    """Every separation among some nodes, from `d_separated` alone (itself tested against paths)."""
    found = set()
    for x, y in itertools.combinations(sorted(nodes), 2):
        rest = [node for node in nodes if node not in (x, y)]
        for size in range(len(rest) + 1):
            for given in itertools.combinations(rest, size):
                if causal.d_separated(graph, x, y, given):
                    found.add((x, y, frozenset(given)))
    return found


@pytest.mark.parametrize("name", [*causal.FAMILIES, *causal.ALTERNATIVES])
def test_testable_implications_are_those_that_observed_nodes_separate(name):
    graph = {**causal.FAMILIES, **causal.ALTERNATIVES}[name]
    everything = _separations(graph, OBSERVED)
    found = causal.implications(graph, OBSERVED)
    testable = {tuple(one.independence) for one in found if not one.reason}
    assert testable <= everything
    assert {(x, y) for x, y, _ in testable} == {(x, y) for x, y, _ in everything}
    for x, y, given in testable:
        assert not any((x, y, given - {node}) in everything for node in given)
    hidden = {one.independence: one.reason for one in found if one.reason}
    assert hidden
    assert all("not observed" in reason or "no column shows" in reason for reason in hidden.values())


def test_families_cannot_be_told_apart_and_alternatives_can():
    families = {name: _separations(graph, OBSERVED) for name, graph in causal.FAMILIES.items()}
    assert len({frozenset(one) for one in families.values()}) == 1
    assert causal.distinctions(causal.FAMILIES, OBSERVED) == ()
    both = {**causal.ALTERNATIVES, "no_reference": causal.FAMILIES["no_reference"]}
    found = causal.distinctions(both, OBSERVED)
    for one in found:
        for name, graph in both.items():
            assert causal.d_separated(graph, *one.independence) == (name in one.holds_in)
            assert (name in one.holds_in) != (name in one.fails_in)
    told = {name: tuple(name in one.holds_in for one in found) for name in both}
    assert len(set(told.values())) == len(both)


def test_alternatives_say_what_their_names_say():
    blind, irrelevant, surrogate = (causal.ALTERNATIVES[name] for name in ("blind", "irrelevant", "surrogate"))
    assert causal.d_separated(blind, "C", "Q")
    assert not causal.d_separated(blind, "Q", "M", {"C"})
    assert causal.d_separated(irrelevant, "Q", "M", {"C"})
    assert not causal.d_separated(irrelevant, "C", "Q")
    assert causal.d_separated(surrogate, "C", "M", {"Q"})


def test_user_graph_names_its_latent_nodes():
    graph = causal.parse("U -> A, U -> B, A -> D, B -> D")
    (one,) = [one for one in causal.implications(graph, {"A", "B", "D"}) if {"A", "B"} == {*one.independence[:2]}]
    assert one.reason == "only given U, which no column shows"
    testable = [one.independence for one in causal.implications(graph, {"A", "B", "U"}) if not one.reason]
    assert testable == [causal.Independence("A", "B", frozenset({"U"}))]
