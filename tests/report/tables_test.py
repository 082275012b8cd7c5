"""Rows of tables."""

import re

import numpy as np

from causal_iqa import report
from causal_iqa.alignment import Alignment, Estimate

_NAN = Estimate(np.nan, np.nan, np.nan)


def _row(name, rho, family="full_reference"):
    interval = Estimate(rho, rho - 0.05, min(1.0, rho + 0.05))
    return report.Row(name, family, Alignment(interval, interval, interval))


_ROWS = [
    _row("psnr", 0.3),
    report.Row("entropy", "no_reference", Alignment(_NAN, Estimate(-0.001, -0.1, 0.1), _NAN)),
    _row("regularised_witness/cifar_resnet20/stage3/true_class_share", 0.999, "task_guided"),
    _row("total_variation", -0.9, "no_reference"),
]


def test_table_is_sorted_and_fits():
    text = report.alignment_table(_ROWS)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert [line.split()[0][:7] for line in lines[2:]] == ["regular", "psnr", "total_v", "entropy"]
    assert "between [95 %]" in lines[0]
    assert lines[2].count("1.00 [.95, 1.00]") == 3
    assert lines[3].split()[1:3] == ["full", "reference"]
    assert lines[3].count(".30 [.25, .35]") == 3
    assert lines[4].count("-.90 [-.95, -.85]") == 3
    assert re.search(r" - +\.00 \[-\.10, \.10\] +-$", lines[5])
    assert report.alignment_table(_ROWS[::-1]) == text


def test_rows_pick_one_network_best_first():
    weak, strong = _ROWS[0].alignment, _ROWS[2].alignment
    aligned = {"psnr": {"all": weak, "net": strong}, "ssim": {"all": strong}, "mse": {"net": weak}}
    rows = report.rows_of(aligned, dict.fromkeys(aligned, "full_reference"))
    assert [(row.metric, row.alignment) for row in rows] == [("ssim", strong), ("psnr", weak)]
