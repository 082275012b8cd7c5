"""What a training run depends on, and which settings can work together."""

import dataclasses
from typing import Any

from causal_iqa import _checks, backbones
from causal_iqa.data import SceneSource
from causal_iqa.training import objectives

PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("onecycle", "cosine", "constant")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything a training run depends on.

    Attributes:
      network: one of `backbones.trainable_names()`.
      objective: a row of `objectives.OBJECTIVES`: "label"; or without labels "views" (VICReg on two renderings of an
        object, only scenes make them), "vicreg" or "simclr" (two augmentations of any image), "rotation".
      num_images: training images, drawn from the training source with `seed`.
      num_evaluation: evaluation images, drawn from the evaluation source with `seed`.
      image_size: side in pixels that images are resized to; None: the source's own.
      steps: optimiser steps.
      batch_size: images per step.
      learning_rate: peak of the schedule.
      schedule: "onecycle" (cosine up and down), "cosine" (short linear warm-up, then down) or "constant".
      weight_decay: weight decay of AdamW.
      padding: random crops after reflecting this many pixels around the image, where views are not augmented more.
      flip: whether every other image is mirrored at random, for classes that do not change in a mirror. The views of
        "vicreg" and "simclr" are mirrored in any case.
      label_smoothing: share in [0, 1) of the wanted distribution that is spread evenly over the classes; "label" only.
      precision: precision of forward and backward passes; parameters and optimiser stay float32.
      seed: seed of the parameters, the order and the augmentation.
    """

    network: str
    objective: str = "label"
    num_images: int = 20_000
    num_evaluation: int = 2_000
    image_size: int | None = None
    steps: int = 3_000
    batch_size: int = 64
    learning_rate: float = 3e-3
    schedule: str = "onecycle"
    weight_decay: float = 1e-2
    padding: int = 2
    flip: bool = False
    label_smoothing: float = 0.0
    precision: str = "float32"
    seed: int = 0


def check(config: TrainConfig, sources: tuple[Any, ...]) -> None:
    """Raises InputError where settings, or settings and sources, cannot work together."""
    backbones.trainable(config.network)
    objective = _checks.lookup(objectives.OBJECTIVES, config.objective, "objective")
    _checks.check_choice(config.precision, PRECISIONS, "precision")
    _checks.check_choice(config.schedule, SCHEDULES, "schedule")
    for name in ("num_images", "num_evaluation", "steps", "batch_size"):
        if getattr(config, name) < 1:
            raise _checks.InputError(f"{name}: expected at least 1, got {getattr(config, name)}")
    if not config.learning_rate > 0:
        raise _checks.InputError(f"learning_rate: expected a positive number, got {config.learning_rate}")
    for name in ("weight_decay", "padding", "seed"):
        if not getattr(config, name) >= 0:
            raise _checks.InputError(f"{name}: expected at least 0, got {getattr(config, name)}")
    if not 0 <= config.label_smoothing < 1:
        raise _checks.InputError(f"label_smoothing: expected a share in [0, 1), got {config.label_smoothing}")
    if config.label_smoothing and config.objective != "label":
        raise _checks.InputError(f"label_smoothing: needs the objective label, got {config.objective}")
    if config.flip and objective.augments:
        raise _checks.InputError(f"flip: the views of {config.objective} are mirrored in any case; leave it out")
    if config.batch_size > config.num_images:
        raise _checks.InputError(
            f"batch_size: {config.batch_size} is more than the {config.num_images} training images"
        )
    if objective.renders and not all(isinstance(source, SceneSource) for source in sources):
        raise _checks.InputError(
            "objective: only scenes render views of an object; use vicreg or simclr with other data"
        )
