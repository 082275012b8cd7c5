"""What the tables of a page read of summary.json and config.json, as typed records; of older runs too."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from causal_iqa import _codec, pipeline
from causal_iqa._arrays import pair
from causal_iqa.alignment import UNDEFINED
from causal_iqa.alignment.intervals import Correlation
from causal_iqa.analysis.audit import Audit, Measure
from causal_iqa.estimates import Estimate
from causal_iqa.report import summary_records

_ALL = pipeline.ALL_NETWORKS


class Bounds(NamedTuple):
    """An interval; NaN where there is none."""

    low: float = math.nan
    high: float = math.nan


class Gain(NamedTuple):
    """A gain over one yardstick in one number, with the interval for other degradations as well.

    Attributes:
      best: the metric that is the yardstick, where it is one.
    """

    estimate: _codec.Inline[Annotated[Estimate, _codec.Keys(value="difference")]]
    best: str | None = None
    like_these: Bounds = Bounds()


class Metric(NamedTuple):
    """Alignments of one metric, network -> number, and its gains, yardstick -> number."""

    family: str
    alignment: Mapping[str, Mapping[str, Correlation]]
    alignment_like_these: Mapping[str, Mapping[str, Correlation]] = {}
    gains: Mapping[str, Mapping[str, Gain]] = {}

    def number(self, name: str, network: str = _ALL) -> tuple[Estimate, Estimate]:
        """Returns a number of the mean over networks, with its interval and with that for conditions like these.

        Args:
          name: name of the number.
          network: that of one network instead.
        """
        return pair(by.get(network, {}).get(name, UNDEFINED) for by in (self.alignment, self.alignment_like_these))

    def gain(self, yardstick: str, number: str) -> Gain | None:
        """Returns a gain, None where there is none."""
        return self.gains.get(yardstick, {}).get(number)


class Predicted(NamedTuple):
    """The error of the performance that a score predicts, and identifiers of its inputs."""

    error: _codec.Inline[Annotated[Estimate, _codec.Keys(value="mean_absolute")]]
    reads: tuple[str, ...]


class Network(NamedTuple):
    """A judged network: its mean performance on the clean images."""

    clean_performance: float


class Summary(NamedTuple):
    """What the record reads of summary.json; `predicted_performance` is score -> network."""

    num_images: int
    conditions: tuple[str, ...]
    networks: Mapping[str, Network]
    metrics: Mapping[str, Metric]
    predicted_performance: Mapping[str, Mapping[str, Predicted]]
    notes: tuple[str, ...] = ()
    measure: Measure = pipeline.ACCURACY


class Choice(NamedTuple):
    """A network or backbone of a run: its name and its architecture."""

    name: str
    architecture: str = ""


class Settings(NamedTuple):
    """What the record reads of config.json."""

    dataset: str
    backbones: tuple[Choice, ...]
    anchors: str
    num_anchors: int
    seed: int
    num_resamples: int
    networks: tuple[Choice, ...] = ()


class Recorded(NamedTuple):
    """What the folder of a finished run says of it.

    Attributes:
      audit: None where there was none.
      files: name of a CSV file of the run -> its rows, column -> text; only those that there are.
    """

    summary: Summary
    settings: Settings
    audit: Audit | None = None
    files: Mapping[str, Sequence[Mapping[str, str]]] = {}

    @classmethod
    def of(
        cls,
        summary: Mapping[str, Any],
        config: Mapping[str, Any],
        audit: Audit | None = None,
        files: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> "Recorded":
        """Reads JSON values.

        Args:
          summary: summary of summary.json.
          config: configuration of config.json.
          audit: audit of the run.
          files: rows of its CSV files.

        Raises:
          InputError: for a field that is missing or of another type, by its place.
        """
        said = summary_records.by_performance(summary)
        if said.get("measure") is None:
            said["measure"] = pipeline.ACCURACY.as_dict()
        return cls(
            _codec.decode(said, Summary, "summary", partial=True),
            _codec.decode(dict(config), Settings, "config", partial=True),
            audit,
            files or {},
        )
