"""The compiled flow: one jitted program degrades a batch under all conditions and scores every result.

Only rows of scalars leave the device. Every device works on blocks of a fixed number of images, so the arithmetic of
one image is the same whatever the batch size or the number of devices; every random key comes from (seed, image id,
degradation).
"""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import backbones, degradations, images, metrics, quality
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import outputs

_AXIS = "images"
# Images of one block. Small enough that a block's arrays stay in a CPU's cache; accelerators take several conditions of
# a block at once instead.
BLOCK_IMAGES = 8
_CONDITIONS_AT_ONCE = {"cpu": 1}
_CONDITIONS_AT_ONCE_ACCELERATOR = 16
# Kept of every image beside the scores: its features, projected where longer.
KEPT_FEATURES = 128


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of scores.

    Attributes:
      name: in the score table.
      metric: in the report; several columns of one metric differ in `side`.
      family: full_reference, no_reference, label_free or task_guided.
      higher_is_better: direction of quality.
      side: side in pixels at which it is scored.
      networks: the networks it is meant for.
      passport: everything that defines the numbers, JSON values.
    """

    name: str
    metric: str
    family: str
    higher_is_better: bool
    side: int
    networks: tuple[str, ...]
    passport: Mapping[str, Any]

    def record(self) -> dict[str, Any]:
        """Returns the passport with the column's own fields in it: all that `from_record` needs, JSON values."""
        own = {"metric": self.metric, "family": self.family, "higher_is_better": self.higher_is_better}
        return {**self.passport, **own, "side": self.side, "networks": list(self.networks)}

    @classmethod
    def from_record(cls, name: str, record: Mapping[str, Any]) -> "Column":
        """Inverse of `record`.

        Args:
          name: of the column.
          record: as stored beside the scores.

        Returns:
          The column.

        Raises:
          KeyError: when a field is missing.
        """
        fields = {key: record[key] for key in ("metric", "family", "higher_is_better", "side")}
        return cls(name, **fields, networks=tuple(record["networks"]), passport=record)


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A column with its function `(state, view, reference, features, clean_features, label) -> scalar`."""

    column: Column
    fn: Callable[..., jax.Array]
    reads_clean_features: bool = False


@dataclasses.dataclass(frozen=True)
class View:
    """A resolution at which quality is scored, for which networks, and the backbones that look at it.

    Attributes:
      side: side in pixels.
      networks: names.
      backbone_sides: backbone name -> side of its input.
      glances: backbone name -> further sides at which it looks at the same view, for its own class vectors.
      enlarged_for: the backbones that look at the view enlarged and whose inner stages read it as it is, too.
    """

    side: int
    networks: tuple[str, ...]
    backbone_sides: Mapping[str, int]
    glances: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    enlarged_for: tuple[str, ...] = ()

    def features(self, name: str, backbone: backbones.Network, params: Any, image: jax.Array) -> quality.StageFeatures:
        """What the witnesses read of one image at this view's side, through one of its backbones."""

        def stages_at(side):
            return backbone.apply(params, images.resize(image, side, side, backbone.preprocessing.interpolation))[1]

        def read(stages):
            return quality.stage_features(stages, backbone.stages, backbones.PENULTIMATE)

        found = read(stages_at(self.backbone_sides[name]))
        others = (stages_at(side)[backbones.PENULTIMATE] for side in self.glances.get(name, ()))
        found = found._replace(glances=(found.final, *others))
        return quality.with_inner_of(found, read(stages_at(self.side))) if name in self.enlarged_for else found


def backbone_side(preprocessing: backbones.Preprocessing, side: int, at_task: bool) -> int:
    """Side of a backbone's input when quality is scored at `side` pixels.

    At the task's resolution a fully convolutional backbone reads what the task network reads, enlarged only when that
    is smaller than it can use; otherwise, and for networks of one fixed size, it takes its own input size.

    Args:
      preprocessing: of the backbone.
      side: of the images that are scored, in pixels.
      at_task: whether this is a task network's input.

    Returns:
      A side in pixels.
    """
    if preprocessing.fixed_size or not at_task:
        return preprocessing.size
    return max(side, preprocessing.smallest)


def enlarged_for(feature_backbones: Mapping[str, backbones.Network], side: int, at_task: bool) -> tuple[str, ...]:
    """The backbones that could read images of `side` pixels as they are but are given them enlarged.

    Args:
      feature_backbones: name -> network that gives features.
      side: of the images that are scored, in pixels.
      at_task: whether this is a task network's input.

    Returns:
      Their names.
    """
    return tuple(
        name
        for name, backbone in feature_backbones.items()
        if not backbone.preprocessing.fixed_size
        and side < backbone_side(backbone.preprocessing, side, at_task)
        and _has_inner_stages(backbone, side)
    )


def _has_inner_stages(backbone: backbones.Network, side: int) -> bool:
    try:
        image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
        stages = jax.eval_shape(backbone.apply, backbone.params, image)[1]
    except (TypeError, ValueError, ZeroDivisionError):
        # Networks without padding have no pixels left at small sides.
        return False
    shapes = {name: value.shape for name, value in stages.items()}
    inner = quality.inner_stages(shapes, backbone.stages)
    return bool(inner) and all(0 not in shapes[name] for name in inner)


def resized(image: jax.Array, side: int) -> jax.Array:
    """Returns the image at side x side pixels."""
    return images.resize(image, side, side)


def stable_hash(text: str) -> int:
    """A 32-bit hash of a name that never changes: what keys are derived from."""
    return zlib.crc32(text.encode())


def _degrade_all(conditions: tuple[Condition, ...], keys: jax.Array, clean: jax.Array) -> jax.Array:
    """All conditions of a batch: [C, B, S, S, 3], in the order of `conditions`."""
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


def joined_name(names: Iterable[str]) -> str:
    """The name of several backbones read as one."""
    return "+".join(names)


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

    Returns:
      `program(state, pixels uint8 [B, S, S, 3], labels int32 [B], salts uint32 [B]) -> {column: [C, B]}` with
      `<network>/correct` and what else `outputs.performance` and `outputs.stability` give beside the score columns,
      and the vectors [C, B, K] that `outputs.performance` gives, `<backbone>/features`, under `keeping_projections`,
      and what `outputs.second_opinion` gives; with several views `<backbone>@<side>px/features` and so on. B is the
      same at every call, a multiple of the number of devices. `state` holds the parameters: {"networks", "backbones",
      "witnesses", "projections"}.
    """

    num_classes = next((network.num_classes for network in networks.values()), 0)

    def features_at(state, image, view):
        found = {
            name: view.features(name, feature_backbones[name], state["backbones"][name], image)
            for name in view.backbone_sides
        }
        return found | ({joined_name(found): quality.joined(tuple(found.values()))} if len(found) > 1 else {})

    def score_one(state, key, image, references, clean_features, label):
        row = {}
        for name, network in networks.items():
            params = state["networks"][name]
            found = outputs.performance(network, params, image, label)
            if stability_views:
                found |= outputs.stability(key, network, params, image, num_views=stability_views)
            row |= {f"{name}/{field}": value for field, value in found.items()}
        for view in views:
            seen = resized(image, view.side)
            features = features_at(state, seen, view)
            suffix = f"@{view.side}px" if len(views) > 1 else ""
            for name in view.backbone_sides:
                row[f"{name}{suffix}/features"] = _kept(features[name].final, state["projections"][name])
                opinion = outputs.second_opinion(
                    feature_backbones[name], state["backbones"][name], features[name].glances, num_classes
                )
                row |= {f"{name}{suffix}/{field}": value for field, value in opinion.items()}
            for scorer in scorers:
                if scorer.column.side == view.side:
                    clean = clean_features[view.side]
                    row[scorer.column.name] = scorer.fn(state, seen, references[view.side], features, clean, label)
        return row

    at_once = _CONDITIONS_AT_ONCE.get(devices[0].platform, _CONDITIONS_AT_ONCE_ACCELERATOR)
    score_batch = jax.vmap(score_one, in_axes=(None, 0, 0, 0, 0, 0))
    with_clean = any(scorer.reads_clean_features for scorer in scorers)

    def score_block(state, pixels, labels, salts):
        clean = images.from_uint8(pixels)
        keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(seed)))(salts)
        degraded = _degrade_all(conditions, keys, clean)
        # The same views under all conditions.
        view_keys = jax.vmap(lambda key: jax.random.fold_in(key, stable_hash("stability")))(keys)
        references = {view.side: jax.vmap(lambda x, side=view.side: resized(x, side))(clean) for view in views}
        # Once for all conditions; an empty tree where nothing reads it.
        clean_features = {
            view.side: jax.vmap(lambda x, view=view: features_at(state, x, view))(references[view.side])
            if with_clean
            else {}
            for view in views
        }

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


def metric_scorer(spec: metrics.MetricSpec, side: int, for_networks: tuple[str, ...], suffix: str = "") -> Scorer:
    """Makes the column of a conventional metric.

    Args:
      spec: of the metric.
      side: at which it is scored, in pixels.
      for_networks: the networks it is meant for.
      suffix: of the column's name, after the metric's.

    Returns:
      The scorer; NaN throughout, with the reason in its passport, when the side is below the metric's smallest.
    """
    passport = {**spec.passport(), "side": side}
    if side < spec.smallest_side:
        passport["undefined"] = f"images of {side} pixels are below the smallest side, {spec.smallest_side}"

        def fn(state, view, reference, features, clean_features, label):
            return jnp.float32(jnp.nan)
    else:

        def fn(state, view, reference, features, clean_features, label):
            return metrics.evaluate(spec, reference, view)

    column = Column(f"{spec.name}{suffix}", spec.name, spec.family, spec.higher_is_better, side, for_networks, passport)
    return Scorer(column, fn)


def quality_scorer(
    name: str,
    backbone: str,
    side: int,
    column: str,
    for_networks: tuple[str, ...],
    details: Mapping[str, Any],
    variant: str = "",
) -> Scorer:
    """Makes the column of a new metric.

    Args:
      name: a row of `quality.TABLE`.
      backbone: whose features it reads.
      side: at which quality is scored, in pixels.
      column: its name in the table.
      for_networks: the networks it is meant for.
      details: of the backbone and the anchors, JSON values for the passport.
      variant: of the witness, e.g. "[m=50]"; stands in the metric's name.

    Returns:
      The scorer; its witness is `state["witnesses"][witness_key(...)]`, for a metric that has one.
    """
    spec = quality.TABLE[name]
    key = witness_key(spec.witness, backbone, side, variant)

    def fn(state, view, reference, features, clean_features, label):
        clean = clean_features[backbone] if spec.needs_reference else None
        return quality.evaluate(spec, state["witnesses"].get(key), features[backbone], label, clean)

    passport = {**spec.passport(), "backbone": backbone, "side": side, **details}
    metric = f"{name}@{backbone}{variant}"
    found = Column(column, metric, spec.family, spec.higher_is_better, side, for_networks, passport)
    return Scorer(found, fn, spec.needs_reference)


def count_variant(count: int | None) -> str:
    """The variant of a witness fitted on the first `count` anchors; None: on all."""
    return "" if count is None else f"[m={count}]"


def witness_key(witness: str, backbone: str, side: int, variant: str = "") -> str:
    """The name of a fitted witness in the program's state."""
    return f"{witness}@{backbone}@{side}{variant}"
