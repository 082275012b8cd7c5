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
# The path of light and data through a camera.
STAGES = ("world", "optics", "exposure", "sensor", "demosaicing", "colour", "processing", "compression", "geometry")
# A group describes how a degradation looks; unless a row states another stage, it happens where most of its group do.
_STAGE_OF_GROUP: Mapping[str, str] = {
    "weather": "world",
    "occlusion": "world",
    "blur": "optics",
    "optics": "optics",
    "exposure": "exposure",
    "noise": "sensor",
    "sensor": "sensor",
    "colour": "colour",
    "digital": "processing",
    "geometry": "geometry",
    "compression": "compression",
}
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
      differentiable_in_severity: whether it is differentiable with respect to the severity, between whole severities.
      monotone: whether the distance to the clean image grows with severity on average.
      parameters: family -> five rows, severities 1..5; or ANY_SIZE -> five rows.
      convention: what this implementation does and where it departs from the original.
      options: keyword -> its values, the default first, or a description when it takes a number or a path.
      published: whether it is one of the 19 of ImageNet-C and CIFAR-10-C.
      for_validation: whether the benchmarks hold it out for validation, so that it is not among the 15 of the benchmark
        (Hendrycks and Dietterich 2019, section 4.1).
      stage: where on the path from the world to the file it happens, one of STAGES; empty: where its group does.
      read_options: `read_options(options, image, family) -> options` for `fn`, where these name files; without an image
        it only checks that there are such files. None: they are taken as written.
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
    for_validation: bool = False
    stage: str = ""
    read_options: Callable[[Mapping[str, Any], jax.Array | None, str | None], dict[str, Any]] | None = None
    reference: str = HENDRYCKS

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"group of {self.name}: expected one of {GROUPS}, got {self.group!r}")
        if not self.stage:
            object.__setattr__(self, "stage", _STAGE_OF_GROUP[self.group])
        elif self.stage not in STAGES:
            raise ValueError(f"stage of {self.name}: expected one of {STAGES}, got {self.stage!r}")

    def passport(self) -> dict[str, Any]:
        """Returns everything but the functions as JSON values, to travel with the scores."""
        fields = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("fn", "read_options")
        }
        return fields | {"parameters": dict(self.parameters), "options": dict(self.options)}
