"""Inverted residual blocks and the network of them, batch norm folded in."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax

from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.zoo.efficientnet_variants import Row, Variant


class BlockShapes(NamedTuple):
    """Convolutions of a block; `expand` is None where nothing is expanded."""

    expand: convolutions.Shape | None
    depthwise: convolutions.Shape
    project: convolutions.Shape


def block_shapes(row: Row, before: int, same: bool = False) -> BlockShapes:
    """Sizes of a block with `before` input channels; `same`: whether it pads as TensorFlow does."""
    expand = convolutions.Shape(before, row.expanded, 1) if row.expanded != before else None
    depthwise = convolutions.Shape(row.expanded, row.expanded, row.size, row.stride, row.expanded, same=same)
    return BlockShapes(expand, depthwise, convolutions.Shape(row.expanded, row.after, 1))


class SqueezeExcite(nn.Module):
    """Scales channels by a gate computed from their means."""

    channels: int
    squeezed: int
    activation: str
    gate: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2), keepdims=True)
        down, up = (
            convolutions.Shape(self.channels, self.squeezed, 1),
            convolutions.Shape(self.squeezed, self.channels, 1),
        )
        gate = convolutions.Conv(up, name="up")(convolutions.Conv(down, self.activation, name="down")(means))
        return x * (convolutions.hard_sigmoid(gate) if self.gate == "hard_sigmoid" else jax.nn.sigmoid(gate))


class Block(nn.Module):
    """Expand, filter every channel, gate, project; added to the input where shapes match."""

    variant: Variant
    row: Row
    before: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        row, shapes, y = self.row, block_shapes(self.row, self.before, self.variant.same), x
        if shapes.expand is not None:
            y = convolutions.Conv(shapes.expand, row.activation, name="expand")(y)
        y = convolutions.Conv(shapes.depthwise, row.activation, name="depthwise")(y)
        if row.squeezed:
            variant = self.variant
            squeeze = (row.expanded, row.squeezed, variant.squeeze_activation, variant.gate)
            y = SqueezeExcite(*squeeze, name="squeeze")(y)
        y = convolutions.Conv(shapes.project, name="project")(y)
        return x + y if row.stride == 1 and self.before == row.after else y


class EfficientNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        variant = self.variant
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = convolutions.Conv(
            convolutions.Shape(3, variant.stem, 3, 2, same=variant.same), variant.activation, name="stem"
        )(x)
        features, before = {"stem": x}, variant.stem
        for stage, rows in enumerate(variant.stages, start=1):
            for block, row in enumerate(rows):
                x = Block(variant, row, before, name=f"stage{stage}_block{block}")(x)
                before = row.after
            features[f"stage{stage}"] = x
        x = convolutions.Conv(convolutions.Shape(before, variant.last, 1), variant.activation, name="last")(x).mean(
            axis=(1, 2)
        )
        if variant.hidden:
            x = convolutions.ACTIVATIONS[variant.activation](
                nn.Dense(variant.hidden, precision=numerics.of_products(), name="hidden")(x)
            )
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_classes, precision=numerics.of_products(), name="head")(x), features
