"""What every network of the study is: a pure function, its parameters and the preprocessing it was trained with."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from causal_iqa import _checks, images
from causal_iqa._arrays import Params
from causal_iqa.backbones import numerics
from causal_iqa.backbones.weights import statements

_LOG = logging.getLogger(__name__)
PENULTIMATE = "penultimate"
# Of a network outside JAX, which computes as its runtime does.
OWN_PRECISION = "own"


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How pixels become a network's input.

    Attributes:
      size: side of the square input in pixels.
      crop_fraction: side of the central square that the original pipeline cut from a whole photo before resizing, as
        a fraction of the shorter side. The study cuts it once, when it loads the photo.
      mean: per channel, subtracted from [0, 1] pixels.
      std: per channel, divides.
      smallest: smallest input side in pixels at which the outputs of the network are meaningful.
      fixed_size: whether `size` is the only side it takes; fully convolutional networks take any side >= smallest.
      interpolation: interpolation of the original's resize, "bilinear" or "bicubic", both antialiased.
      feature_side: side in pixels, at least `smallest`, to which a study enlarges smaller images before it reads
        features of them; None: `smallest`.
    """

    size: int
    crop_fraction: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    smallest: int
    fixed_size: bool = False
    interpolation: str = "bilinear"
    feature_side: int | None = None


def check_side(preprocessing: Preprocessing, side: int, name: str) -> None:
    """Raises InputError unless the network takes an input of this side."""
    wanted = f"{preprocessing.size}" if preprocessing.fixed_size else f"at least {preprocessing.smallest}"
    if (side != preprocessing.size) if preprocessing.fixed_size else (side < preprocessing.smallest):
        raise _checks.InputError(f"{name}: this network takes a side of {wanted} pixels, got {side}")


def with_size(preprocessing: Preprocessing, input_size: int | None) -> Preprocessing:
    """Returns the preprocessing at another input side, or the same for None; InputError if it cannot be."""
    if input_size is None:
        return preprocessing
    check_side(preprocessing, input_size, "input_size")
    return dataclasses.replace(preprocessing, size=input_size)


def as_stated(
    preprocessing: Preprocessing, stated: statements.Statement, input_size: int | None, path: str
) -> Preprocessing:
    """Returns an architecture's preprocessing with the statements about a weight file, at an input side.

    Args:
      preprocessing: preprocessing of the architecture.
      stated: statements about the file. Where they differ from the architecture's preprocessing they are used, and the
        log says so.
      input_size: side in pixels, None for the architecture's.
      path: path of the file, for the log.

    Returns:
      The preprocessing.

    Raises:
      InputError: when the network does not take the side.
    """
    said = {"interpolation": stated.interpolation, "crop_fraction": stated.crop_fraction}
    if stated.pixels:
        said |= {"mean": stated.pixels[0], "std": stated.pixels[1]}
    used = dataclasses.replace(preprocessing, **{name: value for name, value in said.items() if value is not None})
    for name in said:
        if getattr(used, name) != getattr(preprocessing, name):
            _LOG.info("%s: %s is %s for this file", path, name, getattr(used, name))
    return with_size(used, input_size)


def to_input(preprocessing: Preprocessing, image: jax.Array, *, side: int | None = None) -> jax.Array:
    """Resizes an image to the network's input; no crop, the study cuts photos once when it loads them.

    Args:
      preprocessing: the network's, static.
      image: float32 [H, W, 3] in [0, 1].
      side: side of the input in pixels, static; None: the network's own.

    Returns:
      float32 [side, side, 3] in [0, 1].

    Examples:
      >>> preprocessing = backbones.Preprocessing(16, 1.0, (0.5,) * 3, (0.25,) * 3, smallest=8)
      >>> backbones.to_input(preprocessing, np.zeros((32, 32, 3), np.float32)).shape
      (16, 16, 3)
    """
    side = preprocessing.size if side is None else side
    return images.resize(image, side, side, preprocessing.interpolation)


def normalise(preprocessing: Preprocessing, image: jax.Array) -> jax.Array:
    """Returns (image - mean) / std.

    Args:
      preprocessing: the network's, static.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      [H, W, 3] in the type of `numerics.of_activations`.

    Examples:
      >>> preprocessing = backbones.Preprocessing(1, 1.0, (0.5,) * 3, (0.25,) * 3, smallest=1)
      >>> backbones.normalise(preprocessing, np.ones((1, 1, 3), np.float32)).tolist()
      [[[2.0, 2.0, 2.0]]]
    """
    mean = jnp.asarray(preprocessing.mean, jnp.float32).reshape(1, 1, 3)
    std = jnp.asarray(preprocessing.std, jnp.float32).reshape(1, 1, 3)
    return ((image - mean) / std).astype(numerics.of_activations())


@dataclasses.dataclass(frozen=True)
class TextTower:
    """The text side of a network with a joint embedding.

    Attributes:
      apply: `apply(params, tokens int32 [context]) -> embedding float32 [d]`, not normalised, in the space of the stage
        "embedding"; params are the network's.
      context: tokens of a prompt, padding included.
      vocabulary: number of tokens.
      tokenizer: kind of tokenizer it was trained with, "clip" or "siglip".
      temperature: params -> (scale, bias): an image and a text agree as scale * cosine + bias.
    """

    apply: Callable[[Any, jax.Array], jax.Array]
    context: int
    vocabulary: int
    tokenizer: str
    temperature: Callable[[Any], tuple[jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network ready to use.

    Attributes:
      name: its architecture, a row of the room's table.
      apply: `apply(params, image)` for one image float32 [H, W, 3] in [0, 1] already at the input size ->
        (logits float32 [num_classes], {stage: features}). Normalisation is inside. Pure; map it with jax.vmap.
      params: nested dictionaries of arrays.
      preprocessing: what `to_input` needs.
      num_classes: number of logits.
      stages: names of the feature stages from input to output, none of a network that gives only logits: maps
        [h, w, c], "penultimate" [d], the pooled features
        that the classifier reads, and with a text tower "embedding" [e]. (jax.jit returns the dictionary sorted by
        name; this is the order.)
      weights_sha256: hash of the weight file, which names the network exactly.
      classifier: takes params to the classifier's (kernel [d, num_classes], bias [num_classes]).
      text: the text tower of a network with a joint embedding, else None.
      precision: one of `numerics.PRECISIONS`; OWN_PRECISION for a network outside JAX.
      task: what a network predicts in place of logits, `task_networks.Task`; its `apply` gives (predictions, {}).
    """

    name: str
    apply: Callable[[Any, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]
    params: Params
    preprocessing: Preprocessing
    num_classes: int
    stages: tuple[str, ...]
    weights_sha256: str
    classifier: Callable[[Any], tuple[jax.Array, jax.Array]] | None
    text: TextTower | None = None
    precision: str = numerics.HIGHEST
    task: Any = None

    @property
    def smallest_inner(self) -> int:
        """Smallest side in pixels at which `stages_of` gives inner stages.

        Below `preprocessing.smallest`, where the last features mean little, inner stages still tell a blurred image
        from a sharp one. A function of the user's is never asked below the side it promises to take.
        """
        if self.preprocessing.fixed_size:
            return self.preprocessing.size
        return self.apply.smallest_inner if isinstance(self.apply, Applier) else self.preprocessing.smallest

    def stages_of(self, params: Params, image: jax.Array) -> dict[str, jax.Array]:
        """Returns the stages that `apply` gives, also of images below `preprocessing.smallest`.

        Args:
          params: parameters, see `apply`.
          image: float32 [H, W, 3] in [0, 1], sides of at least `smallest_inner`.

        Returns:
          {stage: features}.

        Raises:
          InputError: when a side is too small.
        """
        if not isinstance(self.apply, Applier) or self.preprocessing.fixed_size:
            return self.apply(params, image)[1]
        if min(image.shape[:2]) < self.smallest_inner:
            raise _checks.InputError(
                f"image: inner stages of this network need a side of {self.smallest_inner} pixels, got {image.shape}"
            )
        return self.apply.unchecked(params, image)[1]

    def head(self) -> tuple[jax.Array, jax.Array] | None:
        """Returns the linear classifier on the penultimate features, (kernel [d, num_classes], bias), or None."""
        return None if self.classifier is None else self.classifier(self.params)

    def passport(self) -> dict[str, Any]:
        """Returns what identifies the network, for the records of a study; JSON types only."""
        return {
            "architecture": self.name,
            "weights_sha256": self.weights_sha256,
            "parameters": int(sum(leaf.size for leaf in jax.tree.leaves(self.params))),
            "num_classes": self.num_classes,
            "precision": self.precision,
            "stages": list(self.stages),
            **({} if self.task is None else {"task": dataclasses.asdict(self.task)}),
            "preprocessing": {
                k: list(v) if isinstance(v, tuple) else v
                for k, v in dataclasses.asdict(self.preprocessing).items()
                if v is not None
            },
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Applier:
    """A Flax module on batches as the `apply` of a Network: a pure function of (params, one image).

    Attributes:
      module: takes images [B, H, W, 3] in [0, 1], gives (logits [B, num_classes], {stage: [B, ...]}).
      preprocessing: the network's; smaller images are refused.
      smallest_inner: smallest side in pixels at which the module runs at all.
      part: part of the parameters that are the module's; None: all.
      precision: precision of its layers, one of `numerics.PRECISIONS`.
    """

    module: nn.Module
    preprocessing: Preprocessing
    smallest_inner: int
    part: str | None = None
    precision: str = numerics.HIGHEST

    def __call__(self, params: Params, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Runs the network on one image."""
        _checks.check_image(image)
        for side in image.shape[:2]:
            check_side(self.preprocessing, side, "image")
        return self.unchecked(params, image)

    def unchecked(self, params: Params, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Runs the network on one image of any side it has pixels left for."""
        own = params if self.part is None else params[self.part]
        with numerics.using(self.precision):
            logits, features = self.module.apply({"params": own}, image[None])
        return numerics.widened((logits[0], {stage: value[0] for stage, value in features.items()}))


def check_features(network: Network, name: str) -> None:
    """Raises InputError unless a network gives features, as a backbone must.

    Examples:
      >>> network = backbones.open_network("scene_features")
      >>> backbones.check_features(network, "backbone")  # raises nothing: it gives features
    """
    if PENULTIMATE not in network.stages:
        raise _checks.InputError(
            f"backbone {name}: it gives logits alone, so it can only be judged (--network); name its feature layer"
        )


def applier(
    module: nn.Module, preprocessing: Preprocessing, *, smallest_inner: int = 1, part: str | None = None
) -> Applier:
    """Wraps a Flax module on batches as the `apply` of a Network.

    Args:
      module: takes images [B, H, W, 3] in [0, 1], gives (logits [B, num_classes], {stage: [B, ...]}).
      preprocessing: the network's.
      smallest_inner: smallest side in pixels at which the module runs at all. Padded convolutions run on any; without
        padding, nothing is left of a small image.
      part: part of the parameters that are the module's; None: all.

    Returns:
      A pure function of (params, one image).
    """
    return Applier(module, preprocessing, smallest_inner, part)


def classifier_network(
    name: str,
    module: nn.Module,
    params: Params,
    preprocessing: Preprocessing,
    num_classes: int,
    stages: tuple[str, ...],
    weights_sha256: str,
    *,
    smallest_inner: int = 1,
) -> Network:
    """Makes a network of a Flax module whose last layer is a linear classifier called "head".

    Args:
      name: its architecture.
      module: what `applier` takes.
      params: the module's.
      preprocessing: the network's.
      num_classes: number of logits.
      stages: names of the features, from the first to the last.
      weights_sha256: digest of the file.
      smallest_inner: smallest side in pixels at which the module runs.

    Returns:
      The network.
    """
    return Network(
        name=name,
        apply=applier(module, preprocessing, smallest_inner=smallest_inner),
        params=params,
        preprocessing=preprocessing,
        num_classes=num_classes,
        stages=stages,
        weights_sha256=weights_sha256,
        classifier=lambda params: classifier_of(params, "head"),
    )


def classifier_of(tree: Mapping[str, Any], *path: str) -> tuple[jax.Array, jax.Array]:
    """Returns (kernel, bias) of the layer at `path`."""
    for step in path:
        tree = tree[step]
    return tree["kernel"], tree["bias"]
