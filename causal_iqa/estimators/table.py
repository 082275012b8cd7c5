"""the table of the estimators: what predicts accuracy from the judged network's own outputs."""

import dataclasses
from collections.abc import Callable
from typing import Any

from causal_iqa import _tables
from causal_iqa.estimators import confidences, distributions, fusion, logits, norms, stability, transferability

FAMILY = "network_output"
LEVELS = ("image", "dataset")


@dataclasses.dataclass(frozen=True)
class EstimatorSpec:
    """One estimator. All of them run the network that is judged, which the new metrics never do.

    Attributes:
      name: its key in the table; where the features are a backbone's, or the second opinion, a report adds `@BACKBONE`.
      fn: the function; its arguments are `needs`.
      level: "image": a score per image; "dataset": one number, or rows whose mean over a condition is the number.
      needs: arguments of fn in order.
      predicts_accuracy: whether the number is an accuracy, in the same units.
      reads: identifiers of the inputs that the study reads for it in addition to the judged image.
      convention: the formula in words.
      reference: where it comes from.
      family: always FAMILY.
      higher_is_better: higher is better of quality; True throughout, settled by sign.
    """

    name: str
    fn: Callable[..., Any]
    level: str
    needs: tuple[str, ...]
    predicts_accuracy: bool
    reads: tuple[str, ...]
    convention: str
    reference: str
    family: str = FAMILY
    higher_is_better: bool = True

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "fn"}
        return {**fields, "needs": list(self.needs), "reads": list(self.reads)}


_OWN = ("own_outputs",)
_WITH_CLEAN = ("own_outputs", "clean_labels")
_WITH_OTHERS = ("own_outputs", "clean_labels", "other_performance")
_WITH_SECOND = ("own_outputs", "second_outputs")
_CLEAN = ("clean_score", "clean_correct")
_DIFFERENCE = ("confidence", "clean_confidence", "clean_correct")
_REGRESSION = ("confidence", "correct", "clean_confidence", "clean_correct", "degradations", "folds")
_SCALED = "after temperature scaling on clean images: "


def _per_image(name: str, fn: Callable[..., Any], needs: str, convention: str, reference: str) -> EstimatorSpec:
    return EstimatorSpec(name, fn, "image", (needs,), False, _OWN, convention, reference)


def _both(
    name: str,
    fn: Callable[..., Any],
    needs: tuple[str, ...],
    reads: tuple[str, ...],
    convention: str,
    reference: str,
) -> tuple[EstimatorSpec, EstimatorSpec]:
    """An estimate of accuracy from the outputs without and after temperature scaling."""
    scaled_reads = (*reads, "clean_labels") if "clean_labels" not in reads else reads
    return (
        EstimatorSpec(name, fn, "dataset", needs, True, reads, convention, reference),
        EstimatorSpec(
            f"{name}_scaled",
            fn,
            "dataset",
            needs,
            True,
            scaled_reads,
            _SCALED + convention,
            f"{reference}; Guo et al. 2017",
        ),
    )


_SPECS = (
    _per_image("confidence", logits.confidence, "logits", "largest softmax probability", "Hendrycks, Gimpel 2017"),
    _per_image("negative_entropy", logits.negative_entropy, "logits", "of the softmax, nats", "Shannon 1948"),
    _per_image(
        "margin", logits.margin, "logits", "largest less second largest softmax probability", "Scheffer et al. 2001"
    ),
    _per_image("energy", logits.energy, "logits", "log sum of exponentials of the logits", "Liu et al. 2020"),
    EstimatorSpec(
        "agreement",
        logits.agreement,
        "image",
        ("prediction", "other"),
        False,
        _WITH_SECOND,
        "1 where two networks predict one class",
        "Jiang et al. 2022",
    ),
    EstimatorSpec(
        "gde",
        logits.agreement,
        "dataset",
        ("prediction", "other"),
        True,
        _WITH_SECOND,
        "generalisation disagreement equality: share of images for which two networks predict one class",
        "Jiang et al. 2022",
    ),
    EstimatorSpec(
        "fused_reference",
        fusion.fused_reference,
        "dataset",
        ("own", "second", "temperature"),
        True,
        _WITH_SECOND,
        "probability of the predicted class under the outputs of two networks, aligned in temperature without labels "
        "and fused by confidence",
        "Li et al. 2026 (FRAP), from its description",
    ),
    _per_image(
        "prediction_agreement",
        stability.prediction_agreement,
        "logits",
        "share of pairs of augmented or dropped-out passes with one prediction",
        "Bahat, Shakhnarovich 2018",
    ),
    _per_image(
        "neighbourhood_invariance",
        stability.neighbourhood_invariance,
        "logits",
        "share of augmented passes that predict the most frequent class",
        "Ng et al. 2023",
    ),
    _per_image(
        "prediction_information",
        stability.prediction_information,
        "logits",
        "negative mutual information of prediction and pass",
        "Houlsby et al. 2011",
    ),
    _per_image(
        "ser_fiq", stability.ser_fiq, "embeddings", "stability of the embedding over passes", "Terhörst et al. 2020"
    ),
    *_both(
        "average_confidence",
        confidences.average_confidence,
        ("confidence",),
        _OWN,
        "mean of the largest softmax probability",
        "Hendrycks, Gimpel 2017",
    ),
    *_both(
        "difference_of_confidences",
        confidences.difference_of_confidences,
        _DIFFERENCE,
        _WITH_CLEAN,
        "clean accuracy less the drop in mean confidence",
        "Guillory et al. 2021 as used by Garg et al. 2022",
    ),
    *_both(
        "doc_regression",
        confidences.regressed_difference_of_confidences,
        _REGRESSION,
        _WITH_OTHERS,
        "clean accuracy less a line of the drop in mean confidence, fitted on the other degradations",
        "Guillory et al. 2021",
    ),
    *_both(
        "atc_confidence",
        confidences.average_thresholded_confidence,
        ("score", *_CLEAN),
        _WITH_CLEAN,
        "share of images above the threshold of the largest probability that clean accuracy sets",
        "Garg et al. 2022",
    ),
    *_both(
        "atc_entropy",
        confidences.average_thresholded_confidence,
        ("score", *_CLEAN),
        _WITH_CLEAN,
        "share of images above the threshold of the negative entropy that clean accuracy sets",
        "Garg et al. 2022",
    ),
    *_both(
        "cot",
        distributions.optimal_transport,
        ("probabilities", "marginal"),
        ("own_outputs", "class_shares"),
        "one less the transport cost from the predictions to the class shares of the clean images",
        "Lu et al. 2023",
    ),
    EstimatorSpec(
        "nuclear_norm",
        distributions.nuclear_norm,
        "dataset",
        ("probabilities",),
        False,
        _OWN,
        "nuclear norm of the predictions over sqrt(N min(N, K))",
        "Deng et al. 2023",
    ),
    EstimatorSpec(
        "mano",
        norms.matrix_norm,
        "dataset",
        ("terms", "num_classes"),
        False,
        _OWN,
        "mean fourth power of the normalised logits, to the power 1/4",
        "Xie et al. 2024 (MaNo)",
    ),
    EstimatorSpec(
        "dispersion",
        distributions.dispersion,
        "dataset",
        ("features", "predictions"),
        False,
        _OWN,
        "log of the scatter of the predicted classes' mean features",
        "Xie et al. 2023",
    ),
    EstimatorSpec(
        "uniformity",
        distributions.uniformity,
        "dataset",
        ("features",),
        False,
        ("anchor_labels",),
        "of a backbone's features on the sphere: minus log of the mean of exp(-2 |x - y|^2)",
        "Wang, Isola 2020",
    ),
    EstimatorSpec(
        "frechet_early",
        distributions.frechet_distance,
        "dataset",
        ("coordinates",),
        False,
        ("anchor_labels",),
        "negative Frechet distance of a backbone's earliest inner stage to the anchors, which whiten it",
        "Heusel et al. 2017; Deng, Zheng 2021",
    ),
    EstimatorSpec(
        "gd_score",
        distributions.negative_gradient_norm,
        "dataset",
        ("features", "probabilities", "labels"),
        False,
        _OWN,
        "negative norm (order .3) of the last layer's gradient on pseudo-labels",
        "Xie et al. 2024 (GdScore)",
    ),
    EstimatorSpec(
        "leep",
        transferability.leep,
        "dataset",
        ("probabilities", "labels"),
        False,
        ("image_label", "own_outputs"),
        "log expected empirical prediction of the labels",
        "Nguyen et al. 2020",
    ),
    EstimatorSpec(
        "log_me",
        transferability.log_me,
        "dataset",
        ("features", "labels"),
        False,
        ("image_label",),
        "log evidence per image of a Bayesian linear model of the labels, given a backbone's features",
        "You et al. 2021",
    ),
    EstimatorSpec(
        "h_score",
        transferability.h_score,
        "dataset",
        ("features", "labels"),
        False,
        ("image_label",),
        "trace of between-class over total covariance of a backbone's features",
        "Bao et al. 2019",
    ),
)

TABLE = _tables.Table("estimator", _SPECS)
