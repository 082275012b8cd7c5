"""The judged networks as text."""

from causal_iqa import pipeline
from causal_iqa.analysis.networks import judged_networks
from causal_iqa.report import networks
from tests.analysis import worlds


def test_a_row_for_each_network():
    found = judged_networks(worlds.CONFIG, worlds.table(), 2)
    lines = networks.networks_table(found).splitlines()
    assert "clean accuracy" in lines[0] and "images" in lines[0]
    for one in found:
        (row,) = [line for line in lines if line.startswith(f"{one.clean.network} ")]
        assert one.measure.shown(one.clean.mean) in row and one.measure.shown(one.degraded) in row and " 40 " in row


def test_another_measure_has_its_own_words_and_long_names_are_cut():
    iou = pipeline.Measure("mean IoU of many parts", False, 1.0, (0.0, 1.0))
    (one, _) = judged_networks(worlds.CONFIG, worlds.table(), 2)
    long = one._replace(measure=iou, clean=one.clean._replace(network="n" * 60))
    lines = networks.networks_table([long]).splitlines()
    assert "clean mean IoU of many parts" in lines[0] and "n" * 60 not in lines[-1]
    assert "network" in networks.networks_table([])
