"""Judges the metrics of a finished run by their causal graphs and by what the imaging conditions did to them.

  causal-iqa audit --run=results/cifar10
  causal-iqa audit --run=results/cifar10 --graph='gate=C -> ssim -> Q, S -> Q, S -> M'

  causal-iqa audit --run=results/cifar10 --transfer_from=results/imagenet

Computes no score again. Writes audit.md, audit.json and figures/audit_*.png into the run's folder.
"""

import dataclasses
import sys

from causal_iqa import pipeline
from causal_iqa.analysis import audit as auditing
from causal_iqa.analysis import calls
from causal_iqa.cli import common, flagset, program_cache, progress
from causal_iqa.report import audit as audit_report
from causal_iqa.report import study as study_report

FLAGS = flagset.FlagSet()

_RUN = FLAGS.string("run", None, "Output folder of a finished study (causal-iqa align).", required=True)
_GRAPH = FLAGS.repeated(
    "graph",
    "Further causal graph to test, as the metric families' graphs are: NAME=GRAPH with GRAPH such as "
    "'C -> X, S -> X -> Q', or a file with one on each line; repeat for more. Columns are C, degradation, severity, Y, "
    "M, Q (each metric in turn), metrics by name, clean_METRIC, and the table's own (resnet_p_true); other nodes are "
    "latent.",
)
_TRANSFER_FROM = FLAGS.repeated(
    "transfer_from",
    "Output folder of another finished run: maps from score to accuracy learned there predict the accuracy of this "
    "run; repeat for more.",
)

FLAGS.group("Machine")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)


def main(_: list[str]) -> None:
    """Flags -> finished run -> desiderata, audit.md, audit.json and figures."""
    program_cache.keep(_COMPILATION_CACHE.value)
    graphs = auditing.read_graphs(_GRAPH.value)
    opened = [pipeline.read_run(_RUN.value)]
    folder = opened[0].folder
    common.check_writable(str(folder / "audit.json"), "run")
    others = [pipeline.read_run(folder) for folder in _TRANSFER_FROM.value]
    for warning in (line for one in (*opened, *others) for line in one.warnings):
        print(f"warning: {warning}", file=sys.stderr)
    with progress.steps("audit") as tell:
        audited, found = calls.judge(opened.pop(), graphs=graphs, transfer_from=others, progress=tell)
    with pipeline.lock(folder, flag="run"):
        audit_report.write(folder, audited, found)
    print(study_report.desiderata_table(dataclasses.replace(found, desiderata=audited.verdicts())))
    print(f"audit: {folder / 'audit.md'}")
