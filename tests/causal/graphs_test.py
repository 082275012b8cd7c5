"""Graphs: their text, separation against a naive path search, surgery and adjustment."""

import itertools

import pytest

from causal_iqa import causal


def _blocked(graph, path, given):
    """Pearl's definition 1.2.3 on one path, spelled out."""
    descendants = {node: _descendants(graph, node) | {node} for node in graph.nodes}
    for before, node, after in zip(path, path[1:], path[2:], strict=False):
        collider = (before, node) in graph.edges and (after, node) in graph.edges
        if collider and not descendants[node] & given:
            return True
        if not collider and node in given:
            return True
    return False


def _descendants(graph, node):
    found, todo = set(), [node]
    while todo:
        todo_now = todo.pop()
        for a, b in graph.edges:
            if a == todo_now and b not in found:
                found.add(b)
                todo.append(b)
    return found


def _paths(graph, x, y, seen=()):
    seen = (*seen, x)
    if x == y:
        yield seen
        return
    neighbours = {b for a, b in graph.edges if a == x} | {a for a, b in graph.edges if b == x}
    for node in sorted(neighbours - set(seen)):
        yield from _paths(graph, node, y, seen)


def _separated_naively(graph, x, y, given):
    return all(_blocked(graph, path, set(given)) for path in _paths(graph, x, y))


@pytest.mark.parametrize("family", causal.FAMILIES)
def test_separation_equals_a_search_over_paths(family):
    graph = causal.FAMILIES[family]
    answers = set()
    for x, y in itertools.combinations(graph.nodes, 2):
        others = [node for node in graph.nodes if node not in (x, y)]
        for size in (0, 1, 2):
            for given in itertools.combinations(others, size):
                expected = _separated_naively(graph, x, y, given)
                assert causal.d_separated(graph, x, y, given) == expected, (x, y, given)
                answers.add(expected)
    assert answers == {True, False}


@pytest.mark.parametrize("family", causal.FAMILIES)
@pytest.mark.parametrize("at_task", [False, True])
def test_every_implied_independence_is_a_minimal_separation(family, at_task):
    graph = causal.at_task_input(causal.FAMILIES[family]) if at_task else causal.FAMILIES[family]
    found = causal.implied_independences(graph)
    pairs = {frozenset(edge) for edge in graph.edges}
    assert len(found) == len(graph.nodes) * (len(graph.nodes) - 1) // 2 - len(pairs)
    for x, y, given in found:
        assert _separated_naively(graph, x, y, given)
        for node in given:
            assert not _separated_naively(graph, x, y, given - {node})


def test_families_say_what_the_design_says():
    families = causal.FAMILIES
    common = {("C", "X"), ("S", "X"), ("S", "Y"), ("X", "X_in"), ("X_in", "M"), ("Y", "M"), ("W", "M")}
    own = {
        "no_reference": {("X", "Q")},
        "full_reference": {("X", "Q"), ("S", "R"), ("R", "Q")},
        "label_free": {("X", "Q"), ("T", "Q"), ("T", "W")},
        "task_guided": {("X", "Q"), ("T", "Q"), ("T", "W"), ("Y", "Q")},
        "network_output": {("X_in", "Q"), ("W", "Q")},
        "feature_reference": {("X", "Q"), ("S", "R"), ("R", "Q"), ("T", "Q"), ("T", "W")},
    }
    assert {name: set(graph.edges) for name, graph in families.items()} == {n: common | e for n, e in own.items()}
    # Without a label, X (and shared task knowledge) separates score and performance; C alone does not.
    assert causal.d_separated(families["no_reference"], "Q", "M", {"X"})
    assert causal.d_separated(families["label_free"], "Q", "M", {"X", "T"})
    assert not causal.d_separated(families["no_reference"], "Q", "M", {"C"})
    assert not causal.d_separated(families["task_guided"], "Q", "M", {"X", "T"})
    assert causal.d_separated(families["task_guided"], "Q", "M", {"X", "T", "Y"})


def test_scores_at_the_task_input_are_separated_by_it():
    graph = causal.FAMILIES["no_reference"]
    assert not causal.d_separated(graph, "Q", "M", {"X_in"})
    # X_in leaves only the label's own way from the scene to M, and Q sees the scene through X_in alone.
    assert causal.d_separated(causal.at_task_input(graph), "Q", "M", {"X_in"})
    assert ("X", "Q") not in causal.at_task_input(graph).edges


def test_intervention_cuts_the_edges_into_a_node_only():
    graph = causal.parse("U -> A, U -> B, A -> B, B -> D")
    cut = causal.do(graph, "A")
    assert set(cut.edges) == {("U", "B"), ("A", "B"), ("B", "D")}
    assert cut.nodes == graph.nodes
    assert causal.d_separated(cut, "U", "A")


def test_adjustment_blocks_the_back_door_without_descendants():
    graph = causal.parse("U -> A, U -> B, A -> D -> B")
    assert causal.adjustment_set(graph, "A", "B") == {"U"}
    assert causal.adjustment_set(graph, "A", "B", observed={"D"}) is None
    assert causal.adjustment_set(causal.do(graph, "A"), "A", "B") == frozenset()
    assert causal.adjustment_set(causal.FAMILIES["task_guided"], "C", "M") == frozenset()
    assert causal.adjustment_set(causal.FAMILIES["no_reference"], "X", "M") in ({"S"}, {"Y"})


def test_text_goes_there_and_back():
    graph = causal.parse("C -> X -> Q, S -> X, C -> X, W")
    assert graph.nodes == ("C", "X", "Q", "S", "W")
    assert graph.edges == (("C", "X"), ("X", "Q"), ("S", "X"))
    assert str(graph) == "C -> X, X -> Q, S -> X, W"
    assert set(causal.parse(str(graph)).nodes) == set(graph.nodes)
    assert causal.parse(str(graph)).edges == graph.edges


@pytest.mark.parametrize("text", ["", "A -> ", "A -> B,", "A - B", "A -> A", "A -> B -> C -> A"])
def test_refuses_text_that_is_no_graph(text):
    with pytest.raises(ValueError, match=r"text: expected|no cycle"):
        causal.parse(text)


def test_names_the_cycle_and_the_unknown_node():
    with pytest.raises(ValueError, match="A -> B -> A"):
        causal.parse("A -> B, B -> A")
    graph = causal.parse("A -> B")
    for call in (
        lambda: causal.d_separated(graph, "A", "Z"),
        lambda: causal.d_separated(graph, "A", "B", {"Z"}),
        lambda: causal.adjustment_set(graph, "Z", "B"),
        lambda: causal.do(graph, "Z"),
        lambda: causal.Graph(("A",), (("A", "Z"),)),
    ):
        with pytest.raises(ValueError, match="unknown node Z"):
            call()
    with pytest.raises(ValueError, match="different nodes"):
        causal.d_separated(graph, "A", "A")
    with pytest.raises(ValueError, match="X -> Q"):
        causal.at_task_input(causal.parse("X -> X_in, Q"))
