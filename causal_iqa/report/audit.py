"""What a finished run says of its metrics as causes and effects: desiderata, graphs, effects and trends."""

import math
from collections.abc import Mapping
from typing import Any

from causal_iqa import causal, pipeline
from causal_iqa.report import study

SCHEMA = 1
_ACCURACY = "accuracy"


def audit(config: pipeline.StudyConfig, found: study.Findings) -> dict[str, Any]:
    """Returns what audit.json holds: JSON values, None where undefined.

    Args:
      config: of the study.
      found: what `study.analyse` gave.

    Returns:
      {"schema": 1, "desiderata", "families", "effects", "trends", ...}. Effects are E[value | do(condition)] -
      E[value | do(clean)], higher always better, "accuracy" the mean over the networks; a metric without a score on
      clean images is compared with the mildest conditions.
    """
    families = {}
    for family in dict.fromkeys(found.families.values()):
        graph = study.family_graph(config, family)
        families[family] = {
            "graph": str(graph),
            "independences": [
                {"x": one.x, "y": one.y, "given": sorted(one.given)} for one in causal.implied_independences(graph)
            ],
            "metrics": sorted(metric for metric, own in found.families.items() if own == family),
        }
    names = [condition.name for condition in found.conditions]
    return {
        "schema": SCHEMA,
        "networks": [choice.name for choice in config.networks],
        "level": config.level,
        "num_images": found.performance[pipeline.ALL_NETWORKS].shape[1],
        "desiderata": {
            metric: {name: verdict._asdict() for name, verdict in verdicts._asdict().items()}
            for metric, verdicts in found.desiderata.items()
        },
        "families": families,
        "effects": {value: _effects(names, effect) for value, effect in found.effects.items()},
        "trends": {
            value: {name: _number(dose.trend) for name, dose in doses.items()} for value, doses in found.doses.items()
        },
    }


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _effects(names: list[str], effect: causal.Effect) -> dict[str, dict[str, float | None]]:
    rows = zip(names, *effect, strict=True)
    return {
        name: {field: _number(value) for field, value in zip(causal.Effect._fields, row, strict=True)}
        for name, *row in rows
    }


def markdown(audited: Mapping[str, Any]) -> str:
    """Renders an audit as Markdown.

    Args:
      audited: what `audit` gave.
    """
    lines = [
        "# Audit",
        "",
        f"{audited['num_images']} images, networks {', '.join(audited['networks'])}. Every score is turned so that "
        f"higher is better; intervals of {100 * audited['level']:g} % resample the images.",
        "",
        "## Desiderata",
        "",
        *_table(
            ["metric", *causal.Desiderata._fields],
            [
                [metric, *(f"{'yes' if one['holds'] else 'no'}: {one['evidence']}" for one in verdicts.values())]
                for metric, verdicts in audited["desiderata"].items()
            ],
        ),
        "",
        "## Families",
    ]
    for family, about in audited["families"].items():
        lines += ["", f"### {family}", "", f"Metrics: {', '.join(about['metrics'])}", "", f"Graph: `{about['graph']}`"]
        lines += ["", "The graph says these must be independent:", ""]
        lines += [f"- {_independence(one)}" for one in about["independences"]]
    lines += ["", "## Average causal effect of every condition, against clean", ""]
    conditions = list(audited["effects"][_ACCURACY])
    lines += _table(
        ["condition", *audited["effects"]],
        [[name, *(_interval(by[name]) for by in audited["effects"].values())] for name in conditions],
    )
    lines += ["", "A metric without a score on clean images (PSNR) is compared with the mildest conditions.", ""]
    lines += ["## Dose-response trend", "", "Spearman correlation of severity and mean: -1 falls at every step.", ""]
    lines += _table(
        ["degradation", *audited["trends"]],
        [
            [name, *(_shown(by[name], ".2f") for by in audited["trends"].values())]
            for name in audited["trends"][_ACCURACY]
        ],
    )
    return "\n".join(lines) + "\n"


def _independence(one: Mapping[str, Any]) -> str:
    given = f" given {', '.join(one['given'])}" if one["given"] else ""
    return f"{one['x']} and {one['y']}{given}"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(row: Mapping[str, float | None]) -> str:
    effect, low, high = (_shown(row[field], ".3g") for field in causal.Effect._fields)
    return f"{effect} [{low}, {high}]"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells]
