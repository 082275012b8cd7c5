"""The table of the new metrics: which witness, read how."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import _reads, _tables
from causal_iqa.quality import detectors, ranks, readings, stages, success
from causal_iqa.quality.witness import FittedWitness

WITNESSES = ("plain", "regularised", "stages", "success", "detectors", "ranks", "head")
_OVER_STAGES = ("stages", "success", "detectors", "ranks")


@dataclasses.dataclass(frozen=True)
class QualitySpec:
    """One new quality metric, on any backbone.

    Attributes:
      name: its key in the table; a score column adds `@BACKBONE`.
      witness: which fit it reads, one of WITNESSES: plain, regularised on the penultimate features (with class vectors
        as anchors both are the same softmax), stages on several stages, success the same where anchors were degraded,
        detectors the same where they were asked for, ranks the same where both is so, head on the class vectors of the
        backbone; none: no fit.
      score: `score(witness, features)`, for a task-guided metric `score(witness, features, label)`, for one that reads
        the clean image `score(witness, features, clean_features)`; without a witness, without the first. Features are
        StageFeatures for those over stages and none, glances for head, else the penultimate ones [d]; scalar out.
      family: "label_free", "task_guided" (reads the image's label) or "feature_reference" (reads the clean image).
      convention: the formula in words.
      reference: where it comes from.
    """

    name: str
    witness: str
    score: Callable[..., jax.Array]
    family: str
    convention: str
    reference: str
    higher_is_better: bool = True

    @property
    def reads(self) -> tuple[str, ...]:
        """Fields of StageFeatures that it reads."""
        if self.witness == "detectors":
            return detectors.READS[self.name]
        if self.witness in _OVER_STAGES:
            return ("final", "inner", "early")
        return ("glances",) if self.witness in ("head", "none") else ("final",)

    @property
    def fitted(self) -> str:
        """Which fit it reads: that over stages also gives the chance of success and the detectors."""
        return "stages" if self.witness in _OVER_STAGES else self.witness

    def is_fitted(self, witness: Any) -> bool:
        """Whether a witness has what this metric reads beside its evidence."""
        if self.witness == "success":
            return getattr(witness, "success", None) is not None
        own = getattr(witness, "detectors", None)
        if self.witness == "detectors":
            return own is not None
        return self.witness != "ranks" or (own is not None and own.ranks is not None)

    @property
    def needs_reference(self) -> bool:
        """Whether `score` takes the features of the clean image."""
        return self.family == "feature_reference"

    @property
    def needs_label(self) -> bool:
        """Whether `score` takes the label."""
        return self.family == "task_guided"

    def reads_beside(self, anchors: str = "images") -> tuple[str, ...]:
        """What it reads in addition to the judged image, identifiers.

        Args:
          anchors: the kind of the anchors, "images", "head" or "text".

        Returns:
          Among "clean_image", "image_label", "anchor_labels", "class_vectors" and "class_names".
        """
        found = ["clean_image"] if self.needs_reference else []
        found += ["image_label"] if self.needs_label else []
        if self.witness != "none":
            # The witness of a head exists beside anchor images, too.
            own_head = self.witness == "head" and anchors == "images"
            found.append("class_vectors" if own_head else _reads.OF_ANCHORS[anchors])
        return _reads.ordered(found)

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "score"}


def evaluate(
    spec: QualitySpec,
    fitted: FittedWitness | None,
    features: stages.StageFeatures,
    label: jax.Array | None,
    clean_features: stages.StageFeatures | None = None,
) -> jax.Array:
    """Scores one image.

    Args:
      spec: a row of TABLE.
      fitted: the witness; not read where there is none.
      features: features of the image.
      label: int scalar, read by task-guided metrics only; negative: unlabelled, their score is NaN.
      clean_features: features of the clean image, read by feature-reference metrics only.

    Returns:
      Scalar, higher is better.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> score = quality.evaluate(quality.TABLE["stages_free"], witness, one, labels[0])
      >>> bool(np.isfinite(score))
      True
    """

    def seen(found):
        if spec.witness in _OVER_STAGES or spec.witness == "none":
            return found
        return found.glances if spec.witness == "head" else found.final

    arguments = () if spec.witness == "none" else (fitted,)
    arguments += (seen(features),)
    if spec.needs_reference:
        arguments += (seen(clean_features),)
    if not spec.needs_label:
        return spec.score(*arguments)
    assert label is not None, "shown to every task-guided metric"
    return jnp.where(label >= 0, spec.score(*arguments, label), jnp.nan)


_PAPER = "Drenkow, Unberath 2025 (arXiv 2503.02797)"


def _detector(name: str, convention: str, reference: str) -> QualitySpec:
    return QualitySpec(name, "detectors", detectors.SCORES[name], "label_free", convention, f"{_PAPER}; {reference}")


_SPECS = (
    QualitySpec(
        "witness_free",
        "plain",
        readings.peak,
        "label_free",
        "HSIC witness, RBF kernel with the median heuristic: evidence of the best class",
        f"{_PAPER}; Gretton et al. 2005",
    ),
    QualitySpec(
        "witness_guided",
        "plain",
        readings.margin,
        "task_guided",
        "HSIC witness, RBF kernel with the median heuristic: evidence of the label less that of the best other class",
        f"{_PAPER}; Gretton et al. 2005",
    ),
    QualitySpec(
        "ridge_free",
        "regularised",
        readings.negative_entropy,
        "label_free",
        "conditional mean embedding, width and ridge by leave-one-out on the anchors: negative entropy of the shares",
        f"{_PAPER}; Song et al. 2009",
    ),
    QualitySpec(
        "ridge_guided",
        "regularised",
        readings.share_of_label,
        "task_guided",
        "conditional mean embedding, width and ridge by leave-one-out on the anchors: share of the label",
        f"{_PAPER}; Song et al. 2009",
    ),
    QualitySpec(
        "stages_free",
        "stages",
        stages.stages_peak,
        "label_free",
        "conditional mean embedding over stages, kernels added: log of the best class's evidence + 0.5 familiarity",
        f"{_PAPER}; Song et al. 2009; Lee et al. 2018",
    ),
    QualitySpec(
        "stages_guided",
        "stages",
        stages.stages_share,
        "task_guided",
        "conditional mean embedding over stages, kernels added: log of the label's evidence + 0.5 familiarity",
        f"{_PAPER}; Song et al. 2009; Lee et al. 2018",
    ),
    QualitySpec(
        "stages_clean",
        "stages",
        stages.stages_expectation,
        "feature_reference",
        "conditional mean embedding over stages, kernels added: log of the evidence expected under the clean image's "
        "class shares + 0.5 familiarity",
        f"{_PAPER}; Song et al. 2009; Lee et al. 2018",
    ),
    QualitySpec(
        "success_free",
        "success",
        success.success_chance,
        "label_free",
        "probability that the witness over stages is right, by boosted trees on its evidence and the stages' principal "
        "components, learned on degraded anchors that the witness is fitted without",
        f"{_PAPER}; Deng, Zheng 2021; Friedman 2001",
    ),
    QualitySpec(
        "rank_free",
        "success",
        success.success_rank,
        "label_free",
        "mean of the ranks of stages_free and success_free among the degraded anchors",
        _PAPER,
    ),
    _detector("gen_free", "GEN of the shares of the witness over stages: -sum of (p (1 - p))^.1", "Liu et al. 2023"),
    _detector(
        "nnguide_free",
        "NNGuide: largest share times the mean of cosine x confidence over the ten best anchors",
        "Park et al. 2023",
    ),
    _detector(
        "fdbd_free",
        "fDBD in the witness's function space: mean distance to the boundaries of the best class over that to the mean",
        "Liu, Qin 2024",
    ),
    _detector(
        "dknn_free",
        "D-KNN: minus the distance to the tenth nearest anchor in principal and residual subspace, standardised, mean",
        "Peng et al. 2026; Sun et al. 2022",
    ),
    _detector(
        "mahalanobis_early_free",
        "minus log Mahalanobis distance of the earliest inner stage, length one, Ledoit-Wolf shrinkage",
        "Lee et al. 2018; Mueller, Hein 2025; Ledoit, Wolf 2004",
    ),
    _detector(
        "mahalanobis_middle_free",
        "minus log Mahalanobis distances of all inner statistics, length one, Ledoit-Wolf shrinkage, mean",
        "Lee et al. 2018; Mueller, Hein 2025; Ledoit, Wolf 2004",
    ),
    _detector(
        "mahalanobis_late_free",
        "minus log Mahalanobis distance of the penultimate features, length one, Ledoit-Wolf shrinkage",
        "Lee et al. 2018; Mueller, Hein 2025; Ledoit, Wolf 2004",
    ),
    QualitySpec(
        "rank_detectors_free",
        "ranks",
        ranks.mean_rank,
        "label_free",
        "mean of the ranks of stages_free and of the detectors among the degraded anchors, of those that correlate "
        "positively there with the success of the witness",
        _PAPER,
    ),
    QualitySpec(
        "head_free",
        "head",
        readings.largest_mean_share,
        "label_free",
        "softmax of the backbone's own class vectors, averaged over its glances: largest share",
        _PAPER,
    ),
    QualitySpec(
        "head_guided",
        "head",
        readings.mean_share_of_label,
        "task_guided",
        "softmax of the backbone's own class vectors, averaged over its glances: share of the label",
        _PAPER,
    ),
    QualitySpec(
        "clean_cosine",
        "none",
        stages.clean_cosine,
        "feature_reference",
        "cosine of the penultimate features with those of the clean image, averaged over glances",
        "Zhang et al. 2018 (LPIPS compares features, too)",
    ),
)

TABLE = _tables.Table("quality metric", _SPECS)
