"""Convolutional networks, small where the family scales, for the tests and the script of their golden values."""

import numpy as np

from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.weights import checkpoints, formats
from causal_iqa.backbones.zoo import clip_resnet, convnext, efficientnet, resnet, wide_resnet
from tests.backbones import synthetic

CLASSES = 7
_TEXT = transformer.Text(transformer.Encoder(32, 2, 2, 128, "quick_gelu", 1e-5), 100, 12, 24)
_RESNETS = {
    "resnet_basic": resnet.Variant((1, 2, 1, 1), False),
    "resnext": resnet.Variant((1, 1, 2, 1), True, groups=4, width=64),
}
_CONVNEXT = convnext.Variant((1, 2, 1, 1), (16, 32, 48, 64), 0.9)
_WIDE = wide_resnet.Variant(2, 2, wide_resnet.VARIANTS["wide_resnet28_10"].pixels)
_CLIP = clip_resnet.Variant((1, 2, 1, 1), 16, 4, 64, _TEXT)
# Case -> side of the image; odd and larger than the strides divide where the network takes it.
CASES = {
    "resnet_basic": (65, 75),
    "resnext": (65, 75),
    "wide_resnet": (32, 36),
    "efficientnet_torchvision": (65, 75),
    "efficientnet_timm": (65, 75),
    "mobilenet_v2_torchvision": (65, 75),
    "mobilenet_v2_timm": (65, 75),
    "mobilenet_v3_small": (65, 75),
    "mobilenet_v3_large": (65, 75),
    "mobilenet_v3_small_timm": (65, 75),
    "mobilenet_v3_large_timm": (65, 75),
    "tf_efficientnet_timm": (65, 74),
    "tf_lite_timm": (65, 74),
    "lite_timm": (65, 75),
    "tf_mobilenet_v3_small_timm": (65, 74),
    "tf_mobilenet_v3_large_timm": (65, 74),
    "convnext_torchvision": (65, 75),
    "convnext_timm": (65, 75),
    "clip_resnet": (64, 64),
}
# What tells the format of a file, and its number of classes.
_TELLING = {
    "efficientnet_torchvision": {"classifier.1.bias": (CLASSES,)},
    "efficientnet_timm": {"conv_stem.weight": (32, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "mobilenet_v2_torchvision": {"classifier.1.bias": (CLASSES,)},
    "mobilenet_v2_timm": {"conv_stem.weight": (32, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "mobilenet_v3_small": {"classifier.3.bias": (CLASSES,)},
    "mobilenet_v3_large": {"classifier.3.bias": (CLASSES,)},
    "mobilenet_v3_small_timm": {"conv_stem.weight": (16, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "mobilenet_v3_large_timm": {"conv_stem.weight": (16, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "tf_efficientnet_timm": {"conv_stem.weight": (32, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "tf_lite_timm": {"conv_stem.weight": (32, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "lite_timm": {"conv_stem.weight": (32, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "tf_mobilenet_v3_small_timm": {"conv_stem.weight": (16, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "tf_mobilenet_v3_large_timm": {"conv_stem.weight": (16, 3, 3, 3), "classifier.bias": (CLASSES,)},
    "convnext_torchvision": {"classifier.2.bias": (CLASSES,)},
    "convnext_timm": {"stages.0.blocks.0.gamma": (16,), "head.fc.bias": (CLASSES,)},
}


_ARCHITECTURES = {
    "efficientnet_torchvision": "efficientnet_b0",
    "efficientnet_timm": "efficientnet_b0",
    "tf_efficientnet_timm": "tf_efficientnet_b0",
    "tf_lite_timm": "efficientnet_lite1",
    "lite_timm": "timm_efficientnet_lite0",
    "mobilenet_v2_torchvision": "mobilenet_v2_torch",
    "mobilenet_v2_timm": "mobilenet_v2_torch",
}


def _architecture(case: str) -> str:
    return _ARCHITECTURES.get(case, case.removesuffix("_timm"))


def layout(case: str) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a file of this case."""
    told = {name: np.zeros(shape, np.float32) for name, shape in _TELLING.get(case, {}).items()}
    if case in _RESNETS:
        return formats.layout(resnet.entries_of(_RESNETS[case], CLASSES))
    if case == "wide_resnet":
        return formats.layout(wide_resnet.entries_of(_WIDE, CLASSES))
    if case.startswith("convnext"):
        return formats.layout(convnext.entries_of(_CONVNEXT, told))
    if case == "clip_resnet":
        return formats.layout(clip_resnet.entries_of(_CLIP))
    return efficientnet.layout(_architecture(case), told)


# Where those of seed 11 make a network that turns a rounding error of its input into 1e-4 of its logits.
_SEEDS = {"mobilenet_v3_large": 12}


def weights(case: str) -> dict[str, np.ndarray]:
    """Draws the tensors of a file of this case."""
    return synthetic.tensors(layout(case), seed=_SEEDS.get(case, 11))


def network(case: str, path: str) -> networks.Network:
    """Reads a file of this case."""
    checkpoint = checkpoints.read(path)
    checkpoints.check_layout(checkpoint, layout(case), case)
    if case in _RESNETS:
        return resnet.network_of(case, _RESNETS[case], checkpoint)
    if case == "wide_resnet":
        return wide_resnet.network_of(case, _WIDE, checkpoint)
    if case.startswith("convnext"):
        return convnext.network_of(case, _CONVNEXT, checkpoint)
    if case == "clip_resnet":
        return clip_resnet.network_of(case, _CLIP, checkpoint)
    return efficientnet.build(_architecture(case), checkpoint, None)


def pixels(case: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation the peer's image is normalised by."""
    if case in _ARCHITECTURES or "mobilenet_v3" in case:
        return efficientnet.VARIANTS[_architecture(case)].pixels
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return {"wide_resnet": _WIDE.pixels, "clip_resnet": clip_resnet.clip.CLIP_PIXELS}.get(case, imagenet)


def image(case: str) -> np.ndarray:
    """float32 [H, W, 3] in [0, 1]."""
    height, width = CASES[case]
    return synthetic.images(1, max(height, width))[0][:height, :width]
