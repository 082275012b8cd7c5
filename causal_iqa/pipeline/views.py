"""Views: the image that quality is scored on, and at which sides the backbones read it."""

import dataclasses
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import backbones, images, quality
from causal_iqa._arrays import Params
from causal_iqa.pipeline.config import StudyConfig

# What `inner_stages_at` found, by the backbone's function: every metric of a study asks, and each answer is a trace.
_INNER_STAGES: weakref.WeakKeyDictionary[Any, dict[Any, tuple[str, ...]]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class View:
    """An image as quality is scored on it, for which networks, and the backbones that look at it.

    Attributes:
      side: side in pixels.
      networks: names.
      backbone_sides: backbone name -> side of its input.
      glances: backbone name -> further sides at which it looks at the same view, for its own class vectors.
      enlarged_for: the backbones that look at the enlarged view, and with their inner stages also at the view itself.
      interpolation: interpolation of the resize to `side`, one of `images.INTERPOLATIONS`; None: images have this side
        already.
    """

    side: int
    networks: tuple[str, ...]
    backbone_sides: Mapping[str, int]
    glances: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    enlarged_for: tuple[str, ...] = ()
    interpolation: str | None = None

    @property
    def name(self) -> str:
        """Its name in witnesses and notes: the side, and the interpolation where it is not bilinear."""
        return f"{self.side}{_unless_bilinear(self.interpolation)}"

    @property
    def suffix(self) -> str:
        """What tells its columns from those of another view: "@32px", "@224px_bicubic"."""
        return view_suffix(self.side, self.interpolation)

    def see(self, image: jax.Array) -> jax.Array:
        """Makes the view of one image.

        Args:
          image: float32 [S, S, 3] in [0, 1], as it was degraded.

        Returns:
          float32 [side, side, 3]: for the networks of the view exactly what `backbones.to_input` gives them, when
          quality is scored at the task's resolution.

        Raises:
          ValueError: when the image has another side and the view no interpolation.
        """
        if self.interpolation is None:
            if image.shape[:2] != (self.side, self.side):
                raise ValueError(f"image: expected {self.side} x {self.side} pixels, got {image.shape[:2]}")
            return image
        return images.resize(image, self.side, self.side, self.interpolation)

    def features(
        self, name: str, backbone: backbones.Network, params: Params, view: jax.Array
    ) -> quality.StageFeatures:
        """What the witnesses read of one image through one of the view's backbones.

        Args:
          name: name of the backbone.
          backbone: the network.
          params: its parameters.
          view: float32 [side, side, 3], from `see`.

        Returns: The features of the view at the backbone's side; where the backbone is in `enlarged_for`, also inner
          stages of the view itself.
        """

        def stages_at(side: int) -> dict[str, jax.Array]:
            return backbone.stages_of(params, backbones.to_input(backbone.preprocessing, view, side=side))

        def read(stages: dict[str, jax.Array]) -> quality.StageFeatures:
            return quality.stage_features(stages, backbone.stages, backbones.PENULTIMATE)

        found = read(stages_at(self.backbone_sides[name]))
        others = (stages_at(side)[backbones.PENULTIMATE] for side in self.glances.get(name, ()))
        found = found._replace(glances=(found.final, *others))
        return quality.with_inner_of(found, read(stages_at(self.side))) if name in self.enlarged_for else found

    def reads(self, name: str, backbone: backbones.Network, fields: Sequence[str]) -> dict[str, Any]:
        """Describes the inputs of a metric through one of the view's backbones, from the shapes of its stages.

        Args:
          name: name of the backbone.
          backbone: the network.
          fields: fields of StageFeatures that the metric reads.

        Returns:
          JSON values: "interpolation" of the resize to the backbone's sides; "penultimate_at" which sides; "inner_at",
          side -> stages whose means and deviations are read; "familiarity_at", side -> stage. It holds only the outputs
          that are used.
        """
        largest = self.backbone_sides[name]
        inner_sides = [largest, self.side] if name in self.enlarged_for else [largest]
        inner = {str(side): list(inner_stages_at(backbone, side)) for side in inner_sides}
        earliest = inner[str(inner_sides[-1])][:1] or [backbones.PENULTIMATE]
        every = {
            "final": {"penultimate_at": [largest]},
            "glances": {"penultimate_at": [largest, *self.glances.get(name, ())]},
            "inner": {"inner_at": inner},
            "early": {"familiarity_at": {str(inner_sides[-1]): earliest[0]}},
        }
        found: dict[str, Any] = {"interpolation": backbone.preprocessing.interpolation}
        for field in fields:
            found |= every[field]
        return found


def view_suffix(side: int, interpolation: str | None) -> str:
    """What tells the columns of a view from those of another, from its side and its interpolation."""
    return f"@{side}px{_unless_bilinear(interpolation)}"


def _unless_bilinear(interpolation: str | None) -> str:
    return "" if interpolation in (None, "bilinear") else f"_{interpolation}"


def inner_stages_at(backbone: backbones.Network, side: int) -> tuple[str, ...]:
    """Returns the inner stages that a backbone gives of an image of `side` pixels, of those that have any places."""
    try:
        known = _INNER_STAGES.setdefault(backbone.apply, {})
    except TypeError:  # A function of the user's of which no weak reference is possible.
        known = {}
    shapes_of_params = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(backbone.params))
    key = (side, backbone.stages, backbone.preprocessing, shapes_of_params)
    if key not in known:
        image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
        found = jax.eval_shape(backbone.stages_of, backbone.params, image)
        shapes = {name: value.shape for name, value in found.items()}
        inner = quality.inner_stages(shapes, backbone.stages)
        known[key] = inner if all(0 not in shapes[name] for name in inner) else ()
    return known[key]


def backbone_side(preprocessing: backbones.Preprocessing, side: int, at_task: bool) -> int:
    """Side of a backbone's input when quality is scored at `side` pixels.

    At the task's resolution a fully convolutional backbone reads what the task network reads, enlarged to its
    `feature_side` when that is larger; otherwise, and for networks of one fixed size, it takes its own input size.

    Args:
      preprocessing: preprocessing of the backbone.
      side: side of the images that are scored, in pixels.
      at_task: whether this is a task network's input.

    Returns:
      A side in pixels.
    """
    if preprocessing.fixed_size or not at_task:
        return preprocessing.size
    return max(side, preprocessing.feature_side or preprocessing.smallest)


def enlarged_for(feature_backbones: Mapping[str, backbones.Network], side: int, at_task: bool) -> tuple[str, ...]:
    """The backbones that receive enlarged images of `side` pixels, and can read the images themselves by inner stages.

    Args:
      feature_backbones: name -> network that gives features.
      side: side of the images that are scored, in pixels.
      at_task: whether this is a task network's input.

    Returns:
      Their names.
    """
    return tuple(
        name
        for name, backbone in feature_backbones.items()
        if backbone.smallest_inner <= side < backbone_side(backbone.preprocessing, side, at_task)
        and inner_stages_at(backbone, side)
    )


def views_of(
    config: StudyConfig,
    image_size: int,
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    num_classes: int,
) -> tuple[View, ...]:
    """Returns the views of a study: one for all networks that see one and the same image."""
    at_task = config.score_at == "task"
    if config.performance is not None:
        side = config.input_size if at_task and config.input_size else image_size
        return (_view(side, config, image_size, feature_backbones, num_classes),)
    seen: dict[tuple[int, str | None], list[str]] = {}
    for name, network in networks.items():
        side = network.preprocessing.size if at_task else image_size
        interpolation = network.preprocessing.interpolation if side != image_size else None
        seen.setdefault((side, interpolation), []).append(name)
    return tuple(
        dataclasses.replace(
            _view(side, config, image_size, feature_backbones, num_classes),
            networks=tuple(names),
            interpolation=interpolation,
        )
        for (side, interpolation), names in sorted(seen.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )


def _view(
    side: int,
    config: StudyConfig,
    image_size: int,
    feature_backbones: Mapping[str, backbones.Network],
    num_classes: int,
) -> View:
    """The view of the networks whose table is given; without classes every classifier looks twice."""
    at_task = config.score_at == "task"
    return View(
        side,
        tuple(choice.name for choice in config.networks),
        {name: backbone_side(backbone.preprocessing, side, at_task) for name, backbone in feature_backbones.items()},
        {
            name: (backbone.preprocessing.size,)
            for name, backbone in feature_backbones.items()
            if at_task and (not num_classes or backbone.num_classes == num_classes)
            if _enlarges(backbone.preprocessing, side)
        },
        enlarged_for(feature_backbones, side, at_task),
        "bilinear" if side != image_size else None,
    )


def _enlarges(preprocessing: backbones.Preprocessing, side: int) -> bool:
    """Whether a backbone that looks at `side` pixels has a larger side of its own that its classifier is better at."""
    return backbone_side(preprocessing, side, at_task=True) < preprocessing.size
