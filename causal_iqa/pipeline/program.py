"""The compiled flow: one jitted program degrades a batch under all conditions and scores every result.

Only rows of scalars and short vectors leave the device. Every device works on blocks of a fixed number of images, so
the arithmetic of one image is the same whatever the batch size. For another number of devices XLA compiles another
program, with rounding of its own. Every random key comes from (seed, image id, degradation).
"""

import functools
import zlib
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import backbones, degradations, images, quality
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import outputs, regions, task_outputs
from causal_iqa.pipeline.columns import Scorer, joined_name
from causal_iqa.pipeline.views import View

_AXIS = "images"
# Images of one block. Small enough that a block's arrays stay in a CPU's cache; accelerators take several conditions of
# a block at once instead.
BLOCK_IMAGES = 8
_CONDITIONS_AT_ONCE = {"cpu": 1}
_CONDITIONS_AT_ONCE_ACCELERATOR = 16
# Kept of every image beside the scores: its features, projected where longer.
KEPT_FEATURES = 128


def stable_hash(text: str) -> int:
    """A 32-bit hash of a name that never changes: what keys are derived from."""
    return zlib.crc32(text.encode())


def degrade_all(conditions: tuple[Condition, ...], keys: jax.Array, clean: jax.Array) -> jax.Array:
    """Degrades a batch under all conditions.

    Args:
      conditions: C of them.
      keys: [B] of the images.
      clean: [B, S, S, 3] in [0, 1].

    Returns:
      [C, B, S, S, 3], in the order of `conditions`.
    """
    places: dict[Condition, list[int]] = {}
    for place, condition in enumerate(conditions):
        places.setdefault(condition.structure, []).append(place)
    parts = []
    for structure, members in places.items():
        if structure == Condition():
            parts.append(jnp.broadcast_to(clean, (len(members), *clean.shape)))
            continue
        graded = degradations.do_graded(structure)
        severities = jnp.asarray([conditions[place].severities for place in members], jnp.float32)

        def one(key, image, graded=graded, severities=severities):
            # One key for all severities: the same photons and the same fog, only more of it. The ladder is then a set
            # of counterfactuals of one image, and what does not depend on severity is computed once.
            return jax.vmap(functools.partial(graded, key, image))(severities)

        parts.append(jnp.moveaxis(jax.vmap(one)(keys, clean), 1, 0))
    degraded = jnp.concatenate(parts)
    order = np.concatenate(list(places.values()))
    return degraded if (np.diff(order) == 1).all() else degraded[np.argsort(order)]


def keeping_projections(feature_backbones: Mapping[str, backbones.Network]) -> dict[str, np.ndarray | None]:
    """Draws the random projections under which long features are kept.

    They keep inner products and distances in the mean (Johnson and Lindenstrauss 1984) and depend on the length of the
    features only, so that kept features of one backbone can be compared across runs.

    Args:
      feature_backbones: name -> network that gives features.

    Returns:
      name -> float32 [d, KEPT_FEATURES], None where d is at most KEPT_FEATURES and features are kept as they are.
    """
    projections = {}
    for name, backbone in feature_backbones.items():
        image = jax.ShapeDtypeStruct((backbone.preprocessing.size,) * 2 + (3,), jnp.float32)
        d = jax.eval_shape(backbone.apply, backbone.params, image)[1][backbones.PENULTIMATE].shape[0]
        drawn = np.random.default_rng(d).standard_normal((d, KEPT_FEATURES)) / np.sqrt(KEPT_FEATURES)
        projections[name] = drawn.astype(np.float32) if d > KEPT_FEATURES else None
    return projections


def _kept(features: jax.Array, projection: jax.Array | None) -> jax.Array:
    if projection is not None:
        features = jnp.matmul(features, projection, precision="highest")
    return features.astype(jnp.float16)


def make_program(
    *,
    seed: int,
    conditions: tuple[Condition, ...],
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    views: tuple[View, ...],
    scorers: tuple[Scorer, ...],
    devices: list[jax.Device],
    stability_views: int = 0,
    given_copies: bool = False,
) -> Callable[..., dict[str, jax.Array]]:
    """Builds the jitted program of a study.

    Args:
      seed: of the degradations.
      conditions: C of them.
      networks: name -> network to be judged.
      feature_backbones: name -> network that gives features.
      views: resolutions at which quality is scored.
      scorers: the score columns.
      devices: the images are split over them.
      stability_views: passes of every network over changed views of every image; 0: none.
      given_copies: whether the pixels are those of all conditions, [B, C, S, S, 3], clean first; nothing is degraded.

    Returns:
      `program(state, pixels uint8 [B, S, S, 3], labels int32 [B], salts uint32 [B]) -> {column: [C, B]}` with
      `<network>/correct` and what else `outputs.performance` and `outputs.stability` give beside the score columns,
      and the vectors [C, B, K] that `outputs.performance` gives, `<backbone>/features`, under `keeping_projections`,
      and what `outputs.second_opinion` gives; with several views `<backbone><view.suffix>/features` and so on. B is the
      same at every call, a multiple of the number of devices. Where images have targets, `labels` is (labels, targets);
      a network of another task gives what `task_outputs.performance` does in place of the above. `state` holds the
      parameters: {"networks", "backbones", "witnesses", "projections"}.
    """

    num_classes = next((network.num_classes for network in networks.values()), 0)

    def features_at(state, image, view):
        found = {
            name: view.features(name, feature_backbones[name], state["backbones"][name], image)
            for name in view.backbone_sides
        }
        return found | ({joined_name(found): quality.joined(tuple(found.values()))} if len(found) > 1 else {})

    def score_one(state, key, image, references, clean_features, truth):
        row = {}
        label, target = truth if isinstance(truth, tuple) else (truth, ())
        for name, network in networks.items():
            params = state["networks"][name]
            if network.task is not None:
                found = task_outputs.performance(network, params, image, target)
                row |= {f"{name}/{field}": value for field, value in found.items()}
                continue
            found = outputs.performance(network, params, image, label)
            if stability_views:
                found |= outputs.stability(key, network, params, image, num_views=stability_views)
            row |= {f"{name}/{field}": value for field, value in found.items()}
        for view in views:
            seen = view.see(image)
            features = features_at(state, seen, view)
            suffix = view.suffix if len(views) > 1 else ""
            for name in view.backbone_sides:
                row[f"{name}{suffix}/features"] = _kept(features[name].final, state["projections"][name])
                opinion = outputs.second_opinion(
                    feature_backbones[name], state["backbones"][name], features[name].glances, num_classes
                )
                row |= {f"{name}{suffix}/{field}": value for field, value in opinion.items()}
            for scorer in scorers:
                if scorer.view == view.name:
                    place, read = (f"{view.name}/maps", target) if scorer.reads_target else (view.name, label)
                    clean = clean_features[place]
                    row[scorer.column.name] = scorer.fn(state, seen, references[view.name], features, clean, read)
        return row

    at_once = _CONDITIONS_AT_ONCE.get(devices[0].platform, _CONDITIONS_AT_ONCE_ACCELERATOR)
    score_batch = jax.vmap(score_one, in_axes=(None, 0, 0, 0, 0, 0))
    with_clean = any(scorer.reads_clean_features for scorer in scorers)
    with_regions = any(scorer.reads_target for scorer in scorers)

    def score_block(state, pixels, labels, salts):
        clean = images.from_uint8(pixels[:, 0] if given_copies else pixels)
        keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(salts)
        if given_copies:
            degraded = jnp.moveaxis(images.from_uint8(pixels), 1, 0)
        else:
            degraded = degrade_all(conditions, keys, clean)
        # The same views under all conditions.
        view_keys = jax.vmap(lambda key: jax.random.fold_in(key, stable_hash("stability")))(keys)
        references = {view.name: jax.vmap(view.see)(clean) for view in views}
        # Once for all conditions; an empty tree where nothing reads it.
        clean_features = {
            view.name: jax.vmap(lambda x, view=view: features_at(state, x, view))(references[view.name])
            if with_clean
            else {}
            for view in views
        }
        for view in views if with_regions else ():
            maps = functools.partial(regions.maps_of, view, feature_backbones, state)
            clean_features[f"{view.name}/maps"] = jax.vmap(maps)(references[view.name])

        def score(x):
            return score_batch(state, view_keys, x, references, clean_features, labels)

        return jax.lax.map(score, degraded, batch_size=at_once)

    mesh = jax.sharding.Mesh(np.asarray(devices), (_AXIS,))
    spec = jax.sharding.PartitionSpec
    mapped = jax.shard_map(
        score_block,
        mesh=mesh,
        in_specs=(spec(), spec(_AXIS), spec(_AXIS), spec(_AXIS)),
        out_specs=spec(None, _AXIS),
        check_vma=False,
    )
    return jax.jit(mapped, compiler_options=backbones.compiler_options(devices[0].platform, len(devices)))
