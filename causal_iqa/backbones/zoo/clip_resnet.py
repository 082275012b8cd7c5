"""CLIP with a residual vision tower (RN50): three-convolution stem, pooled strides, attention pooling.

References:
  [1] Radford et al. Learning transferable visual models from natural language supervision. ICML 2021, section 2.4.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import convolutions, transformer
from causal_iqa.backbones.weights import checkpoints, formats
from causal_iqa.backbones.zoo import clip

REFERENCE = "Radford et al. ICML 2021"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published pair of towers.

    Attributes:
      blocks: blocks of the vision tower, per stage.
      width: width of its first stage's inner convolutions.
      heads: heads of the attention pooling.
      side: side of the input in pixels.
      text: the text tower, whose projection is the joint embedding's size.
    """

    blocks: tuple[int, int, int, int]
    width: int
    heads: int
    side: int
    text: transformer.Text


def _text(width: int, joint: int) -> transformer.Text:
    encoder = transformer.Encoder(width, 12, width // 64, 4 * width, "quick_gelu", 1e-5)
    return transformer.Text(encoder, 49408, 77, joint)


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {"clip_rn50": Variant((3, 4, 6, 3), 64, 32, 224, _text(512, 1024))}
)
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", networks.PENULTIMATE, transformer.EMBEDDING)


def _stem(variant: Variant) -> list[convolutions.Shape]:
    half = variant.width // 2
    return [convolutions.Shape(3, half, 3, 2), convolutions.Shape(half, half), convolutions.Shape(half, variant.width)]


def _blocks(variant: Variant) -> list[tuple[str, str, int, int, int]]:
    """(own name, name in the file, input channels, inner channels, stride) of every block."""
    sizes, before = [], variant.width
    for stage, count in enumerate(variant.blocks, start=1):
        inner = variant.width * 2 ** (stage - 1)
        for block in range(count):
            stride = 2 if stage > 1 and not block else 1
            sizes.append((f"stage{stage}_block{block}", f"visual.layer{stage}.{block}", before, inner, stride))
            before = 4 * inner
    return sizes


def _branch(before: int, inner: int) -> tuple[tuple[str, convolutions.Shape], ...]:
    shapes = (
        convolutions.Shape(before, inner, 1),
        convolutions.Shape(inner, inner),
        convolutions.Shape(inner, 4 * inner, 1),
    )
    return tuple((f"conv{i}", shape) for i, shape in enumerate(shapes, start=1))


class Block(nn.Module):
    """A bottleneck whose stride is an average pooling."""

    before: int
    inner: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for name, shape in _branch(self.before, self.inner):
            if name == "conv3":
                y = convolutions.average_pool(y, self.stride)
            y = convolutions.Conv(shape, "none" if name == "conv3" else "relu", name=name)(y)
        if self.stride > 1 or self.before != 4 * self.inner:
            shortcut = convolutions.Shape(self.before, 4 * self.inner, 1)
            x = convolutions.Conv(shortcut, name="shortcut")(convolutions.average_pool(x, self.stride))
        return settle(nn.relu(x + y))  # See cifar_resnet.


class VisionTower(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (no logits [B, 0], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        variant = self.variant
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        for i, shape in enumerate(_stem(variant), start=1):
            x = convolutions.Conv(shape, "relu", name=f"stem{i}")(x)
        x = convolutions.average_pool(x, 2)
        features = {"stem": x}
        for here, _, before, inner, stride in _blocks(variant):
            x = Block(before, inner, stride, name=here)(x)
            features[here.split("_")[0]] = x
        b, h, w, channels = x.shape
        tokens = x.reshape(b, h * w, channels)
        mean = tokens.mean(axis=1, keepdims=True)
        position = self.param("position", nn.initializers.normal(0.02), (h * w + 1, channels))
        tokens = jnp.concatenate([mean, tokens], axis=1) + position[None]
        query = transformer.dense(channels, "query")(tokens[:, :1])
        key, value = transformer.dense(channels, "key")(tokens), transformer.dense(channels, "value")(tokens)
        pooled = transformer.attend(query, key, value, variant.heads, None)[:, 0]
        features[networks.PENULTIMATE] = pooled
        features[transformer.EMBEDDING] = transformer.dense(variant.text.projection, "projection")(pooled)
        return jnp.zeros((b, 0), x.dtype), features


def entries_of(variant: Variant) -> list[formats.Entry]:
    """Returns the entries of both towers in OpenAI's names."""
    entries = []
    for i, shape in enumerate(_stem(variant), start=1):
        entries += convolutions.folded(f"vision.stem{i}", f"visual.conv{i}", f"visual.bn{i}", shape)
    for here, there, before, inner, stride in _blocks(variant):
        for name, shape in _branch(before, inner):
            norm = f"{there}.{name.replace('conv', 'bn')}"
            entries += convolutions.folded(f"vision.{here}.{name}", f"{there}.{name}", norm, shape)
        if stride > 1 or before != 4 * inner:
            names = (f"{there}.downsample.0", f"{there}.downsample.1")
            entries += convolutions.folded(f"vision.{here}.shortcut", *names, convolutions.Shape(before, 4 * inner, 1))
    channels, grid, pool = 32 * variant.width, variant.side // 32, "visual.attnpool"
    entries.append(formats.same("vision.position", f"{pool}.positional_embedding", grid**2 + 1, channels))
    for here, there in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
        entries += formats.dense(f"vision.{here}", f"{pool}.{there}", channels, channels)
    entries += formats.dense("vision.projection", f"{pool}.c_proj", channels, variant.text.projection)
    return entries + clip.text_entries(variant.text)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's; only of a TorchScript archive they matter, which holds three more.

    Returns:
      Name -> shape.
    """
    return formats.layout([*entries_of(VARIANTS[name]), *clip.scripted_sizes(tensors)])


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: None or the published side: the pooling has learned positions.

    Returns:
      The network, like those of `clip.build`.

    Raises:
      InputError: for another side.
    """
    return network_of(name, VARIANTS[name], checkpoint, input_size)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    mean, std = clip.CLIP_PIXELS
    side = variant.side
    preprocessing = networks.Preprocessing(side, 1.0, mean, std, side, fixed_size=True, interpolation="bicubic")
    preprocessing = networks.with_size(preprocessing, input_size)
    return networks.Network(
        name=name,
        apply=networks.applier(VisionTower(variant, preprocessing), preprocessing, part="vision"),
        params=formats.convert(entries_of(variant), checkpoint.tensors),
        preprocessing=preprocessing,
        num_classes=0,
        stages=STAGES,
        weights_sha256=checkpoint.sha256,
        classifier=None,
        text=clip.text_tower(variant.text, "clip"),
    )
