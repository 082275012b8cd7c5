"""The specification of a conventional quality metric, and the function that calls one by its name."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

FAMILIES = ("full_reference", "no_reference")
SUITES = ("classical", "learned")
COLOURS = ("RGB", "Y BT.601", "YIQ", "LMN", "LHM", "Lab", "opponent", "network input")
# What evaluates to NaN, when a metric names no other reason.
_NO_REASON = "never undefined at or above the smallest side"


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """One conventional quality metric and its convention.

    Attributes:
      name: name in the table, in flags and in score columns. Another convention is another name.
      fn: `fn(reference, image)` or `fn(image)`, by family; images float32 [H, W, 3] in [0, 1]; returns a scalar.
      family: "full_reference" or "no_reference".
      higher_is_better: whether a larger value means better quality. Fixed here, before any study.
      colour: the colour space that the metric reads, one of COLOURS.
      range: smallest and largest possible value, None where unbounded.
      smallest_side: shortest side in pixels on which the metric is defined; `fn` refuses smaller images.
      differentiable: whether the gradient with respect to the image says something (false after rounding, unless the
        gradient passes straight through it).
      convention: in words, all choices that define the number and have no field of their own.
      reference: where the definition comes from.
      worse_with: degradations of a photograph under which the value moves against `higher_is_better`, of "blur" and
        "noise". A no-reference statistic may miss one, or read it as better.
      perfect: value on two equal images, None where undefined (NaN) or without a reference.
      symmetric: whether swapping reference and image changes nothing; false without a reference.
      data_range: the values the published constants refer to, e.g. "0-1" or "0-255 rounded".
      window: window of local statistics or filters, "none" for a global one.
      border: how filters treat it, e.g. "valid", "zero", "symmetric", "none".
      downsampling: before scoring, in words, "none" where there is none.
      undefined: when the value is NaN on an image that is large enough, in words: the reason stored with such a score.
      suite: "classical" (computed by default), or "learned" (reads a network or a parameter file).
    """

    name: str
    fn: Callable[..., jax.Array]
    family: str
    higher_is_better: bool
    colour: str
    range: tuple[float | None, float | None]
    smallest_side: int
    differentiable: bool
    convention: str
    reference: str
    worse_with: tuple[str, ...]
    perfect: float | None = None
    symmetric: bool = False
    data_range: str = "0-1"
    window: str = "none"
    border: str = "none"
    downsampling: str = "none"
    undefined: str = _NO_REASON
    suite: str = "classical"

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family of {self.name}: expected one of {FAMILIES}, got {self.family!r}")
        if self.colour not in COLOURS:
            raise ValueError(f"colour of {self.name}: expected one of {COLOURS}, got {self.colour!r}")
        if self.suite not in SUITES:
            raise ValueError(f"suite of {self.name}: expected one of {SUITES}, got {self.suite!r}")
        if self.smallest_side < 1:
            raise ValueError(f"smallest_side of {self.name}: expected at least 1, got {self.smallest_side}")

    @property
    def needs_reference(self) -> bool:
        """Whether `fn` takes the pristine image first."""
        return self.family == "full_reference"

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values, to travel with the scores."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "fn"}
        lists = {"range": list(self.range), "worse_with": list(self.worse_with)}
        return fields | lists | {"needs_reference": self.needs_reference}


def evaluate(spec: MetricSpec, reference: jax.Array | None, image: jax.Array) -> jax.Array:
    """Calls a metric of either family.

    Args:
      spec: the metric.
      reference: float32 [H, W, 3] in [0, 1], the pristine image. A no-reference metric ignores it, so
        None will do.
      image: float32 [H, W, 3] in [0, 1], the image to judge.

    Returns:
      Scalar score; `spec.higher_is_better` gives its direction.

    Raises:
      ValueError: when a full-reference metric gets no reference, or from the metric's own checks.

    Examples:
      >>> image = np.full((32, 32, 3), 0.5, np.float32)
      >>> round(float(metrics.evaluate(metrics.TABLE["mse"], image, image + 0.1)), 3)
      0.01
    """
    if not spec.needs_reference:
        return spec.fn(image)
    if reference is None:
        raise ValueError(f"reference: {spec.name} compares with a pristine image, got None")
    return spec.fn(reference, image)
