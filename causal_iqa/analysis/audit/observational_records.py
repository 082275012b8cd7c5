"""What an audit found in the observational study, as typed records."""

from collections.abc import Mapping
from typing import NamedTuple

from causal_iqa import causal


class NotDone(NamedTuple):
    """A part of the audit that could not be done, and why."""

    reason: str


class MethodEstimates(NamedTuple):
    """Mean and effect in every arm by one method.

    Attributes:
      mean_absolute_error: mean absolute error of the effects, against the truth.
      covered: how many of the intervals of the effects hold the truth.
    """

    mean: tuple[causal.Estimate, ...]
    effect: tuple[causal.Estimate, ...]
    mean_absolute_error: float
    covered: int


class ArmEstimates(NamedTuple):
    """The true mean of an outcome in every arm, and the estimate of every method from confounded data."""

    truth: tuple[float, ...]
    methods: Mapping[str, MethodEstimates]


class MethodErrors(NamedTuple):
    """Errors of the effects by one method over fresh draws."""

    mean_absolute_bias: float
    root_mean_square_error: float
    monte_carlo_error: float


class Repeats(NamedTuple):
    """The study drawn again: how often, and the errors of every method."""

    draws: int
    methods: Mapping[str, MethodErrors]


class Sensitivity(NamedTuple):
    """How strong a hidden confounder must be to explain an effect away; see `causal.Robustness`.

    Attributes:
      arm: whose effect against clean it is.
      strongest: the observed covariate that matters most; None where there is none.
      benchmark_bias: NaN where it has no bound.
      e_value: E-value of a ratio of means; None where performance is no share.
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

    num_images: number of images of the study; `drawn`: they are some of the run's. num_groups: the groups that its
      intervals draw together; None where each image stands alone.
    arms: clean and the severities, with so many images each.
    strength: strength of the confounding.
    factors: the confounders of the images. graph: the graph behind the draw, as text.
    adjustment_set: the variables to adjust for; None where no observed set suffices.
    method: the method with the refuted effect, which has the E-value.
    performance, metrics: the estimates of every method for each outcome; skipped: metric -> reason.
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
    num_groups: int | None = None
