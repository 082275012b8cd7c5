"""What performance is in a study: correct or not, or any number per image with its name, range and direction."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import tasks
from causal_iqa.pipeline.config import StudyConfig
from causal_iqa.pipeline.parts import ScoreTable

# Ends the names of the columns: whether a network is right, or its performance in the unit of the user's measure.
CORRECT, PERFORMANCE = "/correct", "/performance"
# The column with the number of each image's cluster.
CLUSTER = "cluster"


class Measure(NamedTuple):
    """The performance of a study as the reports show it, higher always better.

    Attributes:
      name: "accuracy", or the user's, with "minus" before an error.
      is_accuracy: whether one image is right or wrong, so that a mean is an accuracy.
      sign: -1 where the table of scores holds an error, of which lower is better.
      bounds: bounds of one image's performance and of every mean, infinite where nothing is known.
    """

    name: str
    is_accuracy: bool
    sign: float
    bounds: tuple[float, float]

    @property
    def key(self) -> str:
        """Its identifier in summaries and audits: "accuracy" or "performance"."""
        return "accuracy" if self.is_accuracy else "performance"

    @property
    def is_share(self) -> bool:
        """Whether it lies in [0, 1], so that it is shown in per cent and its errors in points."""
        return self.bounds == (0.0, 1.0)

    def shown(self, value: float) -> str:
        """Says a value in words: per cent of what lies in [0, 1], three digits else."""
        if not np.isfinite(value):
            return "undefined"
        return f"{100 * value:.1f} %" if self.is_share else f"{value:.3g}"

    def error(self, value: float, sign: str = "") -> str:
        """Says a difference of two values: in points of what lies in [0, 1], in its own unit else."""
        return f"{100 * value:{sign}.1f}" if self.is_share else f"{value:{sign}.3g}"

    @property
    def unit(self) -> str:
        """What `error` is in, for texts."""
        return "points" if self.is_share else f"units of {self.name}"

    @classmethod
    def from_dict(cls, said: Mapping[str, Any] | None) -> "Measure":
        """Inverse of `as_dict`; None, of a run that is older, is the accuracy."""
        if said is None:
            return ACCURACY
        low, high = said["low"], said["high"]
        bounds = (-np.inf if low is None else low, np.inf if high is None else high)
        return cls(said["name"], said["is_accuracy"], 1.0, bounds)

    def as_dict(self) -> dict[str, Any]:
        """Returns {"name", "is_accuracy", "low", "high"} for JSON, None where there is no bound."""
        low, high = (float(x) if np.isfinite(x) else None for x in self.bounds)
        return {"name": self.name, "is_accuracy": self.is_accuracy, "low": low, "high": high}


ACCURACY = Measure("accuracy", True, 1.0, (0.0, 1.0))


def measure_of(config: StudyConfig) -> Measure:
    """Returns the definition of performance in a study.

    Args:
      config: configuration of the study.

    Examples:
      >>> config = pipeline.StudyConfig(networks=(pipeline.NetworkChoice("net", "scene_cnn_a"),))
      >>> pipeline.measure_of(config).name
      'accuracy'
    """
    if config.task is not None:
        return Measure(tasks.TABLE[config.task].label, False, 1.0, (0.0, 1.0))
    if config.performance is None:
        return ACCURACY
    low, high = config.performance_range or (-np.inf, np.inf)
    if config.performance_direction == "higher":
        return Measure(config.performance_name, config.performance_name == ACCURACY.name, 1.0, (low, high))
    return Measure(f"minus {config.performance_name}", False, -1.0, (-high, -low))


def performance_rows(table: ScoreTable, networks: Sequence[str], measure: Measure = ACCURACY) -> dict[str, np.ndarray]:
    """Returns the performance of judged networks, higher is better.

    Args:
      table: table of scores; the performance of a network that was judged here is whether it is right.
      networks: their names.
      measure: the definition of performance.

    Returns:
      network -> [C, N], NaN where undefined.

    Examples:
      >>> conditions = tuple(map(degradations.Condition.parse, ("clean", "fog/3")))
      >>> correct = np.array([[1.0, 1.0], [0.0, 1.0]], np.float32)
      >>> columns = {"net/correct": correct, "entropy": np.array([[5.0, 6.0], [3.0, 4.0]], np.float32)}
      >>> table = pipeline.ScoreTable(("a", "b"), np.array([0, 1], np.int32), conditions, columns, {}, (), {})
      >>> pipeline.performance_rows(table, ["net"])["net"].tolist()
      [[1.0, 1.0], [0.0, 1.0]]
    """
    columns = table.columns
    kinds = {name: PERFORMANCE if f"{name}{PERFORMANCE}" in columns else CORRECT for name in networks}
    found = {name: columns[f"{name}{kind}"] for name, kind in kinds.items()}
    return found if measure.sign > 0 else {name: -values for name, values in found.items()}


def clusters(columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Returns the number of each image's cluster, int [N], or None where every image stands alone.

    Args:
      columns: columns of a score table.

    Examples:
      >>> pipeline.clusters({"entropy": np.zeros((2, 3))}) is None  # no column names a cluster
      True
    """
    return None if CLUSTER not in columns else np.asarray(columns[CLUSTER])[0].astype(int)
