"""The effects of the conditions on every score and on performance, and the verdicts on the desiderata."""

from collections.abc import Mapping, Sequence

import numpy as np

from causal_iqa import _keys, alignment, causal, pipeline
from causal_iqa.analysis import parts
from causal_iqa.analysis.rows import ImageRows

_ALL = pipeline.ALL_NETWORKS


def judge_effects(
    config: pipeline.StudyConfig,
    rows: ImageRows,
    alignments: Mapping[str, Mapping[str, alignment.Alignment]],
    doing: parts.Parts,
) -> tuple[
    dict[str, Mapping[str, causal.DoseResponse]],
    dict[str, causal.Estimate],
    dict[str, causal.Desiderata],
]:
    """Finds dose-response curves, effects and desiderata of every metric, for the mean over the networks.

    Args:
      config: configuration of the study.
      rows: rows of the study.
      alignments: metric -> network -> alignment.
      doing: keeps what fails.

    Returns:
      (metric, and `measure.key` -> degradation -> curve; the same -> effects; metric -> desiderata).
    """
    key = _keys.named(config.seed, "effects of the conditions")
    options = {"num_resamples": config.num_resamples, "clusters": rows.clusters, "level": config.level}
    names = [condition.degradation for condition in rows.conditions]
    severities = [condition.severity for condition in rows.conditions]

    def judge(values, start):
        dose = causal.dose_response(values, names, severities)
        # Where the clean image has no score (PSNR against itself) the mildest conditions replace it.
        base = start if np.isfinite(start).any() else _mildest(values, severities)
        return dose, causal.average_effects(key, values, base, **options)

    def verdicts(metric, effect):
        values, start = rows.scores[metric][_ALL], rows.clean[metric][_ALL]
        return causal.judge(
            family_graph(config, rows.families[metric]),
            effect,
            causal.falls_by_degradation(
                values, names, severities, clean=start, clusters=rows.clusters, level=config.level
            ),
            alignments[metric][_ALL],
            num_images=values.shape[1],
            level=config.level,
        )

    scored = {
        metric: (by[_ALL], rows.clean[metric][_ALL]) for metric, by in rows.scores.items() if metric in alignments
    }
    of_performance = {rows.measure.key: (rows.performance[_ALL], rows.clean_performance[_ALL])}
    judged = doing.each(
        "effects of the conditions",
        lambda some: {name: judge(*values) for name, values in some.items()},
        of_performance | scored,
    )
    doses = {name: dose for name, (dose, _) in judged.items()}
    effects = {name: effect for name, (_, effect) in judged.items()}
    desiderata = doing.each(
        "desiderata",
        lambda some: {metric: verdicts(metric, effect) for metric, effect in some.items()},
        {metric: effect for metric, effect in effects.items() if metric in scored},
    )
    return doses, effects, desiderata


def family_graph(config: pipeline.StudyConfig, family: str) -> causal.Graph:
    """Returns the causal graph of a metric family where this study scores quality.

    Args:
      config: configuration of the study.
      family: family of metrics.
    """
    graph = causal.FAMILIES[family]
    # The networks' own outputs are read behind the task's preprocessing anyway.
    return causal.at_task_input(graph) if config.score_at == "task" and ("X", "Q") in graph.edges else graph


def _mildest(values: np.ndarray, severities: Sequence[float] | np.ndarray) -> np.ndarray:
    rows = values[np.asarray(severities) == min(severities)]
    finite = np.isfinite(rows)
    total = np.where(finite, rows, 0.0).sum(axis=0)
    return np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.nan)
