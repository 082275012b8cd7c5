"""What is found of scored sets of images, as values."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa

from causal_iqa import _codec
from causal_iqa.analysis import display
from causal_iqa.analysis.datasets import causes, comparison, distributions, galleries, maps, oddities, rejection
from causal_iqa.analysis.datasets.values import ReasonedEstimate

SCHEMA = 1
# What summary.json has beside the findings.
_OF_FILE = ("skipped", "num_below_threshold")


class Cut(NamedTuple):
    """The score below which an image is listed, and the reason for this score.

    Attributes:
      score: NaN where there is none.
      why: the reason, in words.
      matters: False where it is only the worst part of the images, for want of anything to compare with.
    """

    score: float
    why: str
    matters: bool = True


class Group(NamedTuple):
    """Images of one group of a set: its name, images with a score, their quality, expected and actual accuracy."""

    name: str
    count: int
    mean: float
    low: float  # 5 % of the images are below
    high: float  # 5 % are above
    below: float  # share below the cut, NaN without one
    expected: ReasonedEstimate
    actual: ReasonedEstimate


class Tenth(NamedTuple):
    """A tenth of a set's images by quality."""

    low: float
    high: float
    count: int
    expected: ReasonedEstimate
    actual: ReasonedEstimate


class OfNetwork(NamedTuple):
    """Accuracy of one network on a set, expected by the map and actual by labels."""

    network: str
    expected: ReasonedEstimate
    actual: ReasonedEstimate


class CauseShare(NamedTuple):
    """How common one cause is in a set.

    Attributes:
      name: name of the cause; "none": no condition is seen, "other": one that the model does not know.
      share: share of the set's images, corrected for how the diagnosis confuses causes; undefined for few images.
      likeliest: share of the images of which it is the likeliest cause.
    """

    name: str
    share: ReasonedEstimate
    likeliest: float


class SetFindings(NamedTuple):
    """What is found of one set."""

    name: str
    size: int  # images
    scored: int  # with a quality
    unreadable: int
    labelled: int
    widths: tuple[int, int, int]  # smallest, median, largest
    heights: tuple[int, int, int]
    formats: tuple[tuple[str, int], ...]
    quality: distributions.Distribution
    statistics: Mapping[str, distributions.Distribution]
    expected: ReasonedEstimate
    outside: float  # share of the scores outside what the map was learned on
    networks: tuple[OfNetwork, ...]
    below: float  # share below the cut
    tenths: tuple[Tenth, ...]
    reject: tuple[rejection.Step, ...]
    thresholds: tuple[rejection.Threshold, ...]
    groups: tuple[Group, ...]
    num_groups: int
    causes: tuple[CauseShare, ...]  # commonest first; empty where nothing was diagnosed


class MapFacts(NamedTuple):
    """Where the map comes from."""

    run: str
    dataset: str
    metric: str
    networks: tuple[str, ...]
    num_images: int
    num_conditions: int
    clean_accuracy: float
    transfer_error: float  # half the interval that left-out degradations give


class CountedCopies(NamedTuple):
    """Copies without the rows of the images, in the form in which they are written."""

    count: int
    groups_across_sets: int


def _without_rows(copies: oddities.Copies) -> CountedCopies:
    return CountedCopies(copies.count, copies.across)


def _of_counts(counted: CountedCopies) -> oddities.Copies:
    return oddities.Copies(*counted, groups=(), is_copy=np.zeros(0, bool))


def _counts(odd: Sequence[oddities.Odd]) -> dict[str, int]:
    return {one.kind: one.count for one in odd}


def _of_kinds(counts: Mapping[str, int]) -> tuple[oddities.Odd, ...]:
    return tuple(oddities.Odd(kind, count, ()) for kind, count in counts.items())


class DatasetFindings(NamedTuple):
    """Everything that is found of scored sets.

    Attributes:
      metric: the score that stands for quality; quality: its name, with "minus" before it where lower is better.
    """

    metric: str
    quality: str
    family: str
    level: float
    image_size: int
    reference: str
    map: MapFacts | None
    cut: Cut
    sets: tuple[SetFindings, ...]
    comparisons: tuple[comparison.Comparison, ...]
    odd: Annotated[tuple[oddities.Odd, ...], _codec.As(Mapping[str, int], _counts, _of_kinds)]
    copies: Annotated[oddities.Copies, _codec.As(CountedCopies, _without_rows, _of_counts)]
    galleries: tuple[galleries.Gallery, ...]
    directions: Mapping[str, bool]  # score -> whether higher is better
    families: Mapping[str, str]
    remarks: tuple[str, ...]

    def _repr_html_(self) -> str:
        """Returns what is found of every set as a table, for notebooks."""
        return display.html(self)

    def to_json(self) -> dict[str, Any]:
        """Returns everything but rows of images as JSON values: null where undefined, and the version of the layout."""
        found = {"schema": SCHEMA, **_codec.encode(self)}
        del found["galleries"]
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "DatasetFindings":
        """Reads the result of `to_json`, or the summary.json of scored sets; neither has rows of images.

        Args:
          values: JSON values.

        Raises:
          InputError: for another version, or a field that is missing, unknown or of another type, by its place.
        """
        found = _codec.checked_schema(values, SCHEMA, "findings", "causal-iqa score")
        if "galleries" not in found:
            found["galleries"] = []
        return _codec.decode({name: own for name, own in found.items() if name not in _OF_FILE}, cls, "findings")


class Found(NamedTuple):
    """The findings, and the columns that they add to the table."""

    findings: DatasetFindings
    derived: Mapping[str, pa.Array]


class Request(NamedTuple):
    """The questions that the findings of scores answer.

    Attributes:
      quality: the metric that stands for quality; None: a label-free one where there is one.
      reference: the set that others are compared with; None: the first.
      threshold: score below which images are listed; None: chosen.
      accuracy: wanted, for a threshold that reaches it; None: none.
      level: confidence level of the intervals.
      seed: seed of the resamples.
    """

    quality: str | None = None
    reference: str | None = None
    threshold: float | None = None
    accuracy: float | None = None
    level: float = 0.95
    seed: int = 0


class Maps(NamedTuple):
    """The maps of one run: of the mean over its networks, and of each."""

    all: maps.ScoreMap
    each: tuple[maps.ScoreMap, ...]


class Side(NamedTuple):
    """What is available of one set."""

    name: str
    rows: np.ndarray
    quality: np.ndarray
    correct: Mapping[str, np.ndarray]
    applied: maps.Applied | None
    diagnosed: causes.Diagnosed | None
