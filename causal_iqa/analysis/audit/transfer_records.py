"""What maps learned on another run predict, as typed records."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from causal_iqa import _codec, alignment, pipeline
from causal_iqa.analysis.predictions import PREDICTED


class SaidMeasure(NamedTuple):
    """The definition of performance in its JSON form; None where there is no bound."""

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

    Attributes:
      learned_with: the source's score. reads: identifiers of the inputs of the score.
      as_is: errors of the map applied to the score itself. relative_to_clean: applied to scores in units of the clean
        images' spread. None where undefined.
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
