"""What an imaging condition says about itself."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

HENDRYCKS = (
    "Hendrycks, Dietterich (2019). Benchmarking Neural Network Robustness to Common Corruptions and Perturbations. ICLR"
)
GROUPS = (
    "noise",
    "blur",
    "weather",
    "digital",
    "exposure",
    "colour",
    "optics",
    "sensor",
    "compression",
    "geometry",
    "occlusion",
)
# Parameters that hold at every image size stand under this key instead of a family's.
ANY_SIZE = "any"


@dataclasses.dataclass(frozen=True)
class DegradationSpec:
    """One imaging condition.

    Attributes:
      name: its row in TABLE.
      fn: `fn(key, image, severity, *, family=None, **options) -> image`; key is ignored when not stochastic.
      group: one of GROUPS.
      stochastic: whether the result depends on the key.
      differentiable: whether the gradient with respect to the image exists almost everywhere and is of use.
      differentiable_in_severity: the same with respect to the severity, between whole severities.
      monotone: whether the distance to the clean image grows with severity on average.
      parameters: family -> five rows, severities 1..5; or ANY_SIZE -> five rows.
      convention: what this implementation does and where it departs from the original.
      options: keyword -> its values, the default first, or a description when it takes a number or a path.
      published: whether it is one of the 19 of ImageNet-C and CIFAR-10-C.
      reference: source of the definition and the parameters.
    """

    name: str
    fn: Callable[..., jax.Array]
    group: str
    stochastic: bool
    differentiable: bool
    monotone: bool
    parameters: Mapping[str, tuple]
    convention: str
    differentiable_in_severity: bool = True
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    published: bool = True
    reference: str = HENDRYCKS

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"group of {self.name}: expected one of {GROUPS}, got {self.group!r}")

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values, to travel with the scores."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "fn"}
        return fields | {"parameters": dict(self.parameters), "options": dict(self.options)}
