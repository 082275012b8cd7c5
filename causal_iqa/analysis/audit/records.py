"""What an audit found, as typed records; audit.json is these records in JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from causal_iqa import _codec, alignment, causal, pipeline
from causal_iqa.analysis.predictions import PREDICTED

SCHEMA = 3
Verdict = Literal["kept", "rejected", "not testable"]
# p-values of these tests are corrected by Holm.
HolmTest = Annotated[causal.CorrectedTest, _codec.Keys(corrected="holm")]


class SaidMeasure(NamedTuple):
    """What performance is, as it stands in JSON; None where there is no bound."""

    name: str
    is_accuracy: bool
    low: float | None
    high: float | None


Measure = Annotated[
    pipeline.Measure,
    _codec.As(
        SaidMeasure, lambda one: SaidMeasure(**one.as_dict()), lambda said: pipeline.Measure.from_dict(said._asdict())
    ),
]


class NotDone(NamedTuple):
    """A part of the audit that could not be done, and why."""

    reason: str


class DegradationFall(NamedTuple):
    """Whether the mean of a score falls at every step of one degradation.

    smallest_fall: from one severity to the next, with `unit` the mean standard deviation of the score.
    falls_at_every_step, page: tests that it falls at every step, and that it falls at all (Page's trend).
    """

    answer: causal.Answer
    smallest_fall: causal.Estimate
    unit: float
    falls_at_every_step: HolmTest
    page: HolmTest


class Sensitive(NamedTuple):
    """D1: does the score fall as degradations grow? With the test of its independence of the condition."""

    verdict: _codec.Inline[causal.Verdict]
    independent_of_condition: HolmTest
    degradations: Mapping[str, DegradationFall]


class Aligned(NamedTuple):
    """D2: does the score tell of performance? With the tests of independence and of a common sign given C."""

    verdict: _codec.Inline[causal.Verdict]
    independence: HolmTest
    common_sign: HolmTest


class MetricDesiderata(NamedTuple):
    """The four desiderata of one metric."""

    sensitive: Sensitive
    aligned: Aligned
    free_standing: causal.Verdict
    prior: causal.Verdict

    def verdicts(self) -> causal.Desiderata:
        """Returns the verdicts without the tests beside them."""
        return causal.Desiderata(self.sensitive.verdict, self.aligned.verdict, self.free_standing, self.prior)


class Family(NamedTuple):
    """A family of metrics: its graph as text, what the graph implies, and the metrics of the run."""

    graph: str
    independences: tuple[causal.Independence, ...]
    metrics: tuple[str, ...]


class TestedGraph(NamedTuple):
    """A graph as text, and what it implies."""

    graph: str
    implications: tuple[causal.Implication, ...]


class GraphTest(NamedTuple):
    """The test of one independence.

    metric: whose score Q is; None where no Q is in it.
    holm, benjamini_hochberg: p_value corrected over all tests of the audit.
    reason: why it could not be tested; empty where it was.
    """

    metric: str | None
    independence: _codec.Inline[causal.Independence]
    p_value: float
    holm: float
    benjamini_hochberg: float
    method: str
    num_rows: int
    reason: str
    verdict: Verdict


class GraphVerdict(NamedTuple):
    """What became of the implications of a graph for one metric: counts, and those that are rejected."""

    kept: int
    rejected: int
    not_testable: int
    by: tuple[causal.Independence, ...]


class GraphTests(NamedTuple):
    """Tests of what graphs imply.

    design: which rows the tests take, in words.
    alpha: below which a p-value by Holm rejects.
    distinctions: independences of observed columns on which the graphs disagree.
    verdicts: graph -> metric.
    """

    design: str
    alpha: float
    graphs: Mapping[str, TestedGraph]
    tests: tuple[GraphTest, ...]
    distinctions: tuple[causal.Distinction, ...]
    verdicts: Mapping[str, Mapping[str, GraphVerdict]]


class MetricDoses(NamedTuple):
    """Whether the curves of a metric and of performance over severity go together, in the mean and by degradation."""

    mean: causal.DoseAlignment
    degradations: Mapping[str, causal.DoseAlignment]


class MetricMediation(NamedTuple):
    """The effects of the conditions on performance, split by what one metric carries; see `causal.Mediation`."""

    base: str
    share: causal.Estimate
    share_reason: str
    surrogate_share: causal.Estimate
    surrogate_reason: str
    off_support: float
    mean: causal.Split
    conditions: Mapping[str, causal.Split]


class MethodEstimates(NamedTuple):
    """Mean and effect in every arm by one method.

    mean_absolute_error: of the effects, against the truth.
    covered: how many of the intervals of the effects hold the truth.
    """

    mean: tuple[causal.Estimate, ...]
    effect: tuple[causal.Estimate, ...]
    mean_absolute_error: float
    covered: int


class ArmEstimates(NamedTuple):
    """The true mean of an outcome in every arm, and what every method makes of confounded data."""

    truth: tuple[float, ...]
    methods: Mapping[str, MethodEstimates]


class MethodErrors(NamedTuple):
    """Errors of the effects by one method over fresh draws."""

    mean_absolute_bias: float
    root_mean_square_error: float
    monte_carlo_error: float


class Repeats(NamedTuple):
    """The study drawn anew: how often, and the errors of every method."""

    draws: int
    methods: Mapping[str, MethodErrors]


class Sensitivity(NamedTuple):
    """How strong a hidden confounder must be to explain an effect away; see `causal.Robustness`.

    arm: whose effect against clean it is.
    strongest: the observed covariate that matters most; None where there is none.
    benchmark_bias: NaN where it has no bound.
    e_value: of a ratio of means; None where performance is no share.
    """

    arm: str
    effect: float
    standard_error: float
    value: float
    value_significance: float
    benchmark_bias: float
    strongest: str | None
    benchmark: tuple[float, ...]
    e_value: causal.Estimate | None


class ObservationalStudy(NamedTuple):
    """Effects of severity from confounded data, beside the known truth.

    num_images: of the study; `drawn`: they are some of the run's.
    arms: clean and the severities, with so many images each.
    strength: of the confounding.
    factors: what images are confounded by. graph: behind the draw, as text.
    adjustment_set: what it asks to adjust for; None where no observed set will do.
    method: the one whose effect is refuted and has the E-value.
    performance, metrics: what every method makes of each outcome; skipped: metric -> why not.
    """

    num_images: int
    drawn: bool
    arms: tuple[str, ...]
    images_per_arm: tuple[int, ...]
    strength: float
    factors: tuple[str, ...]
    graph: str
    adjustment_set: tuple[str, ...] | None
    overlap: causal.Overlap
    method: str
    performance: ArmEstimates
    metrics: Mapping[str, ArmEstimates]
    skipped: Mapping[str, str]
    repeats: Repeats
    refutations: tuple[causal.Refutation, ...]
    sensitivity: Sensitivity | NotDone


class PredictedCondition(NamedTuple):
    """The mean performance of one condition: predicted, and true."""

    predicted: _codec.Inline[PREDICTED]
    truth: float


class WayErrors(NamedTuple):
    """Errors of the performance that a map from another run predicts, and the prediction of every condition."""

    errors: _codec.Inline[alignment.Errors]
    conditions: Mapping[str, PredictedCondition]


class TransferredScore(NamedTuple):
    """One score whose map to performance was learned on another run.

    learned_with: the source's score. reads: identifiers of what the score reads.
    as_is: of the map applied to the score itself. relative_to_clean: applied to scores in units of the clean images'
      spread. None where undefined.
    """

    score: str
    learned_with: str
    family: str
    reads: tuple[str, ...]
    as_is: WayErrors | None
    relative_to_clean: WayErrors | None


class BesideErrors(NamedTuple):
    """Errors of an accuracy estimator that reads the outputs of the judged networks themselves."""

    score: str
    reads: tuple[str, ...]
    errors: _codec.Inline[alignment.Errors]


class CleanMeans(NamedTuple):
    """Mean performance over the networks on the clean images of two runs."""

    source: float
    target: float


class Transfer(NamedTuple):
    """Performance under the conditions of one run (target) by maps learned on another (source)."""

    source: str
    target: str
    level: float
    measure: Measure
    clean_performance: CleanMeans
    scores: tuple[TransferredScore, ...]
    beside: tuple[BesideErrors, ...]


@dataclasses.dataclass(frozen=True)
class Audit:
    """What a finished run says of its metrics as causes and effects.

    Attributes:
      networks: judged.
      measure: what performance is.
      clean_performance: network -> mean over the clean images.
      warnings: a line each.
      level: of the intervals.
      num_images: judged.
      images_of_run: how many the run has; more than `num_images` where some were drawn at random.
      desiderata: metric -> four verdicts and the tests behind them.
      families: of the metrics.
      graph_tests: what the graphs imply, tested.
      effects: metric, and `measure.key` -> condition -> E[value | do(condition)] - E[value | do(clean)], higher better.
      trends: metric, and `measure.key` -> degradation -> Spearman correlation of severity and mean.
      dose_alignment: by metric.
      observational: the study of confounded data, or why there is none.
      mediation: by metric.
      transfer: from other runs.
    """

    networks: tuple[str, ...]
    measure: Measure
    clean_performance: Mapping[str, float]
    warnings: tuple[str, ...]
    level: float
    num_images: int
    images_of_run: int
    desiderata: Mapping[str, MetricDesiderata]
    families: Mapping[str, Family]
    graph_tests: GraphTests
    effects: Mapping[str, Mapping[str, Annotated[causal.Estimate, _codec.Keys(value="effect")]]]
    trends: Mapping[str, Mapping[str, float]]
    dose_alignment: Mapping[str, MetricDoses]
    observational: ObservationalStudy | NotDone
    mediation: Mapping[str, MetricMediation]
    transfer: tuple[Transfer, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns what audit.json holds: JSON values, null where undefined, and the version of the layout."""
        return {"schema": SCHEMA, **_keyed(_codec.encode(self), "performance", self.measure.key)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Audit":
        """Reads what `to_json` gave.

        Args:
          values: JSON values.

        Raises:
          InputError: for another version, or a field that is missing, unknown or of another type, by its place.
        """
        found = _codec.checked_schema(values, SCHEMA, "audit", "causal-iqa audit")
        # Of a run that is older, performance is the accuracy.
        measure = found.setdefault("measure", pipeline.ACCURACY.as_dict())
        key = pipeline.ACCURACY.key if isinstance(measure, dict) and measure.get("is_accuracy") else "performance"
        transfers = found.get("transfer")
        if isinstance(transfers, list):
            found["transfer"] = [{"measure": measure, **one} if isinstance(one, dict) else one for one in transfers]
        return _codec.decode(_keyed(found, key, "performance"), cls, "audit")

    def verdicts(self) -> dict[str, causal.Desiderata]:
        """Returns the verdicts on every metric."""
        return {metric: one.verdicts() for metric, one in self.desiderata.items()}


def _keyed(audited: Mapping[str, Any], there: str, here: str) -> dict[str, Any]:
    """An audit in JSON whose performance has another key: an accuracy is called so."""
    means = {f"clean_{there}": f"clean_{here}"}
    transfers, study = audited.get("transfer"), audited.get("observational")
    found = {means.get(name, name): value for name, value in audited.items()}
    if isinstance(transfers, list):
        found["transfer"] = [_with_keys(one, means) for one in transfers]
    if isinstance(study, Mapping):
        found["observational"] = _with_keys(study, {there: here})
    return found


def _with_keys(values: Any, keys: Mapping[str, str]) -> Any:
    return {keys.get(name, name): one for name, one in values.items()} if isinstance(values, Mapping) else values
