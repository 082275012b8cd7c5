"""What summary.json holds, as typed records."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from causal_iqa import _codec, analysis, causal, pipeline
from causal_iqa.alignment import Difference, Errors, Null, Reliability
from causal_iqa.alignment.intervals import Correlation
from causal_iqa.analysis import audit, predictions

SCHEMA = 1
_PERFORMANCE = "performance"
# Fields that JSON calls by what performance is, of a network and of the whole.
_OF_NETWORK = ("clean_performance", "mean_performance", _PERFORMANCE)
_PREDICTED = "predicted_performance"
SetPerformance = Annotated[analysis.SetPerformance, _codec.Keys(by_condition="conditions")]


class Network(NamedTuple):
    """A judged network.

    Attributes:
      clean_performance: mean over the clean images.
      num_clean: how many they are.
      mean_performance: over the degraded conditions.
      performance: performance under every condition.
      undefined_rows: rows of the score table without it.
      warnings: what is wrong with the network, each in one line.
      set: performance of all images as one set, of a network of masks or boxes.
    """

    clean_performance: float
    num_clean: int
    mean_performance: float
    performance: Mapping[str, float]
    undefined_rows: int
    warnings: tuple[str, ...]
    set: _codec.LeftOut[SetPerformance] = None


class Warned(NamedTuple):
    """Two alignment numbers of opposite sign."""

    between: tuple[str, str]
    certain: bool
    message: str


class Bounds(NamedTuple):
    """The interval of a difference for other degradations as well, and its p-value."""

    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan


class Gain(NamedTuple):
    """A gain over one yardstick in one number; `best` is the metric that is the yardstick, where it is one."""

    difference: _codec.Inline[Difference]
    best: str | None
    like_these: _codec.LeftOut[Bounds] = None


class ComparedBounds(NamedTuple):
    """`Bounds`, and both p-values from the standard error: as it is, and adjusted over all comparisons."""

    bounds: _codec.Inline[Bounds]
    p_normal: float
    p_holm: float


class Compared(NamedTuple):
    """The difference to the best conventional metric in one number, see `alignment.Comparison`."""

    difference: _codec.Inline[Difference]
    p_normal: float
    p_holm: float
    like_these: _codec.LeftOut[ComparedBounds] = None


class Against(NamedTuple):
    """The comparison with the best conventional metric, `baseline`, in the numbers that were compared."""

    baseline: str
    between: _codec.LeftOut[Compared] = None
    corrected: _codec.LeftOut[Compared] = None
    within: _codec.LeftOut[Compared] = None
    pooled: _codec.LeftOut[Compared] = None


class Metric(NamedTuple):
    """One metric; what has no network is of the mean over them.

    Attributes:
      family: what it reads, in one word.
      reads: identifiers of what it reads in addition to the judged images.
      alignment: network -> number; intervals are for other images under these conditions.
      alignment_like_these: the same, intervals for other degradations as well.
      reliability: reliability of the condition means, by network.
      desiderata: None of one number per condition.
      trend: degradation -> of its mean score.
      warnings: numbers of opposite sign.
      measures: further measures of alignment.
      null: permutation nulls.
      gains: yardstick -> number.
      against_best_conventional: the comparison with the best conventional metric.
    """

    family: str
    reads: tuple[str, ...]
    alignment: Mapping[str, Mapping[str, Correlation]]
    alignment_like_these: Mapping[str, Mapping[str, Correlation]]
    reliability: Mapping[str, Reliability]
    desiderata: _codec.OrEmpty[causal.Desiderata]
    trend: Mapping[str, float]
    warnings: tuple[Warned, ...]
    measures: _codec.LeftOut[Mapping[str, Correlation]] = None
    null: _codec.LeftOut[Null] = None
    gains: _codec.LeftOut[Mapping[str, Mapping[str, Gain]]] = None
    against_best_conventional: _codec.LeftOut[Against] = None


class Predicted(NamedTuple):
    """Performance predicted by one score for one network.

    Attributes:
      errors: errors of the predictions.
      reads: identifiers of all that is read.
      conditions: the prediction of every condition.
    """

    errors: _codec.Inline[Errors]
    reads: tuple[str, ...]
    conditions: Mapping[str, predictions.PREDICTED]


class Skipped(NamedTuple):
    """An image that was left out."""

    id: str
    reason: str


class UndefinedRows(NamedTuple):
    """Rows of a column that are undefined."""

    reason: str
    rows: int


class Failed(NamedTuple):
    """A part of the analysis that failed."""

    part: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """What summary.json holds.

    Attributes:
      networks: the judged ones.
      metrics: every metric and estimator.
      measure: the definition of performance.
      predicted_performance: score -> network.
      num_images: judged images.
      conditions: names, "clean/0" among them.
      skipped: images left out.
      undefined: column -> its rows without a value.
      notes: why corrected numbers or intervals are missing.
      failed: parts of the analysis.
    """

    networks: Mapping[str, Network]
    metrics: Mapping[str, Metric]
    measure: audit.Measure
    predicted_performance: Mapping[str, Mapping[str, Predicted]]
    num_images: int
    conditions: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    undefined: Mapping[str, UndefinedRows]
    notes: tuple[str, ...]
    failed: tuple[Failed, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values from which `from_json` makes the same summary: null where undefined."""
        key = self.measure.key
        found = {"schema": SCHEMA, **_codec.encode(self)}
        found[f"predicted_{key}"] = found.pop(_PREDICTED)
        found["networks"] = {name: _called(one, _PERFORMANCE, key) for name, one in found["networks"].items()}
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Summary":
        """Reads the result of `to_json`.

        Args:
          values: JSON values.

        Raises:
          InputError: for another version, or a field that is missing, unknown or of another type, by its place.
        """
        found = _codec.checked_schema(values, SCHEMA, "summary", "causal-iqa align")
        return _codec.decode(by_performance(found), cls, "summary")


def by_performance(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a summary whose fields are called by performance, whatever it is."""
    key = pipeline.Measure.from_dict(values.get("measure")).key
    found = {_PREDICTED if name == f"predicted_{key}" else name: value for name, value in values.items()}
    if isinstance(found.get("networks"), Mapping):
        found["networks"] = {name: _called(one, key, _PERFORMANCE) for name, one in found["networks"].items()}
    return found


def _called(network: Mapping[str, Any], now: str, then: str) -> dict[str, Any]:
    names = {field.replace(_PERFORMANCE, now): field.replace(_PERFORMANCE, then) for field in _OF_NETWORK}
    return {names.get(name, name): value for name, value in network.items()}
