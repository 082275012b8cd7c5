"""Rows of tables."""

import re

from causal_iqa import report
from causal_iqa.alignment import Difference, Differences, Estimate, Gains
from causal_iqa.report import tables
from tests.report.rows import ROWS


def test_table_is_sorted_and_fits():
    text = report.alignment_table(ROWS)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    # A name that is wider than its column is not cut: it stands above its numbers.
    assert [line.split()[0] for line in lines[2:]] == [
        "regularised_witness/cifar_resnet20/stage3/true_class_share", "task", "psnr", "total_variation", "entropy",
        "family:",
    ]  # fmt: skip
    assert "between [95 %]" in lines[0]
    assert lines[3].count("1.00 [.95, 1.00]") == 3
    assert lines[4].split()[1] == "full"
    assert lines[4].count(".30 [.25, .35]") == 3
    assert lines[5].count("-.90 [-.95, -.85]") == 3
    assert re.search(r" - +\.00 \[-\.10, \.10\] +-$", lines[6])
    places = [[found.start() for found in re.finditer(r"\[", line)] for line in lines[3:6]]
    assert places[0] == places[1] == places[2]
    assert lines[7] == "family: full - full reference, no - no reference, task - task guided"
    assert report.alignment_table(ROWS[::-1]) == text


def test_a_table_without_rows_has_no_legend():
    assert "family:" not in report.alignment_table([])


def test_both_intervals_of_a_gain_stand_below_one_another():
    def gains(low, best=None):
        one = Difference(Estimate(0.2, low, 0.3), 0.01)
        return Gains(Differences(one, one, one, one), best or {})

    name = "mahalanobis_middle_free@efficientnet_lite0"
    best = {"corrected": "ssim_scikit_image", "within": "mdsi", "pooled": "vif"}
    found, moved = {name: {"best_conventional": gains(0.1, best)}}, {name: {"best_conventional": gains(-0.1)}}
    lines = tables.gains_table(found, moved).splitlines()
    assert max(map(len, lines)) <= 100 and lines[2] == name
    assert lines[3].split() == ["best", "conventional", *[".20", "[.10,", ".30]"] * 3]
    assert lines[4].split() == ["[-.10,", ".30]"] * 3
    assert lines[5].split() == list(best.values())
    assert lines[3].index("[") == lines[4].index("[") == lines[5].index("s")
    assert len(tables.gains_table(found, {}).splitlines()) == 5


def test_rows_pick_one_network_best_first():
    weak, strong = ROWS[0].alignment, ROWS[2].alignment
    aligned = {"psnr": {"all": weak, "net": strong}, "ssim": {"all": strong}, "mse": {"net": weak}}
    rows = report.rows_of(aligned, dict.fromkeys(aligned, "full_reference"))
    assert [(row.metric, row.alignment) for row in rows] == [("ssim", strong), ("psnr", weak)]
