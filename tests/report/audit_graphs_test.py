"""Causal graphs of an audit in words: statements, tests, and what tells graphs apart."""

from causal_iqa import causal
from causal_iqa.report import audit_graphs


def test_statements_are_words_and_names_are_text():
    assert audit_graphs.statement(causal.Independence("M", "Q", frozenset({"C", "Y"}))) == "M and Q given C, Y"
    assert audit_graphs.statement(causal.Independence("C", "Q", frozenset())) == "C and Q"
    assert "<b>" not in audit_graphs.statement(causal.Independence("<b>", "Q", frozenset()))


def test_every_graph_and_every_test_stands_in_a_table(golden):
    found = golden.graph_tests
    text = "\n".join(audit_graphs.tested(found))
    for graph in found.verdicts:
        assert graph.replace("_", " ") in text.replace("\\_", "_").replace("_", " ")
    assert found.design in text
    rejected = [one for one in found.tests if one.verdict == "rejected" and one.metric is not None]
    assert text.count(" *") >= len(rejected) > 0


def test_graphs_that_nothing_tells_apart_are_named(golden):
    found = golden.graph_tests._replace(distinctions=())
    text = "\n".join(audit_graphs._alike(found))
    assert text.startswith("No independence of observed columns tells these apart: ")
    one = found._replace(graphs=dict([next(iter(found.graphs.items()))]))
    assert audit_graphs._alike(one) == []
