"""Conditions as interventions: composed in the order of a camera, applied as pure functions."""

import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import Array
from causal_iqa.degradations import _jpeg
from causal_iqa.degradations.condition import QUANTISE, Condition, Step, check_stored
from causal_iqa.degradations.spec import STAGES
from causal_iqa.degradations.table import TABLE

Apply = Callable[[jax.Array, jax.Array], jax.Array]

SETS = ("imagenet_c", "imagenet_c15", "camera", "all")


def stage(name: str) -> str:
    """Names where on the path from the world to the file a degradation happens.

    Args:
      name: a row of TABLE.

    Returns:
      One of STAGES.

    Examples:
      >>> degradations.stage("motion_blur")
      'optics'
    """
    return _checks.lookup(TABLE, name, "degradation").stage


def compose(
    *parts: Condition | Step | str,
    ordered: bool = True,
    family: str | None = None,
    quantise: str | None = None,
    stored: int | None = None,
) -> Condition:
    """Composes conditions into one.

    Args:
      *parts: conditions, steps, or written conditions.
      ordered: whether steps happen in the order of STAGES, with steps of one stage in the given order; False keeps the
        given order throughout.
      family: family of the whole; None: what the parts say.
      quantise: quantisation of the whole, after the last step; None: what the parts say.
      stored: stored of the whole, after the last step; None: what the parts say.

    Returns:
      The condition.

    Raises:
      InputError: when parts contradict each other in family, quantise or stored, or cannot be read.

    Examples:
      >>> str(degradations.compose("iso_noise/1.5", "low_light/2"))
      'low_light/2+iso_noise/1.5'
    """
    conditions = [
        part if isinstance(part, Condition) else Condition([part]) if isinstance(part, Step) else Condition.parse(part)
        for part in parts
    ]
    steps = [step for condition in conditions for step in condition.steps]
    if ordered:
        steps.sort(key=lambda step: STAGES.index(stage(step.name)))
    how = {}
    for keyword, given, unset in (("family", family, None), ("quantise", quantise, "none"), ("stored", stored, None)):
        found = {getattr(condition, keyword) for condition in conditions} - {unset}
        if given is None and len(found) > 1:
            raise _checks.InputError(
                f"{keyword}: the parts say {sorted(map(str, found))}; give {keyword} for the whole"
            )
        how[keyword] = given if given is not None else next(iter(found), unset)
    return Condition(steps, **how)


def named_set(name: str) -> tuple[str, ...]:
    """Looks up a named set of degradations.

    Args:
      name: one of SETS: "imagenet_c", the 19 of ImageNet-C and CIFAR-10-C; "imagenet_c15", the 15 of the benchmark
        proper; "camera", all others; "all".

    Returns:
      Names in the order of TABLE.

    Raises:
      InputError: for another name.

    References:
      [1] Hendrycks, Dietterich (2019), section 4.1.

    Examples:
      >>> len(degradations.named_set("imagenet_c"))
      19
    """
    _checks.check_choice(name, SETS, "set of degradations")
    rows = TABLE.values()
    if name == "camera":
        return tuple(spec.name for spec in rows if not spec.published)
    if name != "all":
        rows = [spec for spec in rows if spec.published]
    return tuple(spec.name for spec in rows if name != "imagenet_c15" or not spec.for_validation)


def step_key(key: jax.Array, name: str, *, repeat: int = 0) -> jax.Array:
    """Derives the random key of a step: it is the same for every severity, so a ladder is a set of counterfactuals.

    Args:
      key: key of the image under any condition.
      name: name of the degradation.
      repeat: how often the degradation has come before in the condition, static.

    Returns:
      fold_in(key, crc32(name)), folded once more with a positive `repeat`.

    Examples:
      >>> jax.random.key_data(degradations.step_key(jax.random.key(0), "fog")).shape
      (2,)
    """
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return jax.random.fold_in(key, repeat) if repeat else key


def do(condition: Condition | str) -> Apply:
    """Turns a condition into the function that applies it.

    Args:
      condition: the condition, or its written form.

    Returns:
      A pure `f(key, image) -> image`, float32 [H, W, 3] in [0, 1]; with no more than severity 0, nothing to quantise
      and nothing to store it gives the image back bit for bit.

    Raises:
      InputError: when the written form cannot be read.

    Examples:
      >>> apply = degradations.do("contrast/3+gaussian_noise/1")
      >>> image = jnp.zeros((32, 32, 3)).at[:, 16:].set(1.0)
      >>> degraded = jax.jit(apply)(jax.random.key(0), image)
      >>> degraded.shape, bool(degraded.std() < image.std())
      ((32, 32, 3), True)
    """
    condition = Condition.parse(condition) if isinstance(condition, str) else condition
    graded, severities = do_graded(condition), np.asarray(condition.severities, np.float32)
    return lambda key, image: graded(key, image, severities)


def do_graded(condition: Condition) -> Callable[[jax.Array, jax.Array, Array], jax.Array]:
    """The same with the severities as an argument: one compiled program serves all of them.

    Args:
      condition: says everything but the severities.

    Returns:
      A pure `f(key, image, severities) -> image`; severities float [number of steps] in [0, 5], traced. The images of
      `frost[textures=FOLDER]` are read when it is traced; all of them serve (the originals use frost1 to frost5).

    Raises:
      InputError: when there are no such files. The function raises ValueError unless there is one severity per step.

    Examples:
      >>> graded = degradations.do_graded(degradations.Condition.parse("contrast/2"))
      >>> graded(jax.random.key(0), np.full((32, 32, 3), 0.5, np.float32), np.float32([3])).shape
      (32, 32, 3)
    """
    came = [sum(other.name == step.name for other in condition.steps[:i]) for i, step in enumerate(condition.steps)]
    for step in condition.steps:
        _options(step, None, condition.family)

    def apply(key: jax.Array, image: jax.Array, severities: Array) -> jax.Array:
        _checks.check_image(image)
        if jnp.shape(severities) != (len(condition.steps),):
            raise ValueError(
                f"severities: expected one per step, [{len(condition.steps)}], got shape {jnp.shape(severities)}"
            )
        for i, step in enumerate(condition.steps):
            fn = TABLE[step.name].fn
            own = step_key(key, step.name, repeat=came[i])
            options = _options(step, image, condition.family)
            image = fn(own, image, severities[i], family=condition.family, **options)
        return keep(image, quantise=condition.quantise, stored=condition.stored)

    return apply


def _options(step: Step, image: jax.Array | None, family: str | None) -> dict[str, Any]:
    """The options of a step for its function; InputError when a file that they name does not exist."""
    read = TABLE[step.name].read_options
    return dict(step.options) if read is None else read(dict(step.options), image, family)


def keep(image: jax.Array, *, quantise: str = "none", stored: int | None = None) -> jax.Array:
    """Quantises and stores an image, as `Condition` says.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      quantise: one of QUANTISE, static. Truncation darkens by half a level on average.
      stored: JPEG quality 1..100, static, or None. The image is rounded to 8 bits before it is coded.

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: for another name, or a quality that is none.

    References:
      [1] Hendrycks, Dietterich (2019), released code: uint8 by truncation, then JPEG files of quality 85.

    Examples:
      >>> float(degradations.keep(jnp.full((2, 2, 3), 0.5), quantise="round").max() * 255)
      128.0
    """
    _checks.check_choice(quantise, QUANTISE, "quantise")
    check_stored(stored)
    if quantise != "none":
        to_whole = jnp.round if quantise == "round" else jnp.floor
        image = to_whole(jnp.clip(image, 0.0, 1.0) * 255.0) / 255.0
    if stored is not None:
        pixels = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0).astype(jnp.int32)
        image = _jpeg.jpeg_roundtrip(pixels, jnp.int32(stored)).astype(jnp.float32) / 255.0
    return image
