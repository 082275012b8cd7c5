"""What an audit found, as typed records; audit.json is these records in JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from causal_iqa import _codec, causal, pipeline
from causal_iqa.analysis import display
from causal_iqa.analysis.audit.observational_records import NotDone, ObservationalStudy
from causal_iqa.analysis.audit.transfer_records import Measure, Transfer

SCHEMA = 3
Verdict = Literal["kept", "rejected", "not testable"]
# p-values of these tests are corrected by Holm.
HolmTest = Annotated[causal.CorrectedTest, _codec.Keys(corrected="holm")]


class DegradationFall(NamedTuple):
    """Whether the mean of a score falls at every step of one degradation.

    smallest_fall: the smallest fall from one severity to the next, with `unit` the mean standard deviation of the
      score.
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
    """D2: is the score informative about performance? With the tests of independence and of a common sign given C."""

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
        """Returns the verdicts without the accompanying tests."""
        return causal.Desiderata(self.sensitive.verdict, self.aligned.verdict, self.free_standing, self.prior)


class Family(NamedTuple):
    """A family of metrics: its graph as text, what the graph implies, and the metrics of the run."""

    graph: str
    independences: tuple[causal.Independence, ...]
    metrics: tuple[str, ...]


class TestedGraph(NamedTuple):
    """A graph as text, and the independences that it implies."""

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

    Attributes:
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


@dataclasses.dataclass(frozen=True)
class Audit:
    """What a finished run says of its metrics as causes and effects.

    Attributes:
      networks: judged.
      measure: the definition of performance.
      clean_performance: network -> mean over the clean images.
      warnings: a line each.
      level: confidence level of the intervals.
      num_images: judged.
      images_of_run: how many the run has; more than `num_images` where some were drawn at random.
      desiderata: metric -> four verdicts and the tests behind them.
      families: families of the metrics.
      graph_tests: what the graphs imply, tested.
      effects: metric, and `measure.key` -> condition -> E[value | do(condition)] - E[value | do(clean)], higher better.
      trends: metric, and `measure.key` -> degradation -> Spearman correlation of severity and mean.
      dose_alignment: agreement of the dose-response curves, by metric.
      observational: the study of confounded data, or why there is none.
      mediation: share of the effect that the score carries, by metric.
      transfer: accuracies predicted by maps from other runs.
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
        """Reads the result of `to_json`.

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

    def _repr_html_(self) -> str:
        """Returns the verdicts on every metric as a table, for notebooks."""
        return display.html(self)

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
