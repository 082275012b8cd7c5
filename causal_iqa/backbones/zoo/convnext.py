"""ConvNeXt T, S and B.

References:
  [1] Liu et al. A ConvNet for the 2020s. CVPR 2022.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import numpy as np

from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import convolutions, transformer
from causal_iqa.backbones.weights import checkpoints, formats

REFERENCE = "Liu et al. CVPR 2022"

_EPSILON = 1e-6
# Of the last stage: without padding, nothing is left of smaller images.
_STRIDE = 32


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published network: blocks and channels per stage, and torchvision's crop, 224 of 236, 230 or 232 pixels."""

    blocks: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    crop_fraction: float


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        "convnext_tiny": Variant((3, 3, 9, 3), (96, 192, 384, 768), 224 / 236),
        "convnext_small": Variant((3, 3, 27, 3), (96, 192, 384, 768), 224 / 230),
        "convnext_base": Variant((3, 3, 27, 3), (128, 256, 512, 1024), 224 / 232),
    }
)
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", networks.PENULTIMATE)


def _depthwise(width: int) -> convolutions.Shape:
    return convolutions.Shape(width, width, 7, 1, width)


def _reduction(before: int, after: int, size: int) -> convolutions.Shape:
    """A convolution over patches that do not overlap."""
    return convolutions.Shape(before, after, size, size, padding=0)


class Block(nn.Module):
    """x + scale * perceptron(norm(depthwise(x)))."""

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        y = convolutions.Conv(_depthwise(self.width), name="depthwise")(x)
        y = transformer.layer_norm(_EPSILON, "norm")(y)
        y = transformer.ACTIVATIONS["gelu"](transformer.dense(4 * self.width, "fc1")(y))
        y = transformer.dense(self.width, "fc2")(y)
        return x + y * self.param("scale", nn.initializers.ones, (self.width,))[None, None, None], None


class ConvNeXt(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        variant = self.variant
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = convolutions.Conv(_reduction(3, variant.widths[0], 4), name="stem")(x)
        x = transformer.layer_norm(_EPSILON, "stem_norm")(x)
        features = {"stem": x}
        for stage, (count, width) in enumerate(zip(variant.blocks, variant.widths, strict=True), start=1):
            if stage > 1:
                x = transformer.layer_norm(_EPSILON, f"norm{stage}")(x)
                x = convolutions.Conv(_reduction(variant.widths[stage - 2], width, 2), name=f"reduce{stage}")(x)
            scanned = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=count)
            x, _ = scanned(width, name=f"stage{stage}")(x, None)
            features[f"stage{stage}"] = x
        x = transformer.layer_norm(_EPSILON, "norm")(x.mean(axis=(1, 2)))
        features[networks.PENULTIMATE] = x
        return transformer.dense(self.num_classes, "head")(x), features


def _block(there: str, width: int, timm: bool) -> list[formats.Entry]:
    names = ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma") if timm else (
        "block.0", "block.2", "block.3", "block.5", "layer_scale"
    )  # fmt: skip
    depthwise, norm, first, second, scale = (f"{there}.{name}" for name in names)
    shape = (width,) if timm else (width, 1, 1)
    return [
        *convolutions.plain("depthwise", depthwise, _depthwise(width)),
        *formats.norm("norm", norm, width),
        *formats.dense("fc1", first, width, 4 * width),
        *formats.dense("fc2", second, 4 * width, width),
        formats.reshaped("scale", scale, shape, (width,)),
    ]


def entries_of(variant: Variant, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    """Returns the entries of a network, in timm's or torchvision's names as the file has them."""
    timm = any(name.startswith("stages.") for name in tensors)
    widths = variant.widths
    stem = ("stem.0", "stem.1") if timm else ("features.0.0", "features.0.1")
    entries = [
        *convolutions.plain("stem", stem[0], _reduction(3, widths[0], 4)),
        *formats.norm("stem_norm", stem[1], widths[0]),
    ]
    for stage, (count, width) in enumerate(zip(variant.blocks, widths, strict=True), start=1):
        if stage > 1:
            there = f"stages.{stage - 1}.downsample" if timm else f"features.{2 * (stage - 1)}"
            before = widths[stage - 2]
            entries += formats.norm(f"norm{stage}", f"{there}.0", before)
            entries += convolutions.plain(f"reduce{stage}", f"{there}.1", _reduction(before, width, 2))
        root = f"stages.{stage - 1}.blocks" if timm else f"features.{2 * stage - 1}"
        entries += formats.stacked(f"stage{stage}", [_block(f"{root}.{i}", width, timm) for i in range(count)])
    norm, head = ("head.norm", "head.fc") if timm else ("classifier.0", "classifier.2")
    entries += formats.norm("norm", norm, widths[-1])
    return entries + formats.dense("head", head, widths[-1], convolutions.num_classes(tensors, f"{head}.bias"))


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The tensors a file of a variant holds, name -> shape; the number of classes is the file's own."""
    return formats.layout(entries_of(VARIANTS[name], tensors))


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 224."""
    return network_of(name, VARIANTS[name], checkpoint, input_size)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    preprocessing = networks.Preprocessing(224, variant.crop_fraction, *convolutions.IMAGENET_PIXELS, smallest=64)
    preprocessing = networks.as_stated(preprocessing, checkpoint.stated, input_size, checkpoint.path)
    params = formats.convert(entries_of(variant, checkpoint.tensors), checkpoint.tensors)
    num_classes = len(params["head"]["bias"])
    module = ConvNeXt(variant, preprocessing, num_classes)
    return networks.classifier_network(
        name, module, params, preprocessing, num_classes, STAGES, checkpoint.sha256, smallest_inner=_STRIDE
    )
