"""The table of the new metrics: which witness, read how."""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax

from causal_iqa.quality import witness

WITNESSES = ("plain", "regularised")


@dataclasses.dataclass(frozen=True)
class QualitySpec:
    """One new quality metric, on any backbone.

    Attributes:
      name: its key in the table; a score column adds `@BACKBONE`.
      witness: which fit it reads, one of WITNESSES. With class vectors as anchors both are the same softmax.
      score: `score(witness, features)` or `score(witness, features, label)`, by family; features [d], scalar out.
      family: "label_free" or "task_guided" (reads the image's label).
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
    def needs_label(self) -> bool:
        """Whether `score` takes the label."""
        return self.family == "task_guided"

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "score"}


def evaluate(spec: QualitySpec, fitted: Any, features: jax.Array, label: jax.Array) -> jax.Array:
    """Scores one image.

    Args:
      spec: a row of TABLE.
      fitted: the witness.
      features: float32 [d].
      label: int scalar, read by task-guided metrics only.

    Returns:
      Scalar, higher is better.
    """
    return spec.score(fitted, features, label) if spec.needs_label else spec.score(fitted, features)


_PAPER = "Drenkow, Unberath 2025 (arXiv 2503.02797)"
_SPECS = (
    QualitySpec(
        "witness_free",
        "plain",
        witness.peak,
        "label_free",
        "HSIC witness, RBF kernel with the median heuristic: evidence of the best class",
        f"{_PAPER}; Gretton et al. 2005",
    ),
    QualitySpec(
        "witness_guided",
        "plain",
        witness.margin,
        "task_guided",
        "HSIC witness, RBF kernel with the median heuristic: evidence of the label less that of the best other class",
        f"{_PAPER}; Gretton et al. 2005",
    ),
    QualitySpec(
        "ridge_free",
        "regularised",
        witness.negative_entropy,
        "label_free",
        "conditional mean embedding, width and ridge by leave-one-out on the anchors: negative entropy of the shares",
        f"{_PAPER}; Song et al. 2009",
    ),
    QualitySpec(
        "ridge_guided",
        "regularised",
        witness.share_of_label,
        "task_guided",
        "conditional mean embedding, width and ridge by leave-one-out on the anchors: share of the label",
        f"{_PAPER}; Song et al. 2009",
    ),
)

TABLE: Mapping[str, QualitySpec] = types.MappingProxyType({spec.name: spec for spec in _SPECS})
