"""The steps of `align` on a config: a study prepared, looked at, and scored by the processes of a team."""

import dataclasses
import sys

from causal_iqa import InputError, pipeline
from causal_iqa.cli import hosts, progress

# Where the processes of one run wait for each other.
BEGUN, SCORED, REPORTED = "begun", "scored", "reported"


def prepare(config: pipeline.StudyConfig, execution: pipeline.Execution, remark: str) -> tuple[pipeline.Study, str]:
    """Prepares the study; a backbone that was chosen for the user never stops it."""

    def opened(wanted: pipeline.StudyConfig) -> pipeline.Study:
        with progress.steps("preparing", len(pipeline.PREPARATION)) as tell:
            return pipeline.prepare(wanted, execution, progress=tell)

    if not remark or not config.metrics:
        return opened(config), remark
    try:
        return opened(config), remark
    except InputError as error:
        study = opened(dataclasses.replace(config, backbones=()))
        return study, f"no --backbone given, and the new metrics are left out ({error})"


def print_first_look(study: pipeline.Study, output: pipeline.Store, execution: pipeline.Execution) -> None:
    """Prints the accuracy of the networks on a few clean images, unless everything is scored already."""
    if not study.networks or all(output.has_part(number) for number in range(output.num_parts(len(study.indices)))):
        return
    with progress.stage("first look at the networks"):
        looked = pipeline.first_look(study, execution)
    for one in looked:
        print(one.line())
    for one in looked:
        for warning in one.warnings:
            print(f"warning: {warning}", file=sys.stderr)


def score_own(study: pipeline.Study, output: pipeline.Store, execution: pipeline.Execution, team: hosts.Team) -> None:
    """Scores the share of this process."""
    share = f"{len(study.config.conditions)} conditions, process {team.index} of 0 to {team.count - 1}"
    with progress.stage(share, "images", compiles=True) as tell:
        pipeline.run_share(study, output, execution, index=team.index, count=team.count, progress=tell)


def score_share(study: pipeline.Study, output: pipeline.Store, execution: pipeline.Execution, team: hosts.Team) -> None:
    """What every process but the first does."""
    team.wait(BEGUN)
    with output.joined():
        score_own(study, output, execution, team)
    with progress.stage("waiting for the report of the first process"):
        team.wait(SCORED)
        team.wait(REPORTED)
