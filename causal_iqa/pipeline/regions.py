"""Score columns of objects and background apart, for images with masks or boxes."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from causal_iqa import backbones, images, quality
from causal_iqa.pipeline.columns import Column, Scorer
from causal_iqa.pipeline.task_outputs import at_side
from causal_iqa.pipeline.views import View, inner_stages_at

REGIONS = ("object", "background")
_READS = ["clean_image", "clean_regions"]


def region_of(target: tuple, side: int, name: str) -> jax.Array:
    """The pixels of a region.

    Args:
      target: (mask int32 [T, T],), where label 0 is the background; or (boxes float32 [M, 4], classes int32 [M]).
      side: side of the result, static.
      name: one of REGIONS.

    Returns:
      float32 [side, side], 1 inside; what a mask does not know is in neither.
    """
    if len(target) == 1:
        mask = at_side(target[0], side)
        inside = mask > 0 if name == "object" else mask == 0
        return inside.astype(jnp.float32)
    boxes, classes = target
    centres = (jnp.arange(side) + 0.5) / side
    across = (centres[None] >= boxes[:, :1]) & (centres[None] < boxes[:, 2:3])
    down = (centres[None] >= boxes[:, 1:2]) & (centres[None] < boxes[:, 3:4])
    inside = (down[:, :, None] & across[:, None, :] & (classes >= 0)[:, None, None]).any(axis=0)
    return (inside if name == "object" else ~inside).astype(jnp.float32)


def maps_of(
    view: View, feature_backbones: Mapping[str, backbones.Network], state: Mapping, image: jax.Array
) -> dict[str, jax.Array]:
    """The deepest inner stage of every backbone that has one.

    Args:
      view: at whose sides the backbones read.
      feature_backbones: name -> network.
      state: the program's, with their parameters under "backbones".
      image: float32 [side, side, 3], from `View.see`.

    Returns:
      Name -> [h, w, c].
    """
    found = {}
    for name, side in view.backbone_sides.items():
        backbone = feature_backbones[name]
        stages = inner_stages_at(backbone, side)
        if stages:
            resized = images.resize(image, side, side, backbone.preprocessing.interpolation)
            found[name] = backbone.stages_of(state["backbones"][name], resized)[stages[-1]]
    return found


def region_scorers(view: View, feature_backbones: Mapping[str, backbones.Network], suffix: str = "") -> list[Scorer]:
    """The scores of objects and of background.

    Args:
      view: on which they are scored.
      feature_backbones: name -> network that gives features; the deepest inner stage of each is compared.
      suffix: suffix of the columns' names.

    Returns:
      PSNR of both regions, and for every backbone with maps the cosine of its features with those of the clean image.
    """
    found = [
        _scorer(view, f"psnr_{name}", "full_reference", suffix, f"PSNR over the {name} alone", _psnr(name))
        for name in REGIONS
    ]
    for name, side in view.backbone_sides.items():
        backbone = feature_backbones[name]
        stages = inner_stages_at(backbone, side)
        for region in REGIONS if stages else ():
            words = (
                f"mean over the {region} of the cosine of features with those of the clean image, stage {stages[-1]}"
            )
            metric, fn = f"clean_cosine_{region}@{name}", _cosine(view, name, backbone, region)
            weights = {"weights_sha256": {name: backbone.weights_sha256}}
            found.append(_scorer(view, metric, "feature_reference", suffix, words, fn, **weights))
    return found


def _scorer(view: View, metric: str, family: str, suffix: str, convention: str, fn: Callable, **details) -> Scorer:
    passport = {
        "convention": convention,
        "side": view.side,
        "reads_beside": _READS,
        "undefined": "the image has no such region",
        **details,
    }
    column = Column(f"{metric}{suffix}", metric, family, True, view.side, view.networks, passport)
    return Scorer(column, fn, view.name, reads_target=True)


def _psnr(region: str) -> Callable[..., jax.Array]:
    def fn(state, seen, reference, features, clean_maps, target):
        return quality.region_psnr(reference, seen, region_of(target, seen.shape[0], region))

    return fn


def _cosine(view: View, name: str, backbone: backbones.Network, region: str) -> Callable[..., jax.Array]:
    def fn(state, seen, reference, features, clean_maps, target):
        # The same call as for the other scores of the backbone, which the compiler makes once.
        maps = maps_of(_only(view, name), {name: backbone}, state, seen)[name]
        weights = quality.region_weights(region_of(target, view.side, region), *maps.shape[:2])
        return quality.region_cosine(maps, clean_maps[name], weights)

    return fn


def _only(view: View, name: str) -> View:
    return dataclasses.replace(view, backbone_sides={name: view.backbone_sides[name]})
