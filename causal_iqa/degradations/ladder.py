"""The severity ladder: published rows 1..5, a neutral row at 0, straight lines between.

A degradation has one table of five rows per family. A family is an image size for which a
benchmark published parameters; images of like size take the nearest family, others need it named.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import Array

Rows = Sequence[float] | Sequence[Sequence[float]]

# Nominal side in pixels of each family.
FAMILIES: Mapping[str, int] = {"imagenet224": 224, "inception299": 299, "tiny64": 64, "cifar32": 32}
MAX_SEVERITY = 5
# A family serves images whose shorter side is up to this many times larger or smaller than its own: at 1.5 times a blur
# or a grain is as far from the published look as one severity is from the next.
MAX_SIZE_RATIO = 1.5


def nearest_family(height: int, width: int) -> str:
    """Names the parameter family whose nominal side is nearest, in log scale, to the shorter side, however far it is.

    Args:
      height: image height in pixels, static.
      width: image width in pixels, static.

    Returns:
      A key of FAMILIES.

    Raises:
      ValueError: when a side is not positive.

    Examples:
      >>> nearest_family(128, 128), nearest_family(600, 480)
      ('imagenet224', 'inception299')
    """
    if height < 1 or width < 1:
        raise ValueError(f"height, width: expected positive sides, got {height} x {width}")
    side = min(height, width)
    return min(FAMILIES, key=lambda name: abs(math.log(FAMILIES[name] / side)))


def family_for(height: int, width: int) -> str:
    """Names the parameter family for images of a size: the nearest one, where it is near.

    Args:
      height: image height in pixels, static.
      width: image width in pixels, static.

    Returns:
      One of "imagenet224", "inception299", "tiny64", "cifar32".

    Raises:
      ValueError: when a side is not positive.
      InputError: when the shorter side is more than 1.5 times off that of every family (below 22 pixels, 97 to 149,
        above 448): the family must be named then.

    Examples:
      >>> degradations.family_for(32, 32)
      'cifar32'
    """
    family = nearest_family(height, width)
    side = min(height, width)
    if max(FAMILIES[family] / side, side / FAMILIES[family]) > MAX_SIZE_RATIO:
        choices = ", ".join(f"{name} (for {side} pixels)" for name, side in FAMILIES.items())
        raise _checks.InputError(
            f"family: images of {height} x {width} pixels are far from every size with published parameters; choose "
            f"one of {choices} by --family, in the library by family=..."
        )
    return family


def check_severity(severity: float | str | Array) -> None:
    """Raises InputError unless `severity` is a finite number in [0, 5]; for the host, before anything is traced.

    Examples:
      >>> degradations.check_severity(2.5)
    """
    try:
        value = float(severity)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 <= value <= MAX_SEVERITY:
        raise _checks.InputError(f"severity: expected a number from 0 (clean) to {MAX_SEVERITY}, got {severity!r}")


def family_of(image: jax.Array, family: str | None) -> str:
    """Returns `family` after a check, or the family that fits the image's size when it is None."""
    _checks.check_image(image)
    if family is None:
        return family_for(image.shape[0], image.shape[1])
    _checks.check_choice(family, FAMILIES, "family")
    return family


def weights(severity: Array) -> jax.Array:
    """Weights of the rows 0..5 at `severity`: hat functions, so only one row has weight at an integer.

    Args:
      severity: scalar in [0, 5], traced.

    Returns:
      float32 [6], non-negative, summing to 1.

    Raises:
      ValueError: when the severity is no scalar, or outside [0, 5]; one that is traced cannot be looked at and is
        clipped.
    """
    if jnp.shape(severity):
        raise ValueError(f"severity: expected one number, got shape {jnp.shape(severity)} (use jax.vmap for several)")
    if _checks.is_concrete(severity):
        check_severity(severity)
    severity = jnp.clip(jnp.asarray(severity, jnp.float32), 0.0, MAX_SEVERITY)
    return jnp.maximum(0.0, 1.0 - jnp.abs(severity - np.arange(MAX_SEVERITY + 1, dtype=np.float32)))


def mix(neutral: float | Sequence[float] | np.ndarray, rows: Sequence | np.ndarray, severity: jax.Array) -> jax.Array:
    """Interpolates a table of rows at `severity`.

    Args:
      neutral: the row at severity 0, shape [...].
      rows: five rows of the same shape, severities 1..5.
      severity: scalar in [0, 5], traced.

    Returns:
      float32 [...]: exactly a row at an integer, on the straight line between two rows elsewhere.
    """
    table = np.asarray([neutral, *rows], np.float32)
    w = weights(severity).reshape((-1,) + (1,) * (table.ndim - 1))
    return jnp.sum(w * table, axis=0)


def finish(image: jax.Array, degraded: jax.Array, severity: jax.Array) -> jax.Array:
    """Clips to [0, 1]; at severity 0 gives the image back bit for bit."""
    return jnp.where(jnp.asarray(severity) > 0, jnp.clip(degraded, 0.0, 1.0), image)
