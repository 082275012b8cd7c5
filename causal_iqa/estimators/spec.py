"""What an estimator is: the row that its file gives it."""

import dataclasses
from collections.abc import Callable
from typing import Any

FAMILY = "network_output"
LEVELS = ("image", "dataset")


@dataclasses.dataclass(frozen=True)
class EstimatorSpec:
    """One estimator. All of them run the network that is judged, which the new metrics never do.

    Attributes:
      name: its key in the table; where the features are a backbone's, or the second opinion, a report adds `@BACKBONE`.
      fn: the function; its arguments are `needs`.
      level: "image": a score per image; "dataset": one number, or rows whose mean over a condition is the number.
      needs: arguments of fn in order. A study gives, per image, "logits", or "passes" and "embeddings" over changed
        views; per set "probabilities", "predictions", "features", "pseudo_labels", "labels", "terms", "num_classes".
      predicts_accuracy: whether the number is an accuracy, in the same units.
      reads: identifiers of the inputs that the study reads for it in addition to the judged image.
      convention: the formula in words.
      reference: where it comes from.
      family: always FAMILY.
      higher_is_better: higher is better of quality; True throughout, settled by sign.
      column: for an estimator per image, the column of a score table that holds it; empty where it has none of its own.
      sign: what that column is multiplied by.
      of: for an accuracy predicted from a score of each image, (score, clean score, clean correct): that score's row.
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
    column: str = ""
    sign: float = 1.0
    of: str = ""

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "fn"}
        return {**fields, "needs": list(self.needs), "reads": list(self.reads)}


OWN = ("own_outputs",)
WITH_CLEAN = ("own_outputs", "clean_labels")
WITH_OTHERS = ("own_outputs", "clean_labels", "other_performance")
WITH_SECOND = ("own_outputs", "second_outputs")
CLEAN = ("clean_score", "clean_correct")
DIFFERENCE = ("confidence", "clean_confidence", "clean_correct")
REGRESSION = ("confidence", "correct", "clean_confidence", "clean_correct", "degradations", "folds")
SCALED = "after temperature scaling on clean images: "


def per_image(
    name: str,
    fn: Callable[..., Any],
    needs: str,
    convention: str,
    reference: str,
    *,
    column: str = "",
    sign: float = 1.0,
) -> EstimatorSpec:
    """An estimator per image that reads the judged network's outputs; its column has its name unless given."""
    own = (needs,), False, OWN, convention, reference
    return EstimatorSpec(name, fn, "image", *own, column=column or name, sign=sign)


def both(
    name: str,
    fn: Callable[..., Any],
    needs: tuple[str, ...],
    reads: tuple[str, ...],
    convention: str,
    reference: str,
    *,
    of: str = "",
) -> tuple[EstimatorSpec, EstimatorSpec]:
    """An estimate of accuracy from the outputs without and after temperature scaling."""
    scaled_reads = (*reads, "clean_labels") if "clean_labels" not in reads else reads
    return (
        EstimatorSpec(name, fn, "dataset", needs, True, reads, convention, reference, of=of),
        EstimatorSpec(
            f"{name}_scaled",
            fn,
            "dataset",
            needs,
            True,
            scaled_reads,
            SCALED + convention,
            f"{reference}; Guo et al. 2017",
            of=of,
        ),
    )
