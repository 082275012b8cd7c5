"""Trains small networks with optax: on labels, or self-supervised on two views of the same object, without any label.

References:
  [1] Bardes, Ponce, LeCun. VICReg: variance-invariance-covariance regularization for self-supervised learning.
    ICLR 2022.
"""

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

OBJECTIVES = ("label", "views")
# Dimensions of the embedding that the views are compared in, and VICReg's weights ([1], section 4.2).
_EMBEDDING = 128
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0
_EVALUATION_BATCH = 250


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything a training run depends on.

    Attributes:
      network: a variant of `scene_cnn.VARIANTS`.
      objective: "label" (cross-entropy on the class) or "views" (VICReg on two renderings of the same object, which
        only scene sources can make; no label is used).
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
    _checks.lookup(scene_cnn.VARIANTS, config.network, "scene network")
    _checks.check_choice(config.objective, OBJECTIVES, "objective")
    for name in ("num_images", "num_evaluation", "steps", "batch_size"):
        if getattr(config, name) < 1:
            raise _checks.InputError(f"{name}: expected at least 1, got {getattr(config, name)}")
    if not config.learning_rate > 0:
        raise _checks.InputError(f"learning_rate: expected a positive number, got {config.learning_rate}")
    for name in ("weight_decay", "padding", "seed"):
        if not getattr(config, name) >= 0:
            raise _checks.InputError(f"{name}: expected at least 0, got {getattr(config, name)}")
    if config.batch_size > config.num_images:
        raise _checks.InputError(
            f"batch_size: {config.batch_size} is more than the {config.num_images} training images"
        )
    if config.objective == "views" and not all(isinstance(source, scenes.SceneSource) for source in sources):
        raise _checks.InputError(
            "objective: only scenes render views of an object; use --objective=label with other data"
        )


def _load(source: Any, num: int, seed: int, size: int, objective: str) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, views, S, S, 3] (one view with labels, two without) and labels [n]."""
    indices = data.choose(source, num, seed=seed)
    if objective == "views":
        return source.views(indices), np.zeros(len(indices), np.int32)
    rows = list(data.batches(source, indices, batch_size=_EVALUATION_BATCH, size=size))
    pixels = np.concatenate([batch.images[batch.valid] for batch in rows])
    if not len(pixels):
        raise _checks.InputError(f"{source.name}: none of the {num} chosen images can be read")
    return pixels[:, None], np.concatenate([batch.labels[batch.valid] for batch in rows])


def _augment(key: jax.Array, image: jax.Array, padding: int) -> jax.Array:
    """A random crop and a small change of gain; no damage, so that robustness stays what the data gave."""
    crop_key, gain_key = jax.random.split(key)
    padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    cropped = dm_pix.random_crop(crop_key, padded, image.shape)
    return jnp.clip(cropped * jax.random.uniform(gain_key, minval=0.9, maxval=1.1), 0.0, 1.0)


def vicreg(first: jax.Array, second: jax.Array) -> jax.Array:
    """VICReg loss: views agree, every dimension varies, dimensions are uncorrelated.

    Args:
      first: embeddings of one view [n, e].
      second: embeddings of the other view of the same objects [n, e].

    Returns:
      Scalar, lower is better.

    References:
      [1] Bardes et al. 2022, equations 1 to 6.
    """
    loss = _INVARIANCE * ((first - second) ** 2).mean()
    for z in (first, second):
        centred = z - z.mean(axis=0, keepdims=True)
        variance = (centred**2).sum(axis=0) / (z.shape[0] - 1)
        loss += _VARIANCE * jnp.maximum(0.0, 1.0 - jnp.sqrt(variance + 1e-4)).mean() / 2
        covariance = centred.T @ centred / (z.shape[0] - 1)
        off_diagonal = covariance * (1 - jnp.eye(z.shape[1]))
        loss += _COVARIANCE * (off_diagonal**2).sum() / z.shape[1]
    return loss


def _loss(objective: str, outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Loss of outputs [n, views, e]."""
    if objective == "label":
        return optax.softmax_cross_entropy_with_integer_labels(outputs[:, 0], labels).mean()
    return vicreg(outputs[:, 0], outputs[:, 1])


def _make_step(config: TrainConfig, module: Any, optimiser: optax.GradientTransformation) -> Callable[..., Any]:
    @jax.jit
    def step(params, state, pixels, labels, order, number):
        key = jax.random.fold_in(jax.random.key(config.seed + 1), number)
        per_epoch = order.shape[0] // config.batch_size
        start = (number % per_epoch) * config.batch_size
        chosen = jax.lax.dynamic_slice_in_dim(order, start, config.batch_size)
        batch = images.from_uint8(pixels[chosen])
        views = batch.shape[1]
        batch = batch.reshape(-1, *batch.shape[2:])
        keys = jax.random.split(key, len(batch))
        batch = jax.vmap(lambda k, image: _augment(k, image, config.padding))(keys, batch)

        def objective(p):
            outputs = module.apply({"params": p}, batch)[0]
            return _loss(config.objective, outputs.reshape(-1, views, outputs.shape[-1]), labels[chosen])

        loss, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    return step


def evaluate(module: Any, params: Any, pixels: np.ndarray, labels: np.ndarray, objective: str) -> dict[str, float]:
    """Scores parameters on images.

    Args:
      module: Flax module from images [B, H, W, 3] to (outputs, features).
      params: its parameters.
      pixels: uint8 [n, views, H, W, 3].
      labels: int [n] classes, not read for views.
      objective: one of OBJECTIVES.

    Returns:
      {"accuracy"} in [0, 1] for labels; {"view_retrieval"} for views: the share of objects whose second view lies
      nearest to the first among those of 250 objects. Higher is better.
    """
    apply = jax.jit(lambda p, x: module.apply({"params": p}, images.from_uint8(x))[0])

    def outputs(view):
        starts = range(0, len(pixels), _EVALUATION_BATCH)
        return [np.asarray(apply(params, pixels[i : i + _EVALUATION_BATCH, view])) for i in starts]

    if objective == "label":
        return {"accuracy": float((np.concatenate(outputs(0)).argmax(axis=1) == labels).mean())}
    found = []
    for first, second in zip(outputs(0), outputs(1), strict=True):
        distance = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
        found.append(distance.argmin(axis=1) == np.arange(len(first)))
    return {"view_retrieval": float(np.concatenate(found).mean())}


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
    pixels, labels = _load(source, config.num_images, config.seed, size, config.objective)
    held_pixels, held_labels = _load(evaluation_source, config.num_evaluation, config.seed, size, config.objective)
    num_outputs = len(source.class_names) if config.objective == "label" else _EMBEDDING

    module = scene_cnn.module(config.network, num_outputs)
    params = scene_cnn.init(config.network, jax.random.key(config.seed), num_outputs=num_outputs)
    schedule = optax.cosine_onecycle_schedule(max(config.steps, 2), config.learning_rate, pct_start=0.15)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=config.weight_decay))
    state = optimiser.init(params)
    step = _make_step(config, module, optimiser)
    pixels, labels = jnp.asarray(pixels), jnp.asarray(labels)

    per_epoch = len(pixels) // config.batch_size
    generator = np.random.default_rng(config.seed)
    losses = []
    bar = tqdm.trange(config.steps, desc=config.network, disable=not progress, mininterval=1.0)
    for number in bar:
        if number % per_epoch == 0:
            order = jnp.asarray(generator.permutation(len(pixels)))
        params, state, loss = step(params, state, pixels, labels, order, number)
        losses.append(loss)
        if number % 100 == 99:
            bar.set_postfix(loss=f"{float(np.mean(losses[-100:])):.3f}")
            if not np.isfinite(float(loss)):
                raise _checks.InputError(f"learning_rate: {config.learning_rate} made the loss {float(loss)}; lower it")
    stored = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16).astype(np.float32), params)
    evaluation = evaluate(module, stored, held_pixels, held_labels, config.objective)
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
