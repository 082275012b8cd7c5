"""Graphs that a user gives, by name."""

from causal_iqa.analysis import audit as auditing


def test_names_are_given_to_nameless_graphs():
    assert list(auditing.read_graphs(["C -> Q", "two=C -> M"])) == ["graph1", "two"]
