"""What an audit found, as tables of a page."""

import dataclasses

from causal_iqa.analysis.audit import NotDone
from causal_iqa.report import record_audit


def test_every_metric_has_a_row_in_the_order_of_families(golden):
    rows = [line for line in record_audit.desiderata(golden).splitlines() if line.startswith("|")]
    families = [row.split("|")[2].strip() for row in rows[2:]]
    assert families == sorted(families) and len(rows) - 2 <= len(golden.desiderata)


def test_a_metric_without_a_score_is_named_below(golden):
    metric, one = next(iter(golden.desiderata.items()))
    verdict = one.sensitive.verdict._replace(evidence=f"{record_audit.causal.UNDEFINED}: no score")
    lost = one._replace(sensitive=one.sensitive._replace(verdict=verdict))
    text = record_audit.desiderata(dataclasses.replace(golden, desiderata={**golden.desiderata, metric: lost}))
    assert text.splitlines()[-1].startswith("No score to judge: ")


def test_independences_have_their_graphs_and_metrics(golden):
    text = record_audit.implications(golden)
    tests = {one.independence for one in golden.graph_tests.tests}
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + len(tests)
    assert golden.graph_tests.design in text


def test_few_metrics_are_named_and_many_counted():
    assert record_audit._metrics(["a", "b"]).startswith("2: ") and record_audit._metrics(["x"] * 13) == "13"
    assert record_audit._metrics([""]) == "yes" and record_audit._metrics([]) == record_audit.format.UNKNOWN


def test_carried_is_sorted_from_the_largest_share(golden):
    rows = [line for line in record_audit.carried(golden).splitlines() if line.startswith("|")]
    assert 0 < len(rows) - 2 <= len(golden.mediation)


def test_what_was_not_done_is_said(golden):
    none = dataclasses.replace(golden, observational=NotDone("few images"), transfer=())
    assert record_audit.observational(none) == "Not done: few images."
    assert record_audit.transfer(none).startswith("Not done: no other run was given")
    assert "| truth |" in record_audit.observational(golden)
