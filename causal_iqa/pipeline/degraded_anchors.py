"""Anchors under conditions that the study does not have: what the witness's chance of being right is learned on."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import _keys, backbones, degradations, images, quality
from causal_iqa.degradations import Condition, Step
from causal_iqa.pipeline.config import family_of
from causal_iqa.pipeline.piece_functions import stable_hash
from causal_iqa.pipeline.views import View

# Severities of which each copy has one, and images degraded at a time.
SEVERITIES = (2.0, 4.0)
_BATCH = 50
# Sets of degradations in the order of preference, and how many of other names there must be at least.
_SETS, _LEAST = ("camera", "imagenet_c"), 4


class DegradedAnchors(NamedTuple):
    """Which anchors are degraded, and how.

    Attributes:
      num: the first so many anchors.
      conditions: what is done to them; every anchor meets each degradation once, at one of its severities.
    """

    num: int
    conditions: tuple[Condition, ...] = ()

    def record(self) -> dict[str, Any]:
        """Returns both as JSON values."""
        return {"num": self.num, "conditions": [str(condition) for condition in self.conditions]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "DegradedAnchors":
        """Inverse of `record`."""
        return cls(int(record["num"]), tuple(Condition.parse(text) for text in record["conditions"]))


NONE = DegradedAnchors(0)


def choose(
    num: int,
    studied: Iterable[str],
    image_size: int,
    *,
    family: str | None = None,
    quantise: str = "none",
    stored: int | None = None,
) -> DegradedAnchors:
    """Chooses the conditions by rule: none of the study's degradations is among them.

    The set `camera` if the study has none of its degradations; else the set `imagenet_c` under the same rule; else all
    degradations that the study does not have. With fewer than four of these no anchor is degraded.

    Args:
      num: anchors that are degraded, at most.
      studied: names of the degradations of the judged images.
      image_size: side in pixels of the images that are degraded.
      family: family of the degradations in the study.
      quantise: quantisation in the study.
      stored: JPEG quality in the study.

    Returns:
      What to degrade; NONE where nothing is left.
    """
    studied = set(studied)
    sets = [degradations.named_set(name) for name in _SETS]
    free = [names for names in sets if not studied & set(names)]
    free += [tuple(name for name in degradations.named_set("all") if name not in studied)]
    if not num or len(free[0]) < _LEAST:
        return NONE
    how = {"family": family_of(image_size, family), "quantise": quantise, "stored": stored}
    found = tuple(Condition([Step(name, severity)], **how) for name in free[0] for severity in SEVERITIES)
    return DegradedAnchors(num, found)


def features_of(
    degraded: DegradedAnchors,
    pixels: np.ndarray,
    ids: Sequence[str],
    seed: int,
    views: Sequence[View],
    feature_backbones: Mapping[str, backbones.Network],
    *,
    batch: int = _BATCH,
) -> tuple[dict[str, dict[str, quality.StageFeatures]], np.ndarray]:
    """Degrades anchors and looks at them.

    Args:
      degraded: which, and how.
      pixels: uint8 [m, S, S, 3] of all anchors.
      ids: ids of the anchors; the draws of a degradation follow from the seed, the id and the degradation.
      seed: seed of the study.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.
      batch: anchors that one program takes, which changes nothing.

    Returns:
      ({view: {backbone: features, leading axis n}}, int [n], the anchor that each is a copy of).
    """
    m = min(degraded.num, len(pixels))
    if not m or not degraded.conditions:
        return {}, np.zeros(0, int)
    key = _keys.named(seed, "degraded anchors")
    keys = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(key, _salts(ids[:m])))
    ladders: dict[Condition, list[Condition]] = {}
    for condition in degraded.conditions:
        ladders.setdefault(condition.structure, []).append(condition)
    looks = {
        (view.name, name): _looking(view, name, feature_backbones[name])
        for view in views
        for name in view.backbone_sides
    }
    found: dict[tuple[str, str], list[Any]] = {place: [] for place in looks}
    origins = []
    for structure, ladder in ladders.items():
        degrade = _degrading(structure)
        for start in range(0, m, batch):
            # Filled up with the last: one shape is one program.
            chosen = np.minimum(np.arange(start, start + batch), m - 1)
            drawn = [stable_hash(f"{structure} {ids[i]}") % len(ladder) for i in chosen]
            severities = np.asarray([ladder[i].severities for i in drawn], np.float32)
            copies = degrade(keys[chosen], pixels[chosen], severities)
            count = min(batch, m - start)
            origins.append(chosen[:count])
            for (view, name), look in looks.items():
                seen = jax.device_get(look(feature_backbones[name].params, copies))
                found[view, name].append(jax.tree.map(lambda x, count=count: x[:count], seen))
    joined = {place: jax.tree.map(lambda *some: np.concatenate(some), *parts) for place, parts in found.items()}
    by_view: dict[str, dict[str, quality.StageFeatures]] = {}
    for (view, name), features in joined.items():
        by_view.setdefault(view, {})[name] = features
    return by_view, np.concatenate(origins)


def _salts(ids: Sequence[str]) -> np.ndarray:
    return np.asarray([stable_hash(name) for name in ids], np.uint32)


def _degrading(structure: Condition):
    graded = degradations.do_graded(structure)

    def one(key: jax.Array, pixels: jax.Array, severities: jax.Array) -> jax.Array:
        return graded(jax.random.wrap_key_data(key), images.from_uint8(pixels), severities)

    return jax.jit(jax.vmap(one))


def _looking(view: View, name: str, backbone: backbones.Network):
    # The witness over stages reads no glances.
    view = dataclasses.replace(view, glances={})

    def look(params: Any, copies: jax.Array) -> quality.StageFeatures:
        return jax.lax.map(lambda image: view.features(name, backbone, params, view.see(image)), copies, batch_size=10)

    # Not those of the study's own number of devices: the numbers would differ by rounding.
    return jax.jit(look, compiler_options=backbones.compiler_options(jax.local_devices()[0].platform))
