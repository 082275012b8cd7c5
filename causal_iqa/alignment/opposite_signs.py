"""Where the levels of alignment contradict each other: the sign of one is not that of another."""

import math
from typing import NamedTuple

from causal_iqa.alignment.intervals import Alignment

_PAIRS = (("pooled", "within"), ("between", "within"))


class SignConflict(NamedTuple):
    """Two numbers of opposite sign; `certain` when both intervals exclude 0."""

    first: str
    second: str
    certain: bool
    message: str


def sign_conflicts(aligned: Alignment) -> tuple[SignConflict, ...]:
    """Finds where pooled and within, or between and within, disagree in sign.

    Rows pooled over conditions mix two questions, which condition and which image; a metric whose signs differ answers
    one of them backwards, and its pooled number must not be read without them (Simpson's paradox).

    Args:
      aligned: the three numbers of one metric and network.

    Returns:
      The conflicts; none where a number is undefined or 0.

    References:
      [1] E. Simpson (1951), The interpretation of interaction in contingency tables.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.bootstrap(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=50)
      >>> alignment.sign_conflicts(alignment.summarise(found["q"]["net"]))
      ()
    """
    found = []
    for first, second in _PAIRS:
        a, b = getattr(aligned, first), getattr(aligned, second)
        if a.value * b.value < 0:
            certain = all(x.low > 0 or x.high < 0 for x in (a, b))
            text = f"{first} {a.text()} and {second} {b.text()}"
            doubt = "" if certain else ", but an interval holds 0"
            if any(math.isnan(x.low) for x in (a, b)):
                doubt = ", but there are no intervals"
            found.append(SignConflict(first, second, certain, f"{text} have opposite signs{doubt}"))
    return tuple(found)
