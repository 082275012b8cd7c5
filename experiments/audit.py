"""Judges the metrics of a finished run by their causal graphs and by what the imaging conditions did to them.

  python -m experiments.audit --run=results/cifar10
  python -m experiments.audit --run=results/cifar10 --graph='gate=C -> ssim -> Q, S -> Q, S -> M'

  python -m experiments.audit --run=results/cifar10 --transfer_from=results/imagenet

Computes no score again. Writes audit.md, audit.json and figures/audit_*.png into the run's folder.
"""

import contextlib
import sys

from absl import app, flags

from causal_iqa import pipeline
from causal_iqa.report import audit as audit_report
from causal_iqa.report import findings, transfer
from causal_iqa.report import study as study_report
from experiments import common

_RUN = flags.DEFINE_string("run", None, "Output folder of a finished run of experiments.align.", required=True)
_GRAPH = flags.DEFINE_multi_string(
    "graph",
    [],
    "Causal graph to test beside those of the metric families: NAME=GRAPH with GRAPH such as 'C -> X, S -> X -> Q', or "
    "a file with one on each line; repeat for more. Columns are C, degradation, severity, Y, M, Q (each metric in "
    "turn), metrics by name, clean_METRIC, and the table's own (resnet_p_true); other nodes are latent.",
)
_TRANSFER_FROM = flags.DEFINE_multi_string(
    "transfer_from",
    [],
    "Output folder of another finished run: maps from score to accuracy learned there predict the accuracy of this "
    "run; repeat for more.",
)


def main(_: list[str]) -> None:
    """Flags -> finished run -> desiderata, audit.md, audit.json and figures."""
    graphs = audit_report.read_graphs(_GRAPH.value)
    run = pipeline.read_run(_RUN.value)
    common.check_writable(str(run.folder / "audit.json"), "run")
    others = [pipeline.read_run(folder) for folder in _TRANSFER_FROM.value]
    for warning in (line for one in (run, *others) for line in one.warnings):
        print(f"warning: {warning}", file=sys.stderr)
    rows = findings.image_rows(run.config, run.columns, run.table, whole=False)
    with common.progress_bar("intervals", "metric") as progress:
        found = findings.analyse_images(run.config, rows, progress=progress)
    with contextlib.ExitStack() as stack:
        bars = {}

        def progress_of(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = stack.enter_context(common.progress_bar(name, "step"))
            bars[name](done, total)

        audited = audit_report.audit(run, found, graphs=graphs, progress=progress_of)
    audited["transfer"] = [
        transfer.transfer(
            transfer.Side(
                other.folder.name, findings.image_rows(other.config, other.columns, other.table, whole=False)
            ),
            transfer.Side(run.folder.name, rows),
            level=run.config.level,
        )
        for other in others
    ]
    with pipeline.lock(run.folder, flag="run"):
        audit_report.write(run.folder, audited, found)
    print(study_report.desiderata_table(found._replace(desiderata=audit_report.verdicts(audited))))
    print(f"audit: {run.folder / 'audit.md'}")


if __name__ == "__main__":
    app.run(common.reporting_user_errors(main))
