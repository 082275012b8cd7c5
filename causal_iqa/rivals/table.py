"""The table of the rivals: what predicts accuracy from the judged network's own outputs."""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

from causal_iqa.rivals import accuracy, dataset, outputs, stability, transferability

FAMILY = "network_output"
LEVELS = ("image", "dataset")


@dataclasses.dataclass(frozen=True)
class RivalSpec:
    """One rival. All of them run the network that is judged, which the new metrics never do.

    Attributes:
      name: its key in the table.
      fn: the function; its arguments are `needs`.
      level: "image": a score per image; "dataset": one number, or rows whose mean over a condition is the number.
      needs: arguments of fn in order.
      predicts_accuracy: whether the number is an accuracy, in the same units.
      convention: the formula in words.
      reference: where it comes from.
      family: always FAMILY.
      higher_is_better: of quality; True throughout, settled by sign.
    """

    name: str
    fn: Callable[..., Any]
    level: str
    needs: tuple[str, ...]
    predicts_accuracy: bool
    convention: str
    reference: str
    family: str = FAMILY
    higher_is_better: bool = True

    @property
    def needs_clean_labels(self) -> bool:
        """Whether it reads the labels of clean images (thresholds, offsets, class shares)."""
        return any(name in ("clean_correct", "marginal") for name in self.needs)

    @property
    def needs_labels(self) -> bool:
        """Whether it reads the labels of the degraded images themselves."""
        return "labels" in self.needs

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "fn"}
        return {**fields, "needs": list(self.needs)}


_CLEAN = ("clean_score", "clean_correct")
_SPECS = (
    RivalSpec(
        "confidence",
        outputs.confidence,
        "image",
        ("logits",),
        False,
        "largest softmax probability",
        "Hendrycks, Gimpel 2017",
    ),
    RivalSpec(
        "negative_entropy",
        outputs.negative_entropy,
        "image",
        ("logits",),
        False,
        "of the softmax, nats",
        "Shannon 1948",
    ),
    RivalSpec(
        "margin",
        outputs.margin,
        "image",
        ("logits",),
        False,
        "largest less second largest softmax probability",
        "Scheffer et al. 2001",
    ),
    RivalSpec(
        "energy",
        outputs.energy,
        "image",
        ("logits",),
        False,
        "log sum of exponentials of the logits",
        "Liu et al. 2020",
    ),
    RivalSpec(
        "agreement",
        outputs.agreement,
        "image",
        ("prediction", "other"),
        False,
        "1 where two networks predict one class",
        "Jiang et al. 2022",
    ),
    RivalSpec(
        "gde",
        outputs.agreement,
        "dataset",
        ("prediction", "other"),
        True,
        "generalisation disagreement equality: share of images for which two networks predict one class",
        "Jiang et al. 2022",
    ),
    RivalSpec(
        "prediction_agreement",
        stability.prediction_agreement,
        "image",
        ("logits",),
        False,
        "share of pairs of augmented or dropped-out passes with one prediction",
        "Bahat, Shakhnarovich 2018",
    ),
    RivalSpec(
        "prediction_information",
        stability.prediction_information,
        "image",
        ("logits",),
        False,
        "negative mutual information of prediction and pass",
        "Houlsby et al. 2011",
    ),
    RivalSpec(
        "ser_fiq",
        stability.ser_fiq,
        "image",
        ("embeddings",),
        False,
        "stability of the embedding over passes",
        "Terhörst et al. 2020",
    ),
    RivalSpec(
        "average_confidence",
        accuracy.average_confidence,
        "dataset",
        ("confidence",),
        True,
        "mean of the largest softmax probability",
        "Hendrycks, Gimpel 2017",
    ),
    RivalSpec(
        "doc",
        accuracy.difference_of_confidences,
        "dataset",
        ("confidence", "clean_confidence", "clean_correct"),
        True,
        "clean accuracy less the drop in mean confidence",
        "Guillory et al. 2021",
    ),
    RivalSpec(
        "atc_confidence",
        accuracy.average_thresholded_confidence,
        "dataset",
        ("score", *_CLEAN),
        True,
        "share of images above the threshold of the largest probability that clean accuracy sets",
        "Garg et al. 2022",
    ),
    RivalSpec(
        "atc_entropy",
        accuracy.average_thresholded_confidence,
        "dataset",
        ("score", *_CLEAN),
        True,
        "share of images above the threshold of the negative entropy that clean accuracy sets",
        "Garg et al. 2022",
    ),
    RivalSpec(
        "nuclear_norm",
        dataset.nuclear_norm,
        "dataset",
        ("probabilities",),
        False,
        "nuclear norm of the predictions over sqrt(N min(N, K))",
        "Deng et al. 2023",
    ),
    RivalSpec(
        "cot",
        dataset.optimal_transport,
        "dataset",
        ("probabilities", "marginal"),
        True,
        "one less the transport cost from the predictions to the clean label shares",
        "Lu et al. 2023",
    ),
    RivalSpec(
        "leep",
        transferability.leep,
        "dataset",
        ("probabilities", "labels"),
        False,
        "log expected empirical prediction of the labels",
        "Nguyen et al. 2020",
    ),
    RivalSpec(
        "log_me",
        transferability.log_me,
        "dataset",
        ("features", "labels"),
        False,
        "log evidence per image of a Bayesian linear model of the labels",
        "You et al. 2021",
    ),
    RivalSpec(
        "h_score",
        transferability.h_score,
        "dataset",
        ("features", "labels"),
        False,
        "trace of between-class over total covariance",
        "Bao et al. 2019",
    ),
)

TABLE: Mapping[str, RivalSpec] = types.MappingProxyType({spec.name: spec for spec in _SPECS})
