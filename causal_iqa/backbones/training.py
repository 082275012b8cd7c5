"""Trains small networks with optax: on labels, or on the known factors of the scenes (never their class)."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from causal_iqa import _checks, data, images
from causal_iqa.backbones import checkpoints, scene_cnn
from causal_iqa.data import scenes

OBJECTIVES = ("label", "factors")
_EVALUATION_BATCH = 250


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything a training run depends on.

    Attributes:
      network: a variant of `scene_cnn.VARIANTS`.
      objective: "label" (cross-entropy on the class) or "factors" (squared error on `scenes.regression_targets`; only
        scene sources know their factors; the class is never used).
      num_images: training images, drawn from the training source with `seed`.
      num_evaluation: evaluation images, drawn likewise.
      steps: optimiser steps.
      batch_size: images per step.
      learning_rate: peak of a one-cycle cosine schedule.
      weight_decay: of AdamW.
      padding: random crops after reflecting this many pixels around the image.
      seed: of the parameters, the order and the augmentation.
    """

    network: str
    objective: str = "label"
    num_images: int = 20_000
    num_evaluation: int = 2_000
    steps: int = 3_000
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    padding: int = 2
    seed: int = 0


class TrainResult(NamedTuple):
    """What training gives: float32 parameters, the loss per step [steps], and the score on the evaluation images."""

    params: Any
    losses: np.ndarray
    evaluation: dict[str, float]


def _check(config: TrainConfig, sources: tuple[Any, ...]) -> None:
    _checks.check_choice(config.objective, OBJECTIVES, "objective")
    for name in ("num_images", "num_evaluation", "steps", "batch_size"):
        if getattr(config, name) < 1:
            raise _checks.InputError(f"{name}: expected at least 1, got {getattr(config, name)}")
    if config.batch_size > config.num_images:
        raise _checks.InputError(
            f"batch_size: {config.batch_size} is more than the {config.num_images} training images"
        )
    if config.objective == "factors" and not all(isinstance(source, scenes.SceneSource) for source in sources):
        raise _checks.InputError("objective: only scenes know their factors; use --objective=label with other data")


def _load(source: Any, num: int, seed: int, size: int, objective: str) -> tuple[np.ndarray, np.ndarray]:
    indices = data.choose(source, num, seed=seed)
    rows = list(data.batches(source, indices, batch_size=_EVALUATION_BATCH, size=size))
    pixels = np.concatenate([batch.images[batch.valid] for batch in rows])
    if not len(pixels):
        raise _checks.InputError(f"{source.name}: none of the {num} chosen images can be read")
    if objective == "factors":
        return pixels, scenes.regression_targets(source.factors(indices))
    return pixels, np.concatenate([batch.labels[batch.valid] for batch in rows])


def _augment(key: jax.Array, image: jax.Array, padding: int) -> jax.Array:
    """A random crop and a small change of gain; no damage, so that robustness stays what the data gave."""
    crop_key, gain_key = jax.random.split(key)
    padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    cropped = dm_pix.random_crop(crop_key, padded, image.shape)
    return jnp.clip(cropped * jax.random.uniform(gain_key, minval=0.9, maxval=1.1), 0.0, 1.0)


def _loss(objective: str, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    if objective == "label":
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
    return ((outputs - targets) ** 2).mean()


def _make_step(config: TrainConfig, module: Any, optimiser: optax.GradientTransformation) -> Callable[..., Any]:
    @jax.jit
    def step(params, state, pixels, targets, order, number):
        key = jax.random.fold_in(jax.random.key(config.seed + 1), number)
        per_epoch = order.shape[0] // config.batch_size
        start = (number % per_epoch) * config.batch_size
        chosen = jax.lax.dynamic_slice_in_dim(order, start, config.batch_size)
        batch = images.from_uint8(pixels[chosen])
        keys = jax.random.split(key, config.batch_size)
        batch = jax.vmap(lambda k, image: _augment(k, image, config.padding))(keys, batch)

        def objective(p):
            return _loss(config.objective, module.apply({"params": p}, batch)[0], targets[chosen])

        loss, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step


def evaluate(module: Any, params: Any, pixels: np.ndarray, targets: np.ndarray, objective: str) -> dict[str, float]:
    """Scores parameters on images.

    Args:
      module: Flax module from images [B, H, W, 3] to (outputs, features).
      params: its parameters.
      pixels: uint8 [n, H, W, 3].
      targets: int [n] classes, or float32 [n, t] factors.
      objective: one of OBJECTIVES.

    Returns:
      {"accuracy"} in [0, 1] for labels; {"explained_variance"} (1 is perfect) for factors. Higher is better.
    """
    apply = jax.jit(lambda p, x: module.apply({"params": p}, images.from_uint8(x))[0])
    outputs = np.concatenate(
        [apply(params, pixels[i : i + _EVALUATION_BATCH]) for i in range(0, len(pixels), _EVALUATION_BATCH)]
    )
    if objective == "label":
        return {"accuracy": float((outputs.argmax(axis=1) == targets).mean())}
    residual = ((outputs - targets) ** 2).mean()
    return {"explained_variance": float(1 - residual / ((targets - targets.mean(axis=0)) ** 2).mean())}


def train(config: TrainConfig, source: Any, evaluation_source: Any, *, progress: bool = True) -> TrainResult:
    """Trains one network.

    Args:
      config: the run.
      source: training images, of one fixed square size.
      evaluation_source: held-out images of the same classes.
      progress: whether to show a progress bar.

    Returns:
      The parameters and how they do.

    Raises:
      InputError: for settings that cannot work together, or a loss that is no longer finite.
    """
    _check(config, (source, evaluation_source))
    size = source.image_shape[0] if source.image_shape else scenes.SIZE
    pixels, targets = _load(source, config.num_images, config.seed, size, config.objective)
    held_pixels, held_targets = _load(evaluation_source, config.num_evaluation, config.seed, size, config.objective)
    num_outputs = len(source.class_names) if config.objective == "label" else targets.shape[1]

    module = scene_cnn.module(config.network, num_outputs)
    params = scene_cnn.init(config.network, jax.random.key(config.seed), num_outputs=num_outputs)
    schedule = optax.cosine_onecycle_schedule(max(config.steps, 2), config.learning_rate, pct_start=0.15)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=config.weight_decay))
    state = optimiser.init(params)
    step = _make_step(config, module, optimiser)
    pixels, targets = jnp.asarray(pixels), jnp.asarray(targets)

    per_epoch = len(pixels) // config.batch_size
    generator = np.random.default_rng(config.seed)
    losses = []
    bar = tqdm.trange(config.steps, desc=config.network, disable=not progress, mininterval=1.0)
    for number in bar:
        if number % per_epoch == 0:
            order = jnp.asarray(generator.permutation(len(pixels)))
        params, state, loss = step(params, state, pixels, targets, order, number)
        losses.append(loss)
        if number % 100 == 99:
            bar.set_postfix(loss=f"{float(np.mean(losses[-100:])):.3f}")
            if not np.isfinite(float(loss)):
                raise _checks.InputError(f"learning_rate: {config.learning_rate} made the loss {float(loss)}; lower it")
    stored = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16).astype(np.float32), params)
    evaluation = evaluate(module, stored, held_pixels, held_targets, config.objective)
    return TrainResult(stored, np.asarray(losses), evaluation)


def save(path: str, config: TrainConfig, result: TrainResult, notes: dict[str, str]) -> None:
    """Writes the parameters as float16 safetensors, with the run's settings and score in the file's metadata.

    Args:
      path: the file to write.
      config: the run.
      result: what it gave; the parameters are exact in float16 already.
      notes: further metadata, e.g. the names of the sources.
    """
    metadata = {name: str(value) for name, value in dataclasses.asdict(config).items()}
    metadata |= {name: f"{value:.4f}" for name, value in result.evaluation.items()} | notes
    half = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), result.params)
    checkpoints.save_safetensors(path, half, metadata)
