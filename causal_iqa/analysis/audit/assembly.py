"""What a finished run says of its metrics as causes and effects: desiderata, graphs, effects and trends."""

import functools
import pathlib
from collections.abc import Callable, Mapping

from causal_iqa import _blas, _checks, causal, pipeline
from causal_iqa.analysis import effects, findings, networks
from causal_iqa.analysis.audit import doses, observational
from causal_iqa.analysis.audit import graphs as graph_tests
from causal_iqa.analysis.audit.data import AuditData, Progress, each, gather, interval, number
from causal_iqa.analysis.audit.records import (
    Aligned,
    Audit,
    DegradationFall,
    Family,
    MetricDesiderata,
    Sensitive,
)


def read_graphs(texts: tuple[str, ...] | list[str]) -> dict[str, causal.Graph]:
    """Reads the graphs a user gives.

    Args:
      texts: each NAME=GRAPH, GRAPH alone (named graph1, graph2, ...), or the path of a file with one of these on each
        line, # for comments. A graph is written as "C -> X, S -> X -> Q".

    Returns:
      name -> graph.

    Raises:
      InputError: for a file that cannot be read, a text that is no graph, or a name given twice.
    """
    lines = []
    for text in texts:
        if "->" in text:
            lines.append(text)
            continue
        try:
            content = pathlib.Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _checks.InputError(
                f"graph: {text!r} is neither a graph (C -> X, X -> Q) nor a file that can be read"
            ) from error
        lines += [line for line in (line.partition("#")[0].strip() for line in content.splitlines()) if line]
    graphs: dict[str, causal.Graph] = {}
    for place, line in enumerate(lines, 1):
        name, _, text = line.rpartition("=")
        name = name.strip() or f"graph{place}"
        if name in graphs or name in causal.FAMILIES or name in causal.ALTERNATIVES:
            raise _checks.InputError(f"graph: the name {name!r} is taken")
        try:
            graphs[name] = causal.parse(text)
        except ValueError as error:
            raise _checks.InputError(f"graph {name}: {error}") from error
    return graphs


@_blas.one_thread
def audit(
    run: pipeline.Run,
    found: findings.Findings,
    *,
    graphs: Mapping[str, causal.Graph] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    images_of_run: int | None = None,
) -> Audit:
    """Judges the metrics of a finished run by their causal graphs and by what the conditions did to them.

    Args:
      run: the finished run.
      found: result of `findings.analyse_images` for it.
      graphs: the user's, name -> graph, tested in addition to those of the families.
      progress: called with the name of a part, its work done so far and all of it.
      images_of_run: how many the run has, where the audit is of some of them (`at_most`).

    Returns:
      The audit, without transfers. Performance is the mean over the networks; a metric without a score on clean images
      is compared with the mildest conditions.
    """
    data = gather(run, found)

    def part(name: str) -> Progress | None:
        return None if progress is None else functools.partial(progress, name)

    judged = networks.judged_networks(run.config, run.table, None)
    tested = graph_tests.graph_tests(data, graphs or {}, progress=part("graph tests"))
    return Audit(
        networks=tuple(choice.name for choice in run.config.networks),
        measure=data.measure,
        clean_performance={one.clean.network: number(one.clean.mean) for one in judged},
        warnings=tuple(warning for one in judged for warning in one.warnings),
        level=run.config.level,
        num_images=len(data.labels),
        images_of_run=len(data.labels) if images_of_run is None else images_of_run,
        desiderata=_desiderata(data, found, graph_tests.evidence(tested, data)),
        families=_families(data),
        graph_tests=tested,
        effects={value: dict(zip(data.names, each(effect), strict=True)) for value, effect in found.effects.items()},
        trends={
            value: {name: number(dose.trend) for name, dose in curves.items()} for value, curves in found.doses.items()
        },
        dose_alignment=doses.dose_alignment(data, progress=part("doses")),
        observational=observational.observational_study(data, progress=part("observational study")),
        mediation=doses.mediation(data, progress=part("mediation")),
    )


def _desiderata(
    data: AuditData, found: findings.Findings, evidence: Mapping[str, causal.Evidence]
) -> dict[str, MetricDesiderata]:
    judged = {}
    for metric in data.metrics:
        own, falls = evidence[metric], graph_tests.falls(data, metric)
        verdicts = causal.judge(
            effects.family_graph(data.config, data.families[metric]),
            found.effects[metric],
            falls,
            found.alignments[metric][pipeline.ALL_NETWORKS],
            num_images=len(data.labels),
            evidence=own,
            alpha=graph_tests.ALPHA,
            level=data.config.level,
        )
        by_degradation = {name: _fall(one, own, name, data.config.level) for name, one in falls.items()}
        judged[metric] = MetricDesiderata(
            Sensitive(verdicts.sensitive, own.depends, by_degradation),
            Aligned(verdicts.aligned, own.informs, own.common_sign),
            verdicts.free_standing,
            verdicts.prior,
        )
    return judged


def _fall(one: causal.StepFalls, own: causal.Evidence, name: str, level: float) -> DegradationFall:
    claim = causal.fall_claim(one, own.falling[name], alpha=graph_tests.ALPHA, level=level)
    return DegradationFall(claim.answer, interval(one.smallest), number(one.unit), own.falling[name], own.page[name])


def _families(data: AuditData) -> dict[str, Family]:
    families = {}
    for family in dict.fromkeys(data.families.values()):
        graph = effects.family_graph(data.config, family)
        of_family = sorted(metric for metric, own in data.families.items() if own == family)
        families[family] = Family(str(graph), causal.implied_independences(graph), tuple(of_family))
    return families
