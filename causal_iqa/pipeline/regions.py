"""Score columns of objects and background apart, for images with masks or boxes."""

import dataclasses
import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from causal_iqa import backbones, quality
from causal_iqa.backbones import Params
from causal_iqa.pipeline.columns import Column, ProgramState, Scorer, Seen
from causal_iqa.pipeline.task_outputs import at_side
from causal_iqa.pipeline.views import View, inner_stages_at

REGIONS = ("object", "background")
_READS = ["clean_image", "clean_regions"]


def region_of(target: tuple[jax.Array, ...], side: int, name: str) -> jax.Array:
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
    view: View, feature_backbones: Mapping[str, backbones.Network], params: Mapping[str, Params], image: jax.Array
) -> dict[str, jax.Array]:
    """The deepest inner stage of every backbone that has one.

    Args:
      view: view at whose sides the backbones read the image.
      feature_backbones: name -> network.
      params: backbone -> its parameters.
      image: float32 [side, side, 3], from `View.see`.

    Returns:
      Name -> [h, w, c].
    """
    found = {}
    for name, side in view.backbone_sides.items():
        backbone = feature_backbones[name]
        stages = inner_stages_at(backbone, side)
        if stages:
            resized = backbones.to_input(backbone.preprocessing, image, side=side)
            found[name] = backbone.stages_of(params[name], resized)[stages[-1]]
    return found


def region_scorers(
    view: View, feature_backbones: Mapping[str, backbones.Network], *, is_one_of_several: bool = False
) -> list[Scorer]:
    """The scores of objects and of background.

    Args:
      view: the view on which they are scored.
      feature_backbones: name -> network that gives features; the deepest inner stage of each is compared.
      is_one_of_several: whether the columns' names say which view they read.

    Returns:
      PSNR of both regions, and for every backbone with maps the cosine of its features with those of the clean image.
    """
    found = [
        _scorer(view, f"psnr_{name}", "full_reference", f"PSNR over the {name} alone", _psnr(name), is_one_of_several)
        for name in REGIONS
    ]
    for name, side in view.backbone_sides.items():
        backbone = feature_backbones[name]
        stages = inner_stages_at(backbone, side)
        for region in REGIONS if stages else ():
            words = (
                f"mean over the {region} of the cosine of features with those of the clean image, stage {stages[-1]}"
            )
            metric, fn = f"clean_cosine_{region}", _cosine(view, name, backbone, region)
            found.append(_scorer(view, metric, "feature_reference", words, fn, is_one_of_several, {name: backbone}))
    return found


def _scorer(
    view: View,
    formula: str,
    family: str,
    convention: str,
    fn: Callable[[ProgramState, Seen], jax.Array],
    is_one_of_several: bool,
    parts: Mapping[str, backbones.Network] = types.MappingProxyType({}),
) -> Scorer:
    weights = {"weights_sha256": {name: network.weights_sha256 for name, network in parts.items()}}
    passport = {
        "convention": convention,
        "side": view.side,
        "reads_beside": _READS,
        "undefined": "the image has no such region",
        **(weights if parts else {}),
    }
    column = Column.of(
        formula, family, True, view, passport, backbones=tuple(parts), is_one_of_several=is_one_of_several
    )
    return Scorer(column, fn, view.name, reads_target=True)


def _psnr(region: str) -> Callable[[ProgramState, Seen], jax.Array]:
    def fn(state: ProgramState, seen: Seen) -> jax.Array:
        assert seen.image is not None and seen.reference is not None, "shown to every scorer of pixels"
        inside = region_of(seen.target, seen.image.shape[0], region)
        return quality.region_psnr(seen.reference, seen.image, inside)

    return fn


def _cosine(
    view: View, name: str, backbone: backbones.Network, region: str
) -> Callable[[ProgramState, Seen], jax.Array]:
    def fn(state: ProgramState, seen: Seen) -> jax.Array:
        assert seen.image is not None, "shown to every scorer of a network's maps"
        # The same call as for the other scores of the backbone, which the compiler makes once.
        maps = maps_of(_only(view, name), {name: backbone}, state.backbones, seen.image)[name]
        weights = quality.region_weights(region_of(seen.target, view.side, region), *maps.shape[:2])
        return quality.region_cosine(maps, seen.clean_maps[name], weights)

    return fn


def _only(view: View, name: str) -> View:
    return dataclasses.replace(view, backbone_sides={name: view.backbone_sides[name]})
