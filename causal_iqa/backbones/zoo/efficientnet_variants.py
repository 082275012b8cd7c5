"""The published networks of inverted residuals, as data: EfficientNet-B0 and -Lite, MobileNet V2 and V3.

References:
  [1] Tan, Le. EfficientNet: rethinking model scaling for convolutional neural networks. ICML 2019, table 1.
  [2] Howard et al. Searching for MobileNetV3. ICCV 2019, tables 1 and 2.
  [3] Sandler et al. MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018, table 2; mobilenet.py has the
      one with batch norm folded in its file.
  [4] Liu, R. Higher accuracy on vision models with EfficientNet-Lite. TensorFlow blog 2020; the scales are those of the
      authors' repository, tensorflow/tpu.
"""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from causal_iqa.backbones.layers import convolutions


class Row(NamedTuple):
    """One block: kernel size, expanded and output channels, squeezed channels (0: none), activation and stride."""

    size: int
    expanded: int
    after: int
    squeezed: int
    activation: str
    stride: int


# Formats of weight files, by whose code wrote them.
TORCHVISION, TIMM, EFFICIENTNET_PYTORCH = "torchvision", "timm", "EfficientNet-PyTorch"
_HALF_PIXELS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Pixels of 0 to 255 less 127, over 128, as the authors of [4] do.
_LITE_PIXELS = ((127 / 255,) * 3, (128 / 255,) * 3)
_PYTORCH_EPSILON, _TENSORFLOW_EPSILON = 1e-5, 1e-3


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published network.

    Attributes:
      stem: channels of the first convolution.
      stages: blocks, grouped by stage.
      last: channels of the last convolution.
      hidden: units of a hidden layer of the classifier, None without.
      activation: activation of stem, last convolution and hidden layer.
      gate: gate of squeeze and excitation, "sigmoid" or "hard_sigmoid", after `squeeze_activation`; "none": not used.
      squeeze_activation: between its two layers.
      formats: those its files come in.
      epsilon: epsilon of batch norm, by format; PyTorch's default where none is given.
      interpolation: interpolation of the resize, by format; bicubic where none is given.
      same: whether convolutions pad as TensorFlow's SAME does, which is lopsided where the stride is 2.
      pixels: mean and standard deviation.
      size: side of the input in pixels.
      crop_fraction: crop fraction of the central square.
      feature_side: side in pixels to which smaller images are enlarged where its features are read; None: the smallest.
    """

    stem: int
    stages: tuple[tuple[Row, ...], ...]
    last: int
    hidden: int | None
    activation: str
    gate: str
    squeeze_activation: str
    formats: tuple[str, ...]
    epsilon: tuple[tuple[str, float], ...] = ()
    interpolation: tuple[tuple[str, str], ...] = ()
    same: bool = False
    pixels: tuple[tuple[float, float, float], tuple[float, float, float]] = convolutions.IMAGENET_PIXELS
    size: int = 224
    crop_fraction: float = 0.875
    feature_side: int | None = None

    def epsilon_in(self, format_name: str) -> float:
        """Epsilon of batch norm of files in this format."""
        return dict(self.epsilon).get(format_name, _PYTORCH_EPSILON)

    def interpolation_in(self, format_name: str) -> str:
        """Filter of the resize that networks in this format were trained with."""
        return dict(self.interpolation).get(format_name, "bicubic")


def _stages(
    rows: Sequence[tuple[int, int, int, int, int]], before: int, squeezes: bool, activation: str
) -> tuple[tuple[Row, ...], ...]:
    """Stages of rows (expansion, kernel, stride of the first block, output channels, blocks)."""
    stages = []
    for expansion, size, stride, after, count in rows:
        stage = []
        for block in range(count):
            squeezed = before // 4 if squeezes else 0
            stage.append(Row(size, expansion * before, after, squeezed, activation, 1 if block else stride))
            before = after
        stages.append(tuple(stage))
    return tuple(stages)


_EFFICIENTNET_B0 = (  # [1], table 1
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
_MOBILENET_V2 = (  # [3], table 2
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4), (6, 3, 1, 96, 3), (6, 3, 2, 160, 3),
    (6, 3, 1, 320, 1),
)  # fmt: skip


def _efficientnet_b0(**kind) -> Variant:
    stages = _stages(_EFFICIENTNET_B0, 32, True, "silu")
    return Variant(32, stages, 1280, None, "silu", "sigmoid", "silu", **kind)


def _lite(width: float, depth: float, size: int, **kind) -> Variant:
    """EfficientNet-Lite [4]: no squeeze and excitation, ReLU6, ends that are not scaled."""
    last = len(_EFFICIENTNET_B0) - 1
    rows = [
        (expansion, kernel, stride, _divisible(width * after), count if i in (0, last) else math.ceil(depth * count))
        for i, (expansion, kernel, stride, after, count) in enumerate(_EFFICIENTNET_B0)
    ]
    stages = _stages(rows, 32, False, "relu6")
    # Chosen for the witnesses that read images of 32 pixels through these networks (docs/record/choices.md).
    return Variant(32, stages, 1280, None, "relu6", "none", "none", size=size, feature_side=96, **kind)


def _google_lite(width: float, depth: float, size: int) -> Variant:
    return _lite(
        width,
        depth,
        size,
        formats=(EFFICIENTNET_PYTORCH, TIMM),
        epsilon=_TENSORFLOW,
        same=True,
        pixels=_LITE_PIXELS,
        crop_fraction=size / (size + 32),
    )


def _mobilenet_v3(rows: tuple[tuple[int, int, int, bool, str, int], ...], last: int, hidden: int, **kind) -> Variant:
    stages: list[list[Row]] = [[]]
    for size, expanded, after, squeeze, letter, stride in rows:
        if stride == 2 and stages[-1]:
            stages.append([])
        squeezed = _divisible(expanded // 4) if squeeze else 0
        activation = "hard_swish" if letter == "h" else "relu"
        stages[-1].append(Row(size, expanded, after, squeezed, activation, stride))
    return Variant(16, tuple(map(tuple, stages)), last, hidden, "hard_swish", "hard_sigmoid", "relu", **kind)


def _divisible(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8 and not below nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


_MOBILENET_V3_LARGE = (  # [2], table 1
    (3, 16, 16, False, "r", 1), (3, 64, 24, False, "r", 2), (3, 72, 24, False, "r", 1),
    (5, 72, 40, True, "r", 2), (5, 120, 40, True, "r", 1), (5, 120, 40, True, "r", 1),
    (3, 240, 80, False, "h", 2), (3, 200, 80, False, "h", 1), (3, 184, 80, False, "h", 1),
    (3, 184, 80, False, "h", 1), (3, 480, 112, True, "h", 1), (3, 672, 112, True, "h", 1),
    (5, 672, 160, True, "h", 2), (5, 960, 160, True, "h", 1), (5, 960, 160, True, "h", 1),
)  # fmt: skip
_MOBILENET_V3_SMALL = (  # [2], table 2
    (3, 16, 16, True, "r", 2), (3, 72, 24, False, "r", 2), (3, 88, 24, False, "r", 1),
    (5, 96, 40, True, "h", 2), (5, 240, 40, True, "h", 1), (5, 240, 40, True, "h", 1),
    (5, 120, 48, True, "h", 1), (5, 144, 48, True, "h", 1), (5, 288, 96, True, "h", 2),
    (5, 576, 96, True, "h", 1), (5, 576, 96, True, "h", 1),
)  # fmt: skip
_TENSORFLOW = ((TIMM, _TENSORFLOW_EPSILON), (EFFICIENTNET_PYTORCH, _TENSORFLOW_EPSILON))
# torchvision's MobileNets are trained with TensorFlow's epsilon and PyTorch's padding, and a bilinear resize.
_TORCHVISION_BILINEAR = ((TORCHVISION, "bilinear"),)
_V3_HERE = {
    "formats": (TORCHVISION, TIMM),
    "epsilon": ((TORCHVISION, _TENSORFLOW_EPSILON),),
    "interpolation": _TORCHVISION_BILINEAR,
}
_V3_TENSORFLOW = {
    "formats": (TIMM,),
    "epsilon": _TENSORFLOW,
    "interpolation": ((TIMM, "bilinear"),),
    "same": True,
    "pixels": _HALF_PIXELS,
}
_LITE0 = (1.0, 1.0, 224)

# Where two networks have the same tensors, `twins` tells which is meant.
VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        "efficientnet_b0": _efficientnet_b0(formats=(TORCHVISION, TIMM)),
        "timm_efficientnet_b0": _efficientnet_b0(formats=(TIMM,)),
        "tf_efficientnet_b0": _efficientnet_b0(formats=(TIMM, EFFICIENTNET_PYTORCH), epsilon=_TENSORFLOW, same=True),
        "efficientnet_lite0": _google_lite(*_LITE0),
        "tf_efficientnet_lite0": _google_lite(*_LITE0),
        "timm_efficientnet_lite0": _lite(*_LITE0, formats=(TIMM,)),
        "efficientnet_lite1": _google_lite(1.0, 1.1, 240),
        "efficientnet_lite2": _google_lite(1.1, 1.2, 260),
        "efficientnet_lite3": _google_lite(1.2, 1.4, 280),
        "efficientnet_lite4": _google_lite(1.4, 1.8, 300),
        "mobilenet_v2_torch": Variant(
            32,
            _stages(_MOBILENET_V2, 32, False, "relu6"),
            1280,
            None,
            "relu6",
            "none",
            "none",
            formats=(TORCHVISION, TIMM),
            interpolation=_TORCHVISION_BILINEAR,
        ),
        "mobilenet_v3_large": _mobilenet_v3(_MOBILENET_V3_LARGE, 960, 1280, **_V3_HERE),
        "timm_mobilenet_v3_large": _mobilenet_v3(_MOBILENET_V3_LARGE, 960, 1280, formats=(TIMM,)),
        "tf_mobilenet_v3_large": _mobilenet_v3(_MOBILENET_V3_LARGE, 960, 1280, **_V3_TENSORFLOW),
        "mobilenet_v3_small": _mobilenet_v3(_MOBILENET_V3_SMALL, 576, 1024, **_V3_HERE),
        "timm_mobilenet_v3_small": _mobilenet_v3(_MOBILENET_V3_SMALL, 576, 1024, formats=(TIMM,)),
        "tf_mobilenet_v3_small": _mobilenet_v3(_MOBILENET_V3_SMALL, 576, 1024, **_V3_TENSORFLOW),
    }
)
