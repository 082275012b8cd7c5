"""Fitting a diagnosis: clean anchors under every cause at severities drawn at random, and a small network on them."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from causal_iqa import _checks, _keys, degradations, images
from causal_iqa.degradations import Condition
from causal_iqa.diagnosis.features import statistics
from causal_iqa.diagnosis.model import (
    MAX_SEVERITY,
    NONE,
    SMALLEST_SIDE,
    DiagnosisModel,
    Reader,
    read,
    read_statistics,
    standardised,
)

SEVERITIES = (0.5, MAX_SEVERITY)
# What the model learns to call none of its causes; of the other conditions those that look least like a cause.
OTHERS = ("low_light", "hue_shift", "row_noise", "occlusion")
FEWEST_ANCHORS = 10
# Share of the samples that are stored as JPEG, as pictures are, at so light a severity that it is no cause itself, but
# hides some; at 224 pixels these are the qualities from 98 to 75.
_STORED, _STORED_AT = 0.25, (0.03, 0.33)
_READERS, _BATCH, _HELD_OUT = 3, 256, 0.2
_OTHERS_FROM = 3.0
_CHUNK = 16
_TEMPERATURES = np.geomspace(0.3, 5.0, 57)


class Samples(NamedTuple):
    """Statistics of degraded anchors."""

    values: np.ndarray  # float32 [n, d]
    causes: np.ndarray  # int [n], index into the causes; their number for what is none of them
    severities: np.ndarray  # float32 [n], 0 for none
    anchors: np.ndarray  # int [n], which anchor it was


@jax.jit
def _statistics(pixels: jax.Array) -> jax.Array:
    return jax.lax.map(lambda x: statistics(images.from_uint8(x)), pixels)


@functools.partial(jax.jit, static_argnames=("name", "family"))
def _degraded(keys: jax.Array, pixels: jax.Array, severities: jax.Array, name: str, family: str | None) -> jax.Array:
    apply = degradations.do_graded(Condition(name, 0.0, family=family))

    def one(args):
        key, image, severity = args
        return images.to_uint8(apply(key, images.from_uint8(image), severity[None]))

    return jax.lax.map(one, (keys, pixels, severities))


def _in_chunks(function: Callable[..., jax.Array], *arrays: Any) -> np.ndarray:
    """Calls a compiled function on chunks of one size, so that it is compiled once."""
    count = len(arrays[0])
    whole = -(-count // _CHUNK) * _CHUNK
    arrays = tuple(x[jnp.arange(whole) % count] for x in arrays)
    found = [np.asarray(function(*(x[i : i + _CHUNK] for x in arrays))) for i in range(0, whole, _CHUNK)]
    return np.concatenate(found)[:count]


def degrade(
    key: jax.Array,
    pixels: np.ndarray,
    name: str,
    severities: np.ndarray,
    *,
    family: str | None = None,
    stored: float = _STORED,
) -> np.ndarray:
    """Puts images under one condition, each at a severity of its own.

    Args:
      key: random key.
      pixels: uint8 [n, side, side, 3].
      name: a degradation, or "none".
      severities: float [n] in [0, 5].
      family: family of the degradations' parameters, see `degradations.family_for`; None: by the side.
      stored: share of the images that are then stored as JPEG of high quality.

    Returns:
      uint8 of the same shape.

    Examples:
      >>> pixels = np.full((2, 64, 64, 3), 128, np.uint8)
      >>> key, severities = jax.random.key(0), np.array([1.0, 4.0])
      >>> diagnosis.degrade(key, pixels, "none", severities, stored=0.0).shape
      (2, 64, 64, 3)
    """
    keys = jax.random.split(_keys.named(key, f"images under {name}"), len(pixels))
    degraded = pixels
    if name != NONE:
        one = functools.partial(_degraded, name=name, family=family)
        degraded = _in_chunks(one, keys, pixels, jnp.asarray(severities, jnp.float32))
    draw = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(key, f"files of {name}"))))
    chosen = np.flatnonzero(draw.uniform(size=len(pixels)) < stored)
    if len(chosen):
        light = jnp.asarray(draw.uniform(*_STORED_AT, len(chosen)), jnp.float32)
        store = functools.partial(_degraded, name="jpeg_compression", family=family)
        degraded = degraded.copy()
        degraded[chosen] = _in_chunks(store, keys[chosen], degraded[chosen], light)
    return degraded


def make_samples(
    key: jax.Array,
    anchors: np.ndarray,
    causes: Sequence[str],
    *,
    others: Sequence[str] = (),
    clean: np.ndarray | None = None,
    per_cause: int = 1,
    severities: tuple[float, float] = SEVERITIES,
    family: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Puts every anchor under every cause, at severities drawn evenly.

    Args:
      key: random key.
      anchors: uint8 [n, side, side, 3].
      causes: first "none".
      others: conditions that are none of the causes; together they are as frequent as one cause.
      clean: further anchors, which are under no cause.
      per_cause: samples of an anchor under each cause.
      severities: least and largest.
      family: see `degrade`.
      progress: called with (conditions done, conditions in all).

    Returns:
      The samples.

    Examples:
      >>> clean = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
      >>> samples = diagnosis.make_samples(jax.random.key(0), clean, ("none", "contrast"))
      >>> samples.causes.tolist()
      [0, 0, 1, 1]
    """
    parts, total = [], per_cause * (len(causes) + len(others))
    for number in range(per_cause):
        own = _keys.named(key, f"round {number}")
        draw = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(own, "severities and anchors"))))
        for i, name in enumerate((*causes, *others)):
            index = np.arange(len(anchors))
            if i >= len(causes):
                index = np.sort(draw.permutation(len(anchors))[: -(-len(anchors) // len(others))])
            chosen = anchors[index]
            if name == NONE and clean is not None and number == 0:
                index = np.arange(len(anchors) + len(clean))
                chosen = np.concatenate([anchors, clean])
            # What is none of the causes is only told from a clean image where it is plain.
            low = max(severities[0], _OTHERS_FROM) if i >= len(causes) else severities[0]
            levels = draw.uniform(min(low, severities[1]), severities[1], len(index)) * (name != NONE)
            pixels = degrade(own, chosen, name, levels, family=family)
            values = _in_chunks(_statistics, pixels)
            parts.append((values, np.full(len(index), min(i, len(causes))), levels.astype(np.float32), index))
            if progress:
                progress(len(parts), total)
    return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _by_cause(causes: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Samples in the order of their causes, where each cause begins, and how many it has."""
    _, starts, counts = np.unique(np.sort(causes), return_index=True, return_counts=True)
    return jnp.asarray(np.argsort(causes, kind="stable")), jnp.asarray(starts), jnp.asarray(counts)


def _train(key: jax.Array, x: jax.Array, samples: Samples, by_cause: Any, num_causes: int, steps: int) -> Any:
    """Parameters of one reader, after AdamW on cross entropy and the error of the severity of the true cause."""
    reader = Reader(num_causes)
    params = reader.init(_keys.named(key, "parameters"), x[:1])["params"]
    schedule = optax.cosine_onecycle_schedule(steps, 4e-3, pct_start=0.15)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=3e-2))
    causes, severities = jnp.asarray(samples.causes), jnp.asarray(samples.severities)

    def loss_of(params, own, chosen):
        rngs = {"dropout": _keys.named(own, "dropout")}
        seen = x[chosen] + 0.1 * jax.random.normal(_keys.named(own, "jitter"), (len(chosen), x.shape[1]))
        logits, found = read(reader, params, seen, train=True, rngs=rngs)
        wanted = optax.smooth_labels(jax.nn.one_hot(causes[chosen], num_causes + 1), 0.02)
        cause = jnp.minimum(causes[chosen], num_causes - 1)
        error = jnp.take_along_axis(found, cause[:, None], axis=1)[:, 0] - severities[chosen]
        known = (causes[chosen] > 0) & (causes[chosen] < num_causes)
        return optax.softmax_cross_entropy(logits, wanted).mean() + 0.1 * jnp.mean(known * error**2)

    def step(carry, number):
        params, state = carry
        own = jax.random.fold_in(_keys.named(key, "steps"), number)
        # Causes take equal parts of every batch, however many samples they have.
        order, starts, counts = by_cause
        size = min(_BATCH, len(x))
        cause = jax.random.randint(_keys.named(own, "causes"), (size,), 0, len(counts))
        place = jnp.int32(jax.random.uniform(_keys.named(own, "samples"), (size,)) * counts[cause])
        chosen = order[starts[cause] + jnp.minimum(place, counts[cause] - 1)]
        updates, state = optimiser.update(jax.grad(loss_of)(params, own, chosen), state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimiser.init(params)), jnp.arange(steps))[0][0]


def fit_samples(
    key: jax.Array,
    samples: Samples,
    causes: Sequence[str],
    *,
    side: int,
    steps: int,
    notes: dict[str, Any] | None = None,
) -> DiagnosisModel:
    """Fits a model on samples; a fifth of the anchors is held out for the temperature and the measured accuracy.

    Args:
      key: random key.
      samples: result of `make_samples`.
      causes: first "none".
      side: side of the anchors.
      steps: steps of training.
      notes: JSON values to keep with the model.

    Returns:
      The model.

    Examples:
      >>> numbers, d = np.arange(20), diagnosis.default_model().centre.size
      >>> values = np.random.default_rng(0).normal(size=(20, d)).astype(np.float32)  # `make_samples` measures them
      >>> samples = diagnosis.Samples(values, numbers % 2, np.float32(numbers % 2), numbers // 2)
      >>> diagnosis.fit_samples(jax.random.key(1), samples, ("none", "contrast"), side=64, steps=10).causes
      ('none', 'contrast')
    """
    numbers = np.unique(samples.anchors)
    draw = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(key, "held-out anchors"))))
    held = draw.permutation(numbers)[: max(1, round(_HELD_OUT * len(numbers)))]
    is_held = np.isin(samples.anchors, held)
    kept, out = (Samples(*(x[rows] for x in samples)) for rows in (~is_held, is_held))
    centre = np.median(kept.values, axis=0)
    low, high = np.quantile(kept.values, (0.1, 0.9), axis=0)
    scale = np.maximum((high - low) / 2.56, 0.25 * kept.values.std(axis=0)) + 1e-3
    centre, scale = jnp.asarray(centre, jnp.float32), jnp.asarray(scale, jnp.float32)
    x = standardised(jnp.asarray(kept.values), centre, scale)
    train = jax.jit(functools.partial(_train, num_causes=len(causes), steps=steps))
    by_cause = _by_cause(kept.causes)
    trained = [train(_keys.named(key, f"reader {i}"), x, kept, by_cause) for i in range(_READERS)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trained)
    model = DiagnosisModel(params, centre, scale, jnp.float32(1.0), tuple(causes), side)
    model = dataclasses.replace(model, temperature=jnp.float32(_best_temperature(model, out)))
    found = _measured(model, out) | (notes or {}) | {"anchors": len(numbers), "held_out": len(held), "steps": steps}
    return dataclasses.replace(model, notes=json.dumps(found, sort_keys=True))


def _all_shares(model: DiagnosisModel, samples: Samples) -> np.ndarray:
    said = read_statistics(model, jnp.asarray(samples.values))
    return np.concatenate([said.probabilities, said.unexplained[:, None]], axis=1)


def _best_temperature(model: DiagnosisModel, out: Samples) -> float:
    rows = np.arange(len(out.causes))
    logits = np.log(np.maximum(_all_shares(model, out), 1e-30))

    def loss(temperature):
        scaled = logits / temperature
        return (jax.scipy.special.logsumexp(scaled, axis=1) - scaled[rows, out.causes]).mean()

    return float(min(_TEMPERATURES, key=loss))


def _measured(model: DiagnosisModel, out: Samples) -> dict[str, Any]:
    shares = _all_shares(model, out)
    right = shares.argmax(axis=1) == out.causes
    heavy = (out.severities >= 3) | (out.causes == 0)
    return {
        "held_out_accuracy": round(float(right.mean()), 4),
        "held_out_accuracy_from_3": round(float(right[heavy].mean()), 4),
        "held_out_loss": round(float(-np.log(np.maximum(shares[np.arange(len(right)), out.causes], 1e-12)).mean()), 4),
    }


def fit(
    key: jax.Array,
    anchors: np.ndarray,
    *,
    causes: str | Sequence[str] = "imagenet_c",
    others: Sequence[str] | None = None,
    clean: np.ndarray | None = None,
    per_cause: int = 1,
    severities: tuple[float, float] = SEVERITIES,
    family: str | None = None,
    steps: int = 3000,
    progress: Callable[[int, int], None] | None = None,
) -> DiagnosisModel:
    """Fits a diagnosis on your own clean images.

    Every anchor is put under every cause; a fifth of the anchors is held out, sets the temperature and measures the
    accuracy that `notes` reports.

    Args:
      key: random key.
      anchors: uint8 [n, side, side, 3], at least 10 clean images, of at least 64 pixels; some hundreds do well.
      causes: a set of `degradations.SETS` or names of degradations; "none" is added in front.
      others: conditions the model learns to call none of these; None: some of the other conditions that are no causes.
      clean: further clean images of the same side, uint8; put under no cause, they cost little and show it what clean
        images look like.
      per_cause: samples of an anchor under each cause.
      severities: between which severities are drawn evenly.
      family: family of the degradations' parameters; None: by the side.
      steps: steps of training.
      progress: called with (conditions done, conditions in all).

    Returns:
      The model, for images of this side.

    Raises:
      TypeError, ValueError: when the anchors are no such array.
      InputError: for unknown names, or numbers out of range.

    Examples:
      >>> clean = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
      >>> diagnosis.fit(jax.random.key(0), clean, causes=["contrast"], others=[], steps=10).causes
      ('none', 'contrast')
    """
    shape = np.shape(anchors)
    if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise ValueError(f"anchors: expected shape [n, side, side, 3], got {shape}")
    if np.asarray(anchors).dtype != np.uint8:
        raise TypeError(f"anchors: expected uint8, got {np.asarray(anchors).dtype}")
    if shape[0] < FEWEST_ANCHORS or shape[1] < SMALLEST_SIDE:
        raise _checks.InputError(
            f"anchors: expected at least {FEWEST_ANCHORS} images of at least {SMALLEST_SIDE} pixels, got {shape[0]} of "
            f"{shape[1]}"
        )
    if clean is not None and (np.shape(clean)[1:] != shape[1:] or np.asarray(clean).dtype != np.uint8):
        raise ValueError(f"clean: expected uint8 images of shape {shape[1:]}, got {np.shape(clean)[1:]}")
    names = degradations.named_set(causes) if isinstance(causes, str) else tuple(causes)
    names = tuple(name for name in names if name != NONE)
    others = tuple(name for name in OTHERS if name not in names) if others is None else tuple(others)
    for name in (*names, *others):
        _checks.lookup(degradations.TABLE, name, "degradation")
    if not names or len(set(names) | set(others)) != len(names) + len(others):
        raise _checks.InputError("causes, others: expected at least one cause, and every name once")
    low, high = severities
    for severity in (low, high):
        degradations.check_severity(severity)
    if not low <= high or per_cause < 1 or steps < 1:
        raise _checks.InputError("severities, per_cause, steps: expected least before largest, and at least 1 of each")
    all_causes = (NONE, *names)
    samples = make_samples(
        key, np.asarray(anchors), all_causes, others=others, clean=clean, per_cause=per_cause,
        severities=severities, family=family, progress=progress,
    )  # fmt: skip
    notes = {"others": list(others), "severities": list(severities), "per_cause": per_cause}
    return fit_samples(_keys.named(key, "training"), samples, all_causes, side=shape[1], steps=steps, notes=notes)
