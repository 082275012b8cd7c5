"""What a finished run says of its metrics as causes and effects: desiderata, graphs, effects and trends."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from causal_iqa import _checks, causal, pipeline
from causal_iqa.analysis import findings, networks
from causal_iqa.analysis.audit import doses, observational
from causal_iqa.analysis.audit import graphs as graph_tests
from causal_iqa.analysis.audit.data import AuditData, Progress, gather, interval, number

SCHEMA = 3


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


def audit(
    run: pipeline.Run,
    found: findings.Findings,
    *,
    graphs: Mapping[str, causal.Graph] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    images_of_run: int | None = None,
) -> dict[str, Any]:
    """Returns what audit.json holds: JSON values, None where undefined.

    Args:
      run: the finished run.
      found: what `findings.analyse_images` gave for it.
      graphs: the user's, name -> graph, tested beside those of the families.
      progress: called with the name of a part, its work done so far and all of it.
      images_of_run: how many the run has, where the audit is of some of them (`at_most`).

    Returns:
      {"schema": 3, "desiderata", "families", "graph_tests", "effects", "trends", "dose_alignment", "observational",
      "mediation", ...}. Effects are E[value | do(condition)] - E[value | do(clean)], higher always better, "accuracy",
      or "performance" of another measure, the mean over the networks; a metric without a score on clean images is
      compared with the mildest conditions.
    """
    data = gather(run, found)

    def part(name: str) -> Progress | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    judged = networks.judged_networks(run.config, run.table, None)
    tested = graph_tests.graph_tests(data, graphs or {}, progress=part("graph tests"))
    return {
        "schema": SCHEMA,
        "networks": [choice.name for choice in run.config.networks],
        "measure": data.measure.as_dict(),
        f"clean_{data.measure.key}": {one.clean.network: number(one.clean.mean) for one in judged},
        "warnings": [warning for one in judged for warning in one.warnings],
        "level": run.config.level,
        "num_images": len(data.labels),
        "images_of_run": len(data.labels) if images_of_run is None else images_of_run,
        "desiderata": _desiderata(data, found, graph_tests.evidence(tested, data)),
        "families": _families(data),
        "graph_tests": tested,
        "effects": {value: _effects(data.names, effect) for value, effect in found.effects.items()},
        "trends": {
            value: {name: number(dose.trend) for name, dose in doses.items()} for value, doses in found.doses.items()
        },
        "dose_alignment": doses.dose_alignment(data, progress=part("doses")),
        "observational": observational.observational_study(data, progress=part("observational study")),
        "mediation": doses.mediation(data, progress=part("mediation")),
    }


def verdicts(audited: Mapping[str, Any]) -> dict[str, causal.Desiderata]:
    """The verdicts of an audit, metric -> `causal.Desiderata`.

    Args:
      audited: what `audit` gave.
    """
    return {
        metric: causal.Desiderata(
            *(causal.Verdict(*(one[name] for name in causal.Verdict._fields)) for one in by.values())
        )
        for metric, by in audited["desiderata"].items()
    }


def _desiderata(
    data: AuditData, found: findings.Findings, evidence: Mapping[str, causal.Evidence]
) -> dict[str, dict[str, Any]]:
    judged = {}
    for metric in data.metrics:
        own, falls = evidence[metric], graph_tests.falls(data, metric)
        verdicts = causal.judge(
            findings.family_graph(data.config, data.families[metric]),
            found.effects[metric],
            falls,
            found.alignments[metric][pipeline.ALL_NETWORKS],
            num_images=len(data.labels),
            evidence=own,
            alpha=graph_tests.ALPHA,
            level=data.config.level,
        )
        judged[metric] = {name: verdict._asdict() for name, verdict in verdicts._asdict().items()}
        judged[metric]["sensitive"] |= {
            "independent_of_condition": _test(own.depends),
            "degradations": {name: _fall(one, own, name, data.config.level) for name, one in falls.items()},
        }
        judged[metric]["aligned"] |= {"independence": _test(own.informs), "common_sign": _test(own.common_sign)}
    return judged


def _fall(one: causal.StepFalls, own: causal.Evidence, name: str, level: float) -> dict[str, Any]:
    return {
        "answer": causal.fall_claim(one, own.falling[name], alpha=graph_tests.ALPHA, level=level).answer,
        "smallest_fall": interval(one.smallest),
        "unit": number(one.unit),
        "falls_at_every_step": _test(own.falling[name]),
        "page": _test(own.page[name]),
    }


def _test(one: causal.CorrectedTest) -> dict[str, float | None]:
    return {"p_value": number(one.p_value), "holm": number(one.corrected), "z": number(one.z)}


def _families(data: AuditData) -> dict[str, dict[str, Any]]:
    families = {}
    for family in dict.fromkeys(data.families.values()):
        graph = findings.family_graph(data.config, family)
        families[family] = {
            "graph": str(graph),
            "independences": [
                {"x": one.x, "y": one.y, "given": sorted(one.given)} for one in causal.implied_independences(graph)
            ],
            "metrics": sorted(metric for metric, own in data.families.items() if own == family),
        }
    return families


def _effects(names: tuple[str, ...], effect: causal.Effect) -> dict[str, dict[str, float | None]]:
    rows = zip(names, *effect, strict=True)
    return {
        name: {field: number(value) for field, value in zip(causal.Effect._fields, row, strict=True)}
        for name, *row in rows
    }
