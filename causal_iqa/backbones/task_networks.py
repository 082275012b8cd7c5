"""Networks of other tasks, judged by what they predict of an image: masks or boxes, on the host or in JAX."""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import buffer_callback

from causal_iqa import _checks, tasks
from causal_iqa._arrays import Params
from causal_iqa.backbones import dry_calls, host, networks

_NOTHING: Mapping[str, Any] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Task:
    """The kind of predictions of a network, and the measure of its performance.

    Attributes:
      performance: a row of `tasks.TABLE`.
      options: options of its function.
      mask_side: side in pixels of the masks it predicts, at which the truth is compared; None for boxes.
    """

    performance: str
    options: Mapping[str, float]
    mask_side: int | None

    @property
    def spec(self) -> tasks.TaskSpec:
        """Returns the row of the table."""
        return tasks.TABLE[self.performance]


def padded_detections(
    found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], *, most: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Puts the boxes of several images into slots; the surest of each image where there are more.

    Args:
      found: the predictions for every image: boxes [n, 4] (left, top, right, bottom as fractions of the sides), scores
        [n] and classes [n].
      most: slots of an image.

    Returns:
      Boxes float32 [B, most, 4], scores float32 [B, most], classes int32 [B, most], -1 in empty slots.

    Examples:
      >>> boxes, scores, classes = padded_detections([(np.zeros((1, 4)), np.array([0.5]), np.array([7]))], most=2)
      >>> classes.tolist()
      [[7, -1]]
    """
    boxes = np.zeros((len(found), most, 4), np.float32)
    scores, classes = np.zeros((len(found), most), np.float32), np.full((len(found), most), -1, np.int32)
    for place, (own, sure, labels) in enumerate(found):
        best = np.argsort(-np.asarray(sure), kind="stable")[:most]
        boxes[place, : len(best)] = np.asarray(own, np.float32).reshape(-1, 4)[best]
        scores[place, : len(best)], classes[place, : len(best)] = np.asarray(sure)[best], np.asarray(labels)[best]
    return boxes, scores, classes


def task_network(
    name: str,
    run: Callable[[np.ndarray], Any],
    preprocessing: networks.Preprocessing,
    *,
    performance: str,
    num_classes: int,
    weights: Any,
    options: Mapping[str, float] = _NOTHING,
) -> networks.Network:
    """Wraps a model of masks or boxes that lives outside JAX as a Network that can be judged.

    `run` is called here once, on drawn images, so that what is wrong shows before a study.

    Args:
      name: name of the network.
      run: float32 images [B, S, S, 3] in [0, 1] -> masks, int [B, H, H] of classes; or boxes (float32 [B, P, 4] left,
        top, right, bottom as fractions of the sides, scores [B, P], int classes [B, P], -1 in empty slots), see
        `padded_detections`. It must not depend on the batch an image comes in, and be deterministic.
      preprocessing: how the study prepares images for the network; `run` must normalise them itself.
      performance: a row of `tasks.TABLE`.
      num_classes: number of classes of the truth.
      weights: nested arrays of its parameters, hashed to name the network in every record.
      options: options of the performance, e.g. {"least_score": 0.3} of box_f1.

    Returns:
      The network.

    Raises:
      InputError: in one line, when `run` raises, or predicts something of another form, shape or type, or boxes or
        scores that are not finite.

    Examples:
      >>> preprocessing = networks.Preprocessing(8, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=8, fixed_size=True)
      >>> bright = lambda images: (images.mean(axis=-1) > 0.5).astype(np.int32)
      >>> network = task_network(
      ...     "bright", bright, preprocessing, performance="mean_iou", num_classes=2, weights=np.ones(1)
      ... )
      >>> network.task.mask_side
      8
    """
    spec = tasks.TABLE[performance]
    side = preprocessing.size
    shapes = _dry_call(name, run, side, spec.kind)
    structs = tuple(jax.ShapeDtypeStruct(shape, kind) for shape, kind in shapes)

    def on_host(image: np.ndarray) -> tuple[np.ndarray, ...]:
        image = np.asarray(image, np.float32)
        lead = image.shape[:-3]
        found = _parts(run(image.reshape(-1, side, side, 3)))
        return tuple(
            np.asarray(value).astype(struct.dtype).reshape(*lead, *struct.shape)
            for value, struct in zip(found, structs, strict=True)
        )

    def into(_: Any, out: tuple[Any, ...], image: Any) -> None:
        for buffer, value in zip(out, on_host(np.asarray(image).copy()), strict=True):
            np.asarray(buffer)[...] = value

    def apply(params: Params, image: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        del params  # They stay with `run`.
        found = jax.lax.platform_dependent(
            image,
            cpu=buffer_callback.buffer_callback(into, structs, vmap_method="expand_dims"),
            default=lambda x: jax.pure_callback(on_host, structs, x, vmap_method="expand_dims"),
        )
        return (found[0] if spec.kind == "masks" else tasks.Detections(*found)), {}

    network = networks.Network(
        name=name,
        apply=apply,
        params={},
        preprocessing=preprocessing,
        num_classes=num_classes,
        stages=(),
        weights_sha256=host.hash_params(weights),
        classifier=None,
        precision=networks.OWN_PRECISION,
        task=Task(performance, dict(options), shapes[0][0][0] if spec.kind == "masks" else None),
    )
    dry_calls.mark_called(network)
    return network


def _parts(found: Any) -> tuple[Any, ...]:
    return tuple(found) if isinstance(found, tuple | list) else (found,)


def _dry_call(name: str, run: Callable[[np.ndarray], Any], side: int, kind: str) -> list[tuple[tuple[int, ...], Any]]:
    """Shape and type of every part of the predictions of one image."""
    images = dry_calls.drawn_images(side)
    try:
        parts = [np.asarray(part) for part in _parts(run(images.copy()))]
    except Exception as error:  # Whatever the user's model raises.
        text = " ".join(str(error).split())[:200]
        raise _checks.InputError(
            f"network {name}: run fails on images of shape {list(images.shape)} ({type(error).__name__}: {text})"
        ) from error
    shown = ", ".join(f"{part.dtype} {list(part.shape)}" for part in parts)
    count = len(images)
    if kind == "masks":
        good = len(parts) == 1 and parts[0].ndim == 3 and parts[0].dtype.kind in "iu"
        if not (good and len(parts[0]) == count and parts[0].shape[1] == parts[0].shape[2]):
            raise _checks.InputError(
                f"network {name}: expected masks, int [{count}, H, H] of classes for {count} images, got {shown}"
            )
        return [(parts[0].shape[1:], jnp.int32)]
    good = len(parts) == 3 and parts[0].ndim == 3 and parts[0].shape[::2] == (count, 4)
    if not (good and parts[1].shape == parts[2].shape == parts[0].shape[:2] and parts[2].dtype.kind in "iu"):
        raise _checks.InputError(
            f"network {name}: expected boxes [{count}, P, 4], scores [{count}, P] and int classes [{count}, P] for "
            f"{count} images, got {shown}"
        )
    filled = parts[2] >= 0
    for what, values in (("boxes", parts[0]), ("scores", parts[1][..., None])):
        odd = filled & ~np.isfinite(np.asarray(values, np.float64)).all(axis=-1)
        if odd.any():
            first = ", ".join(str(place) for place in np.argwhere(odd)[0])
            raise _checks.InputError(
                f"network {name}: {what}[{first}] on drawn images are not finite ({int(odd.sum())} such {what}); are "
                "its weights, its preprocessing and its decoding right?"
            )
    slots = parts[0].shape[1]
    return [((slots, 4), jnp.float32), ((slots,), jnp.float32), ((slots,), jnp.int32)]
