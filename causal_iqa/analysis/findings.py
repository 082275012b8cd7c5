"""What a finished score table says of its metrics: alignment, effects, desiderata, gains, predicted performance."""

import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import _keys, alignment, causal, pipeline
from causal_iqa.analysis import inference, network_outputs, parts, predictions, sets

# Resamples of the further measures, whose intervals need a standard error only, and permutations of the null.
_MEASURE_RESAMPLES, _PERMUTATIONS = 100, 999
# The parts of `analyse`, in order.
PARTS = (
    "estimates from the networks' own outputs",
    "shares of sets",
    "intervals",
    "effects of the conditions",
    "desiderata",
    "intervals for conditions like these",
    "dependence of sets",
    "alignment of the networks' own outputs",
    "further measures",
    "permutation tests",
    "gains",
    "comparisons",
    "predicted performance",
    "performance predicted by the networks' outputs",
)
# What both kinds of score draw other degradations by, so that they can be compared.
LIKE_THESE = "degradations like these"
_FEWER_ANCHORS = re.compile(r"\[m=\d+\]$")
_ALL = pipeline.ALL_NETWORKS
_EMPTY: Mapping[str, Any] = types.MappingProxyType({})


class ImageRows(NamedTuple):
    """The scores of every image under C degraded conditions and clean, higher is better; N images.

    conditions: the degraded ones.
    families: metric or rival -> family.
    reads: metric or rival -> identifiers of what it reads beside the judged images.
    scores: metric or rival -> network -> [C, N].
    clean: metric or rival -> network -> [N] of the clean images; NaN where undefined.
    performance: network -> [C, N].
    clean_performance: network -> [N].
    own: the rivals.
    of_sets: the rivals among the scores that stand for one number per condition.
    folds: int [N], fold of every image.
    measure: what performance is.
    clusters: int [N] of images that are resampled together, None where each stands alone.
    """

    conditions: tuple[pipeline.Condition, ...]
    families: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    clean: Mapping[str, Mapping[str, np.ndarray]]
    performance: Mapping[str, np.ndarray]
    clean_performance: Mapping[str, np.ndarray]
    own: network_outputs.RivalTables
    of_sets: tuple[str, ...]
    folds: np.ndarray
    measure: pipeline.Measure = pipeline.ACCURACY
    clusters: np.ndarray | None = None


class Findings(NamedTuple):
    """Everything a study found. Arrays are over its C degraded conditions and N images."""

    conditions: tuple[pipeline.Condition, ...]  # the degraded ones
    families: Mapping[str, str]  # metric -> family
    scores: Mapping[str, Mapping[str, np.ndarray]]  # metric -> network -> [C, N], higher is better
    clean: Mapping[str, Mapping[str, np.ndarray]]  # metric -> network -> [N] of the clean images
    performance: Mapping[str, np.ndarray]  # network -> [C, N]
    alignments: Mapping[str, Mapping[str, alignment.Alignment]]
    desiderata: Mapping[str, causal.Desiderata]  # of network "all"
    doses: Mapping[str, Mapping[str, causal.DoseResponse]]  # metric, and `measure.key` -> degradation -> curve
    effects: Mapping[str, causal.Effect]  # metric, and `measure.key` -> effect of every condition
    # Of network "all", by metric; rivals that give one number per condition have an alignment alone.
    measures: Mapping[str, alignment.Measures] = _EMPTY
    nulls: Mapping[str, alignment.Null] = _EMPTY
    gains: Mapping[str, Mapping[str, alignment.Gains]] = _EMPTY  # of the new metrics -> yardstick
    comparisons: tuple[alignment.Comparison, ...] = ()  # of every metric with the best conventional one
    # The intervals above are for other images under these conditions, these for other degradations as well.
    like_these: inference.Inference = inference.Inference()
    predicted: Mapping[str, Mapping[str, predictions.Predicted]] = _EMPTY  # metric or rival -> network
    reads: Mapping[str, tuple[str, ...]] = _EMPTY  # metric or rival -> identifiers of what it reads
    failures: tuple[parts.Failure, ...] = ()  # what could not be done
    measure: pipeline.Measure = pipeline.ACCURACY  # what performance is


def image_rows(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    whole: bool = True,
    doing: parts.Parts | None = None,
) -> ImageRows:
    """Arranges a score table image by image.

    Args:
      config: of the study.
      columns: its score columns.
      table: its finished table.
      whole: False leaves out the scores that stand for one number per condition, some of which take minutes, and the
        scores of fewer anchors.
      doing: keeps what fails, where the rest shall stand without it; None: a failure is raised.

    Returns:
      The rows.
    """
    networks = [choice.name for choice in config.networks]
    if not whole:
        columns = [column for column in columns if not _FEWER_ANCHORS.search(column.metric)]
    measure = pipeline.measure_of(config)
    scores, performance = pipeline.quality_and_performance(columns, table, networks, measure)
    clean = _clean_scores(columns, table, networks)
    clusters = pipeline.clusters(table.columns)
    folds = alignment.image_folds(len(table.image_ids), seed=config.seed, clusters=clusters)
    own, shares, clean_shares, of_shares = _gather(config, table, folds, tuple(performance), whole, doing)
    # One number per condition, though made of rows that resample: within and pooled would not be theirs.
    of_sets = {name: rows for name, rows in own.accuracy.items() if name in own.ranked}
    of_sets = of_sets if whole else {}
    for name, by_network in {**own.rows, **of_sets}.items():
        scores[name] = {network: rows[:-1] for network, rows in by_network.items()}
        clean[name] = {network: rows[-1] for network, rows in by_network.items()}
    reads = {column.metric: column.reads_beside for column in columns}
    row = table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))
    of_clean = {name: values[row] for name, values in pipeline.performance_rows(table, networks, measure).items()}
    return ImageRows(
        conditions=tuple(condition for condition in table.conditions if condition.severity > 0),
        families={column.metric: column.family for column in columns} | dict(own.families) | of_shares,
        reads=reads | dict(own.reads) | {name: sets.reads_of(name) for name in of_shares},
        scores=scores | shares,
        clean=clean | {metric: dict.fromkeys(performance, values) for metric, values in clean_shares.items()},
        performance=performance,
        clean_performance={**of_clean, _ALL: pipeline.mean_over_networks(of_clean)},
        own=own,
        of_sets=tuple(of_sets),
        folds=folds,
        measure=measure,
        clusters=clusters,
    )


def _gather(config, table, folds, networks, whole, doing):
    """The rivals, and what the kept features say of each image; what fails is left out where `doing` keeps it."""
    if doing is None:
        return network_outputs.gather(config, table, folds, whole=whole), *sets.image_shares(table, networks)
    own = doing.attempt(
        "estimates from the networks' own outputs",
        lambda: network_outputs.gather(config, table, folds, whole=whole),
        network_outputs.RivalTables({}, {}, {}, np.zeros((0, len(table.image_ids) // 2), int), {}, {}, (), {}),
    )
    return own, *doing.attempt("shares of sets", lambda: sets.image_shares(table, networks), ({}, {}, {}))


def analyse(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    progress: parts.Progress | None = None,
) -> Findings:
    """Aligns every metric and every rival with every network, judges them and predicts accuracy.

    Args:
      config: of the study.
      columns: its score columns.
      table: its finished table.
      progress: called with the name of the part in work, its steps done and all of them.

    Returns:
      The findings; the same for the same table. A part that fails is missing, and `failures` says why.
    """
    doing = parts.Parts(progress)
    rows = image_rows(config, columns, table, doing=doing)
    resamples, found = _aligned(config, rows, doing)
    rows = rows._replace(scores={metric: by for metric, by in rows.scores.items() if metric in resamples})
    names = [condition.degradation for condition in rows.conditions]
    moved = doing.attempt(
        "intervals for conditions like these",
        lambda: alignment.resample_conditions(
            _keys.named(config.seed, LIKE_THESE),
            resamples,
            rows.scores,
            rows.performance,
            names,
            clusters=rows.clusters,
        ),
        {},
    )
    whole_sets, whole_sets_like_these, of_families = doing.attempt(
        "dependence of sets",
        lambda: sets.align_sets(
            (_keys.named(config.seed, "dependence of sets"), _keys.named(config.seed, LIKE_THESE)),
            table,
            rows.performance,
            names,
            clusters=rows.clusters,
            num_resamples=config.num_resamples,
            level=config.level,
        ),
        ({}, {}, {}),
    )
    like_these = inference.summarise(moved, one_number=rows.of_sets, level=config.level)
    alignments, like_these = doing.attempt(
        "alignment of the networks' own outputs",
        lambda: (
            network_outputs.add_alignments(found.alignments, rows.own, rows.performance, level=config.level),
            network_outputs.add_alignments(
                like_these, rows.own, rows.performance, degradations=names, level=config.level
            ),
        ),
        (found.alignments, like_these),
    )
    options = {"one_number": rows.of_sets, "level": config.level}
    per_image = {metric: by for metric, by in rows.scores.items() if metric not in rows.of_sets}
    found = found._replace(
        families={**rows.families, **of_families},
        reads={**rows.reads, **{name: sets.reads_of(name) for name in of_families}},
        alignments={**alignments, **whole_sets},
        measures=doing.each(
            "further measures",
            lambda some: alignment.measure_intervals(
                _keys.named(config.seed, "further measures"),
                {metric: by[_ALL] for metric, by in some.items()},
                rows.performance[_ALL],
                [condition.severity for condition in rows.conditions],
                folds=rows.folds,
                clusters=rows.clusters,
                num_resamples=min(_MEASURE_RESAMPLES, config.num_resamples),
                level=config.level,
            ),
            per_image,
        ),
        nulls=doing.each(
            "permutation tests",
            lambda some: {
                metric: alignment.permutation_null(
                    _keys.named(config.seed, "permutation tests"),
                    by[_ALL],
                    rows.performance[_ALL],
                    num_permutations=_PERMUTATIONS,
                )
                for metric, by in some.items()
            },
            per_image,
        ),
        gains=doing.attempt("gains", lambda: inference.gains(resamples, rows.families, level=config.level), {}),
        comparisons=doing.attempt(
            "comparisons", lambda: inference.comparisons(resamples, rows.families, **options), ()
        ),
        like_these=inference.Inference(
            {**like_these, **whole_sets_like_these},
            doing.attempt("gains", lambda: inference.gains(moved, rows.families, level=config.level), {}),
            doing.attempt("comparisons", lambda: inference.comparisons(moved, rows.families, **options), ()),
        ),
        predicted=_predicted(config, rows, per_image, doing),
    )
    return found._replace(failures=tuple(doing.failures))


def _predicted(config, rows: ImageRows, scores, doing: parts.Parts) -> dict[str, dict[str, predictions.Predicted]]:
    """Performance predicted by every score, and by the rivals."""
    nothing = rows.own._replace(accuracy={}, regressed={})

    def predict(some, own):
        return predictions.predict(
            some,
            rows.clean,
            rows.performance,
            rows.clean_performance,
            [condition.degradation for condition in rows.conditions],
            rows.folds,
            own,
            rows.reads,
            bounds=rows.measure.bounds,
            level=config.level,
        )

    by_scores = doing.each("predicted performance", lambda some: predict(some, nothing), scores)
    return by_scores | doing.attempt(
        "performance predicted by the networks' outputs", lambda: predict({}, rows.own), {}
    )


def analyse_images(
    config: pipeline.StudyConfig, rows: ImageRows, *, progress: Callable[[int, int], None] | None = None
) -> Findings:
    """Finds what an audit reads: alignment with the mean over the networks, curves, effects and desiderata.

    Args:
      config: of the study.
      rows: `image_rows` of the study.
      progress: called with the bootstrap work done so far and all of it.

    Returns:
      The same numbers as `analyse`; what is left out is empty.
    """
    rows = rows._replace(
        scores={metric: {_ALL: by[_ALL]} for metric, by in rows.scores.items()},
        performance={_ALL: rows.performance[_ALL]},
    )
    doing = parts.Parts(None if progress is None else lambda _, done, total: progress(done, total))
    return _aligned(config, rows, doing)[1]._replace(failures=tuple(doing.failures))


def _aligned(config, rows: ImageRows, doing: parts.Parts):
    """The resamples of every metric, and the findings that need nothing else."""
    resamples = doing.each(
        "intervals",
        lambda some: alignment.bootstrap(
            _keys.named(config.seed, "bootstrap of images"),
            some,
            rows.performance,
            num_resamples=config.num_resamples,
            clusters=rows.clusters,
            progress=doing.progress_of("intervals"),
        ),
        rows.scores,
    )
    alignments = inference.summarise(resamples, one_number=rows.of_sets, level=config.level)
    doses, effects, desiderata = _judge(config, rows, alignments, doing)
    return resamples, Findings(
        rows.conditions,
        rows.families,
        rows.scores,
        rows.clean,
        rows.performance,
        alignments,
        desiderata,
        doses,
        effects,
        measure=rows.measure,
    )


def _clean_scores(
    columns: Sequence[pipeline.Column], table: pipeline.ScoreTable, networks: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Scores of the clean images, metric -> network -> [N], higher is better; "all" is the mean over resolutions."""
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for column in columns:
        sign = 1.0 if column.higher_is_better else -1.0
        values = sign * table.columns[column.name][clean]
        found.setdefault(column.metric, {}).update(dict.fromkeys(column.networks, values))
    for by_network in found.values():
        by_network[_ALL] = np.mean([by_network[name] for name in networks], axis=0)
    return found


def _judge(config, rows: ImageRows, alignments, doing: parts.Parts):
    """Dose-response curves, effects and desiderata of every metric, for the mean over the networks."""
    key = _keys.named(config.seed, "effects of the conditions")
    options = {"num_resamples": config.num_resamples, "level": config.level}
    names = [condition.degradation for condition in rows.conditions]
    severities = [condition.severity for condition in rows.conditions]

    def judge(values, start):
        dose = causal.dose_response(values, names, severities)
        # Where the clean image has no score (PSNR against itself) the mildest conditions stand in for it.
        base = start if np.isfinite(start).any() else _mildest(values, severities)
        return dose, causal.average_effects(key, values, base, **options)

    def verdicts(metric, effect):
        values, start = rows.scores[metric][_ALL], rows.clean[metric][_ALL]
        return causal.judge(
            family_graph(config, rows.families[metric]),
            effect,
            causal.falls_by_degradation(values, names, severities, clean=start, level=config.level),
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
    """Returns the causal graph of a metric family where this study scores quality."""
    graph = causal.FAMILIES[family]
    # The networks' own outputs are read behind the task's preprocessing anyway.
    return causal.at_task_input(graph) if config.score_at == "task" and ("X", "Q") in graph.edges else graph


def _mildest(values: np.ndarray, severities: Sequence[float]) -> np.ndarray:
    rows = values[np.asarray(severities) == min(severities)]
    finite = np.isfinite(rows)
    total = np.where(finite, rows, 0.0).sum(axis=0)
    return np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.nan)
