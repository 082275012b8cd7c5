"""Rows of tables."""

import re

from causal_iqa import report
from tests.report.rows import ROWS


def test_table_is_sorted_and_fits():
    text = report.alignment_table(ROWS)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert [line.split()[0][:7] for line in lines[2:]] == ["regular", "psnr", "total_v", "entropy"]
    assert "between [95 %]" in lines[0]
    assert lines[2].count("1.00 [.95, 1.00]") == 3
    assert lines[3].split()[1:3] == ["full", "reference"]
    assert lines[3].count(".30 [.25, .35]") == 3
    assert lines[4].count("-.90 [-.95, -.85]") == 3
    assert re.search(r" - +\.00 \[-\.10, \.10\] +-$", lines[5])
    assert report.alignment_table(ROWS[::-1]) == text


def test_rows_pick_one_network_best_first():
    weak, strong = ROWS[0].alignment, ROWS[2].alignment
    aligned = {"psnr": {"all": weak, "net": strong}, "ssim": {"all": strong}, "mse": {"net": weak}}
    rows = report.rows_of(aligned, dict.fromkeys(aligned, "full_reference"))
    assert [(row.metric, row.alignment) for row in rows] == [("ssim", strong), ("psnr", weak)]
