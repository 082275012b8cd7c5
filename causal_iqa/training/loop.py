"""Trains small networks with optax: on labels, or self-supervised with no label at all. Checkpoints by Orbax."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tqdm

from causal_iqa import _checks, _files, backbones, data, images
from causal_iqa._arrays import Params
from causal_iqa.backbones.weights import array_files, checkpoints
from causal_iqa.backbones.zoo import flax_modules
from causal_iqa.data import SCENE_SIZE
from causal_iqa.training import objectives
from causal_iqa.training.config import TrainConfig, check

_EVALUATION_BATCH = 250


class TrainResult(NamedTuple):
    """What training gives: float32 parameters, the loss per step [steps], and the score on the evaluation images."""

    params: Params
    losses: np.ndarray
    evaluation: dict[str, float]


def _load(source: Any, num: int, size: int, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, views, S, S, 3] (two views where they are rendered, else one) and labels [n]."""
    if config.objective == "label":
        indices, _ = data.choose_labelled(source, num, seed=config.seed)
    else:
        indices = data.choose(source, num, seed=config.seed)
    if objectives.OBJECTIVES[config.objective].renders:
        return source.views(indices), np.zeros(len(indices), np.int32)
    rows = list(data.batches(source, indices, batch_size=_EVALUATION_BATCH, size=size))
    pixels = np.concatenate([batch.images[batch.valid] for batch in rows])
    if not len(pixels):
        raise _checks.InputError(f"{source.name}: none of the {num} chosen images can be read")
    return pixels[:, None], np.concatenate([batch.labels[batch.valid] for batch in rows])


def prepare(
    objective: objectives.Objective,
    key: jax.Array,
    pixels: jax.Array,
    labels: jax.Array,
    padding: int,
    *,
    flip: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Makes what the network sees of a batch.

    Args:
      objective: objective of the run.
      key: random key.
      pixels: uint8 [n, stored views, S, S, 3].
      labels: int [n].
      padding: padding of the random crop.
      flip: whether crops are mirrored at random.

    Returns:
      (images float32 [n, views, S, S, 3], labels [n]): turned by their labels for rotation, two augmentations of the
      one stored view where views are compared.
    """
    batch = images.from_uint8(pixels)
    if batch.shape[1] < objective.views:
        batch = jnp.repeat(batch, objective.views, axis=1)
    count, views = batch.shape[:2]
    flat = batch.reshape(-1, *batch.shape[2:])
    keys = jax.random.split(key, len(flat))
    if objective.augments:
        flat = jax.vmap(objectives.random_view)(keys, flat)
    else:
        flat = jax.vmap(functools.partial(objectives.random_crop, padding=padding, flip=flip))(keys, flat)
    if objective.turns:
        labels = jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, 4)
        flat = jax.vmap(objectives.turn)(flat, labels)
    return flat.reshape(count, views, *flat.shape[1:]), labels


# Kept, so that one more run of the same settings compiles nothing.
@functools.lru_cache(maxsize=8)
def _make_step(config: TrainConfig, module: Any) -> Callable[..., Any]:
    optimiser = _optimiser(config)
    objective = objectives.OBJECTIVES[config.objective]
    dtype = jnp.dtype(config.precision)
    # Only cross-entropy of labels has it, which `check` sees to.
    smoothed = {"smoothing": config.label_smoothing} if config.label_smoothing else {}
    loss = functools.partial(objective.loss, **smoothed)

    @jax.jit
    def step(params, state, pixels, labels, order, number):
        key = jax.random.fold_in(jax.random.key(config.seed + 1), number)
        per_epoch = order.shape[0] // config.batch_size
        start = (number % per_epoch) * config.batch_size
        chosen = jax.lax.dynamic_slice_in_dim(order, start, config.batch_size)
        batch, wanted = prepare(objective, key, pixels[chosen], labels[chosen], config.padding, flip=config.flip)
        views = batch.shape[1]
        batch = batch.reshape(-1, *batch.shape[2:]).astype(dtype)

        def loss_of(p):
            p = jax.tree.map(lambda leaf: leaf.astype(dtype), p)
            outputs = module.apply({"params": p}, batch)[0].astype(jnp.float32)
            return loss(outputs.reshape(-1, views, outputs.shape[-1]), wanted)

        value, gradient = jax.value_and_grad(loss_of)(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    return step


def _optimiser(config: TrainConfig) -> optax.GradientTransformation:
    steps, peak = max(config.steps, 2), config.learning_rate
    if config.schedule == "onecycle":
        schedule = optax.cosine_onecycle_schedule(steps, peak, pct_start=0.15)
    elif config.schedule == "cosine":
        schedule = optax.warmup_cosine_decay_schedule(0.0, peak, max(1, steps // 20), steps)
    else:
        schedule = optax.constant_schedule(peak)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=config.weight_decay))


@functools.lru_cache(maxsize=8)
def _make_outputs(name: str, module: Any) -> Callable[..., Any]:
    objective = objectives.OBJECTIVES[name]

    @jax.jit
    def outputs(params, key, x, y):
        if objective.augments or objective.turns:
            batch, y = prepare(objective, key, x, y, 0)
        else:
            batch = images.from_uint8(x)
        flat = module.apply({"params": params}, batch.reshape(-1, *batch.shape[2:]))[0]
        return flat.reshape(*batch.shape[:2], -1), y

    return outputs


def evaluate(
    module: Any, params: Params, pixels: np.ndarray, labels: np.ndarray, config: TrainConfig
) -> dict[str, float]:
    """Scores parameters on images.

    Args:
      module: Flax module from images [B, H, W, 3] to (outputs, features).
      params: its parameters.
      pixels: uint8 [n, views, H, W, 3].
      labels: int [n] classes, read only with objective "label".
      config: configuration of the run.

    Returns:
      The objective's score in [0, 1], higher is better: "accuracy", "rotation_accuracy", or "view_retrieval", the share
      of images whose second view lies nearest to the first among those of 250.

    Examples:
      >>> import flax.linen
      >>> class Mean(flax.linen.Module):
      ...     @flax.linen.compact
      ...     def __call__(self, images):
      ...         features = images.mean(axis=(1, 2))
      ...         return features @ jnp.eye(3), features
      >>> config = training.TrainConfig("scene_cnn_a", image_size=8, batch_size=2)
      >>> pixels = np.zeros((2, 1, 8, 8, 3), np.uint8)
      >>> pixels[0, ..., 0], pixels[1, ..., 1] = 255, 255  # a red image and a green one
      >>> training.evaluate(Mean(), {}, pixels, np.array([0, 1]), config)
      {'accuracy': 1.0}
    """
    objective = objectives.OBJECTIVES[config.objective]
    outputs = _make_outputs(config.objective, module)
    found = []
    for start in range(0, len(pixels), _EVALUATION_BATCH):
        key = jax.random.fold_in(jax.random.key(config.seed + 2), start)
        chosen = slice(start, start + _EVALUATION_BATCH)
        z, wanted = (np.asarray(value) for value in outputs(params, key, pixels[chosen], labels[chosen]))
        if objective.views == 1:
            found.append(z[:, 0].argmax(axis=1) == wanted)
            continue
        first, second = z[:, 0], z[:, 1]
        distance = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
        found.append(distance.argmin(axis=1) == np.arange(len(first)))
    return {objective.score: float(np.concatenate(found).mean())}


def _digest(arrays: Iterable[Any]) -> Any:
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return found


def _sealed(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds, with the digest of its arrays: Orbax notices damage to some of its files only."""
    arrays = jax.tree.leaves({name: kept[name] for name in ("params", "state", "losses")})
    return {**kept, "digest": np.frombuffer(_digest(arrays).digest(), np.uint8)}


class _Checkpoints:
    """Parameters, optimiser and losses of a run in a folder, by Orbax; without a folder it does nothing."""

    def __init__(self, folder: str | None, config: TrainConfig, data: str):
        self.manager = None
        if folder is None:
            return
        import orbax.checkpoint as ocp  # Slow to import, and only here.

        path = pathlib.Path(folder).resolve()
        settings = dataclasses.asdict(config) | {"training_data": data}
        note = path / "config.json"
        try:
            path.mkdir(parents=True, exist_ok=True)
            found = json.loads(note.read_text()) if note.exists() else settings
        except OSError as error:
            raise _checks.InputError(f"checkpoint_dir: {path} cannot be used ({error.strerror})") from error
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise _checks.InputError(
                f"checkpoint_dir: {note} is damaged; remove it to go on from the checkpoints with the same flags"
            )
        changed = [f"{k} ({found.get(k)!r} there, {v!r} now)" for k, v in settings.items() if found.get(k) != v]
        if changed:
            raise _checks.InputError(f"checkpoint_dir: {path} holds another run: {', '.join(changed[:4])}")
        if not note.exists():
            _files.write_json(note, settings)
        self.saving = ocp.args.StandardSave
        self.restoring = ocp.args.StandardRestore
        # Written before training continues, so that a kill can cost no more than the steps since.
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self.manager, self.path = ocp.CheckpointManager(path, options=options), path

    def latest(self, params: Params, state: Any, losses: np.ndarray) -> tuple[int, Any, Any, np.ndarray]:
        """The step to continue from, with its stored values; step 0 with the given ones without a checkpoint."""
        number = None if self.manager is None else self.manager.latest_step()
        if self.manager is None or number is None:
            return 0, params, state, losses
        like = _sealed({"params": params, "state": state, "losses": losses})
        reason = ""
        with array_files.quiet_orbax():
            try:
                found = self.manager.restore(number, args=self.restoring(like))
                if not np.array_equal(_sealed(found)["digest"], found["digest"]):
                    reason = "its content is not what was written"
            except Exception as error:  # Orbax raises whatever a damaged file leads it to.
                reason = " ".join(str(error).split())[:160] or type(error).__name__
        if reason:
            raise _checks.InputError(
                f"checkpoint_dir: the checkpoint {self.path / str(number)} is damaged ({reason}); remove it to go on "
                "from the one before"
            )
        return number, found["params"], found["state"], np.array(found["losses"])

    def save(self, number: int, params: Params, state: Any, losses: np.ndarray) -> None:
        if self.manager is not None:
            kept = _sealed({"params": params, "state": state, "losses": losses})
            self.manager.save(number, args=self.saving(kept))

    def close(self) -> None:
        if self.manager is not None:
            self.manager.close()


def train(
    config: TrainConfig,
    source: Any,
    evaluation_source: Any,
    *,
    checkpoint_dir: str | None = None,
    checkpoint_every: int = 500,
    progress: bool | Callable[[str, int, int], None] = True,
    summary: Callable[[int, Mapping[str, float]], None] | None = None,
) -> TrainResult:
    """Trains one network.

    Args:
      config: the run.
      source: training images.
      evaluation_source: held-out images of the same classes.
      checkpoint_dir: folder of checkpoints; a stopped run continues from the last one and ends with the same
        parameters. None: none are kept.
      checkpoint_every: steps between checkpoints.
      progress: whether to show a progress bar; or a function that is called with (name of the part of the work, done,
        all) in its place. The parts are "images", "steps" and "evaluation".
      summary: called every 100 steps with the number of steps done and the mean loss since the last call, and at the
        end with the evaluation.

    Returns:
      The parameters and how they do.

    Raises:
      InputError: for settings that cannot work together, a folder of a run with other settings or training images, a
        damaged checkpoint, or a loss that is no longer finite.

    Examples:
      >>> config = training.TrainConfig(
      ...     "scene_cnn_a", num_images=48, num_evaluation=16, image_size=16, steps=1, batch_size=16, learning_rate=1e-2
      ... )
      >>> scenes, held_out = data.open_source("scenes", split="train"), data.open_source("scenes")
      >>> result = training.train(config, scenes, held_out, progress=False)
      >>> result.losses.shape, sorted(result.evaluation)
      ((1,), ['accuracy'])
    """
    check(config, (source, evaluation_source))
    tell = progress if callable(progress) else lambda part, done, total: None
    tell("images", 0, 1)
    size = config.image_size or (source.image_shape[0] if source.image_shape else SCENE_SIZE)
    pixels, labels = _load(source, config.num_images, size, config)
    if len(pixels) < config.batch_size:
        raise _checks.InputError(
            f"batch_size: {config.batch_size} is more than the {len(pixels)} training images that can be read"
        )
    held_pixels, held_labels = _load(evaluation_source, config.num_evaluation, size, config)
    num_outputs = objectives.OBJECTIVES[config.objective].num_outputs or len(source.class_names)

    tell("steps", 0, config.steps)
    network = backbones.trainable(config.network)
    module = network.module(num_outputs)
    params = flax_modules.init(network, jax.random.key(config.seed), num_outputs=num_outputs)
    state, losses = _optimiser(config).init(params), np.full(config.steps, np.nan, np.float32)
    step = _make_step(config, module)  # pyright: ignore[reportArgumentType] (Modules of Flax are frozen.)
    kept = _Checkpoints(checkpoint_dir, config, _digest((pixels, labels)).hexdigest())
    first, params, state, losses = kept.latest(params, state, losses)
    pixels, labels = jnp.asarray(pixels), jnp.asarray(labels)

    per_epoch = len(pixels) // config.batch_size
    generator, epoch = np.random.default_rng(config.seed), -1
    bar = tqdm.trange(first, config.steps, desc=config.network, disable=progress is not True, mininterval=1.0,
                      initial=first, total=config.steps)  # fmt: skip
    waiting: list[tuple[int, jax.Array]] = []
    for number in bar:
        while epoch < number // per_epoch:  # Also replays the orders of epochs done before.
            order, epoch = jnp.asarray(generator.permutation(len(pixels))), epoch + 1
        params, state, loss = step(params, state, pixels, labels, order, number)
        waiting.append((number, loss))
        done = number + 1
        tell("steps", done, config.steps)
        if done % 100 == 0 or done % checkpoint_every == 0 or done == config.steps:
            for at, value in waiting:
                losses[at] = value
            waiting.clear()
            recent = float(losses[max(0, done - 100) : done].mean())
            bar.set_postfix(loss=f"{recent:.3f}")
            if summary is not None:
                summary(done, {"loss": recent})
            if not np.isfinite(losses[number]):
                raise _checks.InputError(
                    f"learning_rate: {config.learning_rate} made the loss {losses[number]}; lower it"
                )
        if done % checkpoint_every == 0 and done < config.steps:
            kept.save(done, params, state, losses)
    kept.close()
    tell("evaluation", 0, 1)
    stored = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16).astype(np.float32), params)
    evaluation = evaluate(module, stored, held_pixels, held_labels, config)
    if summary is not None:
        summary(config.steps, evaluation)
    return TrainResult(stored, losses, evaluation)


def save(path: str, config: TrainConfig, result: TrainResult, notes: dict[str, str]) -> None:
    """Writes the parameters as float16 safetensors, with the run's settings and score in the file's metadata.

    Args:
      path: the file to write.
      config: the run.
      result: its result; the parameters are exact in float16 already.
      notes: further metadata, e.g. the names of the sources.

    Examples:
      >>> import tempfile
      >>> config = training.TrainConfig("scene_cnn_a", num_images=1000, steps=300)
      >>> params = backbones.load_packaged("scene_cnn_a").params  # in the place of the parameters that `train` found
      >>> result = training.TrainResult(params, np.zeros(300), {"accuracy": 0.9})
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     training.save(f"{folder}/mine.safetensors", config, result, {"source": "scenes"})
      ...     network = backbones.load("scene_cnn_a", f"{folder}/mine.safetensors")
      >>> network.num_classes
      10
    """
    metadata = {name: str(value) for name, value in dataclasses.asdict(config).items()}
    metadata |= {name: f"{value:.4f}" for name, value in result.evaluation.items()} | notes
    half = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), result.params)
    checkpoints.save_safetensors(path, half, metadata)
