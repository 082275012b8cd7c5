"""Judges the metrics of a finished run by their causal graphs and by what the imaging conditions did to them.

  python -m experiments.audit --run=results/cifar10

Computes no score again. Writes audit.md and audit.json into the run's folder.
"""

from absl import app, flags

from causal_iqa import pipeline
from causal_iqa.report import audit as audit_report
from causal_iqa.report import study as study_report
from experiments import common

_RUN = flags.DEFINE_string("run", None, "Output folder of a finished run of experiments.align.", required=True)


def main(_: list[str]) -> None:
    """Flag -> finished run -> desiderata, audit.md and audit.json."""
    run = pipeline.read_run(_RUN.value)
    with common.progress_bar("intervals", "metric") as progress:
        found = study_report.analyse(run.config, run.columns, run.table, progress=progress)
    audited = audit_report.audit(run.config, found)
    common.check_writable(str(run.folder / "audit.json"), "run")
    pipeline.write_json(run.folder / "audit.json", audited)
    pipeline.write_atomically(run.folder / "audit.md", audit_report.markdown(audited).encode())
    print(study_report.desiderata_table(found))
    print(f"audit: {run.folder / 'audit.md'}")


if __name__ == "__main__":
    app.run(common.reporting_user_errors(main))
