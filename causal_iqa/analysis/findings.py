"""What a finished score table says of its metrics: alignment, effects, desiderata, gains, predicted performance."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from causal_iqa import _blas, _codec, _keys, alignment, causal, pipeline
from causal_iqa.analysis import display, inference, network_outputs, parts, predictions, sets
from causal_iqa.analysis import effects as effects_of
from causal_iqa.analysis.rows import OUTPUTS_PART, SHARES_PART, ImageRows, image_rows

SCHEMA = 1

# Resamples of the further measures, whose intervals need a standard error only, and permutations of the null.
_MEASURE_RESAMPLES, _PERMUTATIONS = 100, 999
# The parts of `analyse`, in order.
PARTS = (
    OUTPUTS_PART,
    SHARES_PART,
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
_ALL = pipeline.ALL_NETWORKS


Condition = Annotated[pipeline.Condition, _codec.As(str, str, pipeline.Condition.parse)]


@dataclasses.dataclass(frozen=True, repr=False)
class Findings:
    """Everything a study found. Arrays are over its C degraded conditions and N images.

    Attributes:
      conditions: the degraded ones.
      families: metric -> family.
      scores: metric -> network -> [C, N], higher is better.
      clean: metric -> network -> [N] of the clean images.
      performance: network -> [C, N].
      alignments: metric -> network -> alignment; intervals are for other images under these conditions.
      desiderata: by metric, as all below of the mean over the networks; estimators with one number per condition have
        an alignment alone.
      doses: metric, and `measure.key` -> degradation -> curve.
      effects: metric, and `measure.key` -> effect of every condition.
      measures: further measures of alignment, by metric.
      nulls: permutation nulls, by metric.
      gains: new metric -> yardstick.
      comparisons: comparisons of every metric with the best conventional one.
      like_these: alignments, gains and comparisons with intervals for other degradations as well.
      predicted: metric or estimator -> network -> predicted performance.
      reads: metric or estimator -> identifiers of what it reads.
      failures: parts that failed, with the reasons.
      measure: the definition of performance.
    """

    conditions: tuple[Condition, ...]
    families: Mapping[str, str]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    clean: Mapping[str, Mapping[str, np.ndarray]]
    performance: Mapping[str, np.ndarray]
    alignments: inference.Aligned
    desiderata: Mapping[str, causal.Desiderata]
    doses: Mapping[str, Mapping[str, causal.DoseResponse]]
    effects: Mapping[str, causal.Estimate]
    measures: Mapping[str, alignment.Measures] = dataclasses.field(default_factory=dict)
    nulls: Mapping[str, alignment.Null] = dataclasses.field(default_factory=dict)
    gains: Mapping[str, Mapping[str, alignment.Gains]] = dataclasses.field(default_factory=dict)
    comparisons: tuple[alignment.Comparison, ...] = ()
    like_these: inference.Inference = dataclasses.field(default_factory=inference.Inference)
    predicted: Mapping[str, Mapping[str, predictions.Predicted]] = dataclasses.field(default_factory=dict)
    reads: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    failures: tuple[parts.Failure, ...] = ()
    measure: pipeline.Measure = pipeline.ACCURACY

    def __repr__(self) -> str:
        """Returns its subject in one line."""
        networks = [name for name in self.performance if name != _ALL]
        about = {"metrics": self.alignments, "networks": networks, "conditions": self.conditions}
        missing = f", {len(self.failures)} parts missing" if self.failures else ""
        return f"Findings({', '.join(f'{len(what)} {name}' for name, what in about.items())}{missing})"

    def _repr_html_(self) -> str:
        """Returns the correlations of every metric as a table, for notebooks."""
        return display.html(self)

    def without_images(self) -> "Findings":
        """Returns the same without scores and performance of single images, which the score table holds."""
        return dataclasses.replace(self, scores={}, clean={}, performance={})

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values from which `from_json` makes the same findings: null where undefined."""
        return {"schema": SCHEMA, **_codec.encode(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Findings":
        """Reads the result of `to_json`.

        Args:
          values: JSON values.

        Raises:
          InputError: for another version, or a field that is missing, unknown or of another type, by its place.
        """
        found = _codec.checked_schema(values, SCHEMA, "findings", "causal-iqa align")
        return _codec.decode(found, cls, "findings")


@_blas.one_thread
def analyse(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    progress: parts.Progress | None = None,
) -> Findings:
    """Aligns every metric and every estimator with every network, judges them and predicts accuracy.

    Args:
      config: configuration of the study.
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
    whole_sets, whole_sets_like_these, of_sets = doing.attempt(
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
    found = dataclasses.replace(
        found,
        families={**rows.families, **{name: one.family for name, one in of_sets.items()}},
        reads={**rows.reads, **{name: one.reads for name, one in of_sets.items()}},
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
                    clusters=rows.clusters,
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
    return dataclasses.replace(found, failures=tuple(doing.failures))


def _predicted(config, rows: ImageRows, scores, doing: parts.Parts) -> dict[str, dict[str, predictions.Predicted]]:
    """Performance predicted by every score, and by the estimators."""
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


@_blas.one_thread
def analyse_images(
    config: pipeline.StudyConfig, rows: ImageRows, *, progress: Callable[[int, int], None] | None = None
) -> Findings:
    """Computes what an audit reads: alignment with the mean over the networks, curves, effects and desiderata.

    Args:
      config: configuration of the study.
      rows: `image_rows` of the study.
      progress: called with the bootstrap work done so far and all of it.

    Returns:
      The same numbers as `analyse`; the other fields are empty.
    """
    rows = rows._replace(
        scores={metric: {_ALL: by[_ALL]} for metric, by in rows.scores.items()},
        performance={_ALL: rows.performance[_ALL]},
    )
    doing = parts.Parts(None if progress is None else lambda _, done, total: progress(done, total))
    return dataclasses.replace(_aligned(config, rows, doing)[1], failures=tuple(doing.failures))


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
            one_number=rows.of_sets,
            progress=doing.progress_of("intervals"),
        ),
        rows.scores,
    )
    alignments = inference.summarise(resamples, one_number=rows.of_sets, level=config.level)
    doses, effects, desiderata = effects_of.judge_effects(config, rows, alignments, doing)
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
