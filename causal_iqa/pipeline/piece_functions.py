"""What the pieces of a program compute: functions of one device's share, which a digest tells apart.

They are bound to what defines them by `functools.partial`, and hold nothing else, so that another metric, network or
condition has itself compiled alone.
"""

import functools
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import backbones, images, quality
from causal_iqa._arrays import Params
from causal_iqa.pipeline import outputs, pieces, regions, task_outputs
from causal_iqa.pipeline.columns import Output, ProgramState, Seen
from causal_iqa.pipeline.views import View

# A piece is given what its scorers read, and nothing else.
_NO_STATE = ProgramState({}, {}, {}, {})
_NOT_SEEN = Seen(None, None, {}, {}, {}, None, ())


def stable_hash(text: str) -> int:
    """A 32-bit hash of a name that never changes, from which keys are derived."""
    return zlib.crc32(text.encode())


def over_runs(function: Callable, axes: tuple, count: int, at_once: int, *arguments: Any) -> pieces.Packed:
    """A function of one image under one condition, over a run of conditions and the images of a device."""
    runs, others = arguments[:count], arguments[count:]

    def packed(*each: Any) -> pieces.Packed:
        row = function(*each)
        names = tuple(name for name, value in row.items() if value.ndim == 0)
        scalars = [row[name].astype(jnp.float32) for name in names]
        vectors = {name: value for name, value in row.items() if value.ndim}
        return pieces.Packed(jnp.stack(scalars) if scalars else jnp.zeros(0), vectors, names)

    return jax.lax.map(lambda one: jax.vmap(packed, axes)(*one, *others), tuple(runs), batch_size=at_once)


def begin(seed: int, given_copies: bool, pixels: jax.Array, salts: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Clean images in [0, 1], and the data of every image's keys: of its degradations, and of its changed views."""
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(salts)
    # The same changed views under all conditions.
    view_keys = jax.vmap(lambda key: jax.random.fold_in(key, stable_hash("stability")))(keys)
    clean = images.from_uint8(pixels[:, 0] if given_copies else pixels)
    return clean, jax.random.key_data(keys), jax.random.key_data(view_keys)


def cut(order: np.ndarray, size: int, *degraded: jax.Array) -> list[jax.Array]:
    """All conditions in order, cut into runs of one size; the last is filled up with its last condition."""
    every = jnp.concatenate(degraded)
    if (np.diff(order) != 1).any():
        every = every[order]
    missing = -len(every) % size
    if missing:
        every = jnp.concatenate([every, jnp.repeat(every[-1:], missing, axis=0)])
    return list(every.reshape(-1, size, *every.shape[1:]))


def see(view: View, images_of_device: jax.Array) -> jax.Array:
    """Images as a view shows them."""
    return jax.vmap(view.see)(images_of_device)


def see_run(view: View, run: jax.Array) -> jax.Array:
    """A run of conditions as a view shows it."""
    return jax.vmap(jax.vmap(view.see))(run)


def as_run(images_of_device: jax.Array) -> jax.Array:
    """Images as a run of one condition."""
    return images_of_device[None]


def pick(place: int, run: quality.StageFeatures) -> quality.StageFeatures:
    """The features of one condition of a run."""
    return jax.tree.map(lambda x: x[place], run)


def judge(
    name: str, network: backbones.Network, stability_views: int, image, params, label, view_key
) -> dict[str, jax.Array]:
    """What a judged network gives of one image."""
    found = outputs.performance(network, params, image, label)
    if stability_views:
        key = jax.random.wrap_key_data(view_key)
        found |= outputs.stability(key, network, params, image, num_views=stability_views)
    return {str(Output(name, field)): value for field, value in found.items()}


def maps(
    view: View, networks: Mapping[str, backbones.Network], params: Params, reference: jax.Array
) -> dict[str, jax.Array]:
    """The deepest maps of the clean images, from which regions are scored."""
    return jax.vmap(functools.partial(regions.maps_of, view, networks, params))(reference)


def look(
    view: View, name: str, network: backbones.Network, at_once: int, params: Params, run: jax.Array
) -> quality.StageFeatures:
    """The features of a run through one backbone."""
    one = functools.partial(view.features, name, network, params)
    return jax.lax.map(jax.vmap(one), run, batch_size=at_once)


class Owner(NamedTuple):
    """Whose features scores read.

    Attributes:
      name: name of the backbone, `joined_name` of several.
      read: the names of its parts.
      network: network of one; None of several.
      suffix: what tells the view's columns from others; empty where there is one view.
      witness: `witness_key` of its witness over stages.
      num_classes: classes of the judged networks; 0: none is judged.
    """

    name: str
    read: tuple[str, ...]
    network: backbones.Network | None
    suffix: str
    witness: str
    num_classes: int


def score_features(owner: Owner, scorers: Sequence[tuple], features, state, clean, label) -> dict[str, jax.Array]:
    """Everything that is read of one image's features: scores, and the opinions that are kept."""
    row = {}
    name = owner.name
    if owner.network is not None:
        kept = outputs.kept_features(features[name].final, state.projections[name])
        row[str(Output(name, "features", owner.suffix))] = kept
        opinion = outputs.second_opinion(
            owner.network, state.backbones[name], features[name].glances, owner.num_classes
        )
        row |= {str(Output(name, field, owner.suffix)): value for field, value in opinion.items()}
    else:  # Several as one, in their order: the entries of a dictionary are sorted on the way.
        features = {name: quality.joined([features[part] for part in owner.read])}
        clean = {name: quality.joined([clean[part] for part in owner.read])} if clean else {}
    seen = _NOT_SEEN._replace(features=features, clean_features=clean, label=label)
    for column, fn in scorers:
        row[column] = fn(state, seen)
    witness = state.witnesses.get(owner.witness)
    if witness is not None:
        opinion = outputs.witness_opinion(quality.shares(witness, features[name]))
        row |= {str(Output(name, field, owner.suffix)): value for field, value in opinion.items()}
        if getattr(witness, "detectors", None) is not None:
            coordinates = quality.early_coordinates(witness, features[name])
            row[str(Output(name, "witness_early", owner.suffix))] = outputs.kept_coordinates(coordinates)
    return row


def given_copies(pixels: jax.Array) -> jax.Array:
    """Copies of every image [B, C, S, S, 3] -> [C, B, S, S, 3]."""
    return jnp.moveaxis(images.from_uint8(pixels), 1, 0)


def score_pixels(column: str, fn: Callable, image, reference, label) -> dict[str, jax.Array]:
    """One conventional metric of one image."""
    return {column: fn(_NO_STATE, _NOT_SEEN._replace(image=image, reference=reference, label=label))}


def score_regions(scorers: Sequence[tuple], image, params, reference, maps, target) -> dict[str, jax.Array]:
    """The scores of objects and background of one image."""
    state = _NO_STATE._replace(backbones=params)
    seen = _NOT_SEEN._replace(image=image, reference=reference, clean_maps=maps, target=target)
    return {column: fn(state, seen) for column, fn in scorers}


def perform(name: str, network: backbones.Network, image, params, target) -> dict[str, jax.Array]:
    """The performance of a network of another task on one image."""
    found = task_outputs.performance(network, params, image, target)
    return {str(Output(name, field)): value for field, value in found.items()}
