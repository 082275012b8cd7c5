"""Rows of an alignment table, one undefined and one with a long name."""

import numpy as np

from causal_iqa import report
from causal_iqa.alignment import Alignment, Estimate

NAN = Estimate(np.nan, np.nan, np.nan)


def row(name, rho, family="full_reference"):
    interval = Estimate(rho, rho - 0.05, min(1.0, rho + 0.05))
    return report.Row(name, family, Alignment(interval, interval, interval))


ROWS = [
    row("psnr", 0.3),
    report.Row("entropy", "no_reference", Alignment(NAN, Estimate(-0.001, -0.1, 0.1), NAN)),
    row("regularised_witness/cifar_resnet20/stage3/true_class_share", 0.999, "task_guided"),
    row("total_variation", -0.9, "no_reference"),
]
