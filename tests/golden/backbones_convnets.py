"""Writes backbones_convnets.npz with torchvision, timm and open_clip as peers.

From the repository root, in an environment with the bench extra:
    python -m tests.golden.backbones_convnets

Weights and images come from numpy seeds that the tests use again (tests/backbones/convnet_cases.py), so only outputs
are stored: logits, and every stage as its mean over space and its first pixels.
"""

import json
import pathlib

import numpy as np

from tests import peers
from tests.backbones import convnet_cases

torch = __import__("torch")
torchvision = peers.torch_peer("torchvision")
timm = peers.torch_peer("timm")
open_clip = peers.torch_peer("open_clip")
nn = torch.nn
CLASSES = convnet_cases.CLASSES


class _WideBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.convShortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x):
        y = torch.relu(self.bn1(x))
        x = self.convShortcut(y) if self.convShortcut is not None else x
        return x + self.conv2(torch.relu(self.bn2(self.conv1(y))))


class _WideStage(nn.Module):
    def __init__(self, before: int, after: int, blocks: int, stride: int):
        super().__init__()
        sizes = [(before, after, stride)] + [(after, after, 1)] * (blocks - 1)
        self.layer = nn.Sequential(*(_WideBlock(*size) for size in sizes))

    def forward(self, x):
        return self.layer(x)


class _WideResNet(nn.Module):
    def __init__(self, blocks: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = _WideStage(16, 16 * width, blocks, 1)
        self.block2 = _WideStage(16 * width, 32 * width, blocks, 2)
        self.block3 = _WideStage(32 * width, 64 * width, blocks, 2)
        self.bn1, self.fc = nn.BatchNorm2d(64 * width), nn.Linear(64 * width, CLASSES)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(torch.relu(self.bn1(x)).mean((2, 3)))


def _convnext_torchvision():
    setting = torchvision.models.convnext.CNBlockConfig
    blocks = [setting(16, 32, 1), setting(32, 48, 2), setting(48, 64, 1), setting(64, None, 1)]
    return torchvision.models.ConvNeXt(blocks, num_classes=CLASSES)


def _clip_resnet():
    return open_clip.model.CLIP(
        24,
        {"image_size": 64, "layers": [1, 2, 1, 1], "width": 16, "head_width": 128},
        {"context_length": 12, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2},
        quick_gelu=True,
    )


_RESNET = torchvision.models.resnet
# Case -> (model, its modules that are stages).
_MODELS = {
    "resnet_basic": lambda: _RESNET.ResNet(_RESNET.BasicBlock, [1, 2, 1, 1], num_classes=CLASSES),
    "resnext": lambda: _RESNET.ResNet(
        _RESNET.Bottleneck, [1, 1, 2, 1], num_classes=CLASSES, groups=4, width_per_group=16
    ),
    "wide_resnet": lambda: _WideResNet(2, 2),
    "efficientnet_torchvision": lambda: torchvision.models.efficientnet_b0(num_classes=CLASSES),
    "efficientnet_timm": lambda: timm.create_model("efficientnet_b0", num_classes=CLASSES),
    "mobilenet_v2_torchvision": lambda: torchvision.models.mobilenet_v2(num_classes=CLASSES),
    "mobilenet_v2_timm": lambda: timm.create_model("mobilenetv2_100", num_classes=CLASSES),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=CLASSES),
    "mobilenet_v3_large": lambda: torchvision.models.mobilenet_v3_large(num_classes=CLASSES),
    "mobilenet_v3_small_timm": lambda: timm.create_model("mobilenetv3_small_100", num_classes=CLASSES),
    "mobilenet_v3_large_timm": lambda: timm.create_model("mobilenetv3_large_100", num_classes=CLASSES),
    "tf_efficientnet_timm": lambda: timm.create_model("tf_efficientnet_b0", num_classes=CLASSES),
    "tf_lite_timm": lambda: timm.create_model("tf_efficientnet_lite1", num_classes=CLASSES),
    "lite_timm": lambda: timm.create_model("efficientnet_lite0", num_classes=CLASSES),
    "tf_mobilenet_v3_small_timm": lambda: timm.create_model("tf_mobilenetv3_small_100", num_classes=CLASSES),
    "tf_mobilenet_v3_large_timm": lambda: timm.create_model("tf_mobilenetv3_large_100", num_classes=CLASSES),
    "convnext_torchvision": _convnext_torchvision,
    "convnext_timm": lambda: timm.models.convnext.ConvNeXt(
        num_classes=CLASSES, depths=(1, 2, 1, 1), dims=(16, 32, 48, 64)
    ),
    "clip_resnet": _clip_resnet,
}
_RESNET_STAGES = {"stem": "maxpool", **{f"stage{i}": f"layer{i}" for i in range(1, 5)}}
_STAGES = {
    "resnet_basic": _RESNET_STAGES,
    "resnext": _RESNET_STAGES,
    "wide_resnet": {"stem": "conv1", "stage1": "block1", "stage2": "block2", "stage3": "block3"},
    "efficientnet_torchvision": {"stem": "features.0", **{f"stage{i}": f"features.{i}" for i in range(1, 8)}},
    "efficientnet_timm": {f"stage{i}": f"blocks.{i - 1}" for i in range(1, 8)},
    "mobilenet_v2_torchvision": {"stem": "features.0", "stage1": "features.1", "stage2": "features.3",
                                 "stage3": "features.6", "stage4": "features.10", "stage7": "features.17"},
    "mobilenet_v2_timm": {f"stage{i}": f"blocks.{i - 1}" for i in range(1, 8)},
    # The last blocks before each stride of 2.
    "mobilenet_v3_small": {"stem": "features.0", "stage1": "features.1", "stage2": "features.3",
                           "stage3": "features.8", "stage4": "features.11"},
    "mobilenet_v3_large": {"stem": "features.0", "stage1": "features.1", "stage2": "features.3",
                           "stage3": "features.6", "stage4": "features.12", "stage5": "features.15"},
    # timm begins a stage at a new width too.
    "mobilenet_v3_small_timm": {"stage1": "blocks.0", "stage2": "blocks.1", "stage3": "blocks.3", "stage4": "blocks.4"},
    "mobilenet_v3_large_timm": {"stage1": "blocks.0", "stage2": "blocks.1", "stage3": "blocks.2", "stage4": "blocks.4",
                                "stage5": "blocks.5"},
    "tf_efficientnet_timm": {f"stage{i}": f"blocks.{i - 1}" for i in range(1, 8)},
    "tf_lite_timm": {f"stage{i}": f"blocks.{i - 1}" for i in range(1, 8)},
    "lite_timm": {f"stage{i}": f"blocks.{i - 1}" for i in range(1, 8)},
    "tf_mobilenet_v3_small_timm": {"stage1": "blocks.0", "stage2": "blocks.1", "stage3": "blocks.3",
                                   "stage4": "blocks.4"},
    "tf_mobilenet_v3_large_timm": {"stage1": "blocks.0", "stage2": "blocks.1", "stage3": "blocks.2",
                                   "stage4": "blocks.4", "stage5": "blocks.5"},
    "convnext_torchvision": {"stem": "features.0", **{f"stage{i}": f"features.{2 * i - 1}" for i in range(1, 5)}},
    "convnext_timm": {"stem": "stem", **{f"stage{i}": f"stages.{i - 1}" for i in range(1, 5)}},
    "clip_resnet": {"stem": "visual.avgpool", **{f"stage{i}": f"visual.layer{i}" for i in range(1, 5)}},
}  # fmt: skip


def _run(case: str) -> dict[str, np.ndarray]:
    model = _MODELS[case]()
    tensors = {name: torch.tensor(value) for name, value in convnet_cases.weights(case).items()}
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"{case}: {missing}, {unexpected}")
    model.eval()
    found = {}
    modules = dict(model.named_modules())
    for stage, module in _STAGES[case].items():
        modules[module].register_forward_hook(lambda _, __, out, stage=stage: found.__setitem__(stage, out[0]))
    mean, std = (np.asarray(value, np.float32) for value in convnet_cases.pixels(case))
    pixels = torch.tensor(((convnet_cases.image(case) - mean) / std).transpose(2, 0, 1)[None])
    if case == "clip_resnet":
        found["embedding"] = model.encode_image(pixels)[0]
    else:
        found["logits"] = model(pixels)[0]
    return {name: convnet_summary(np.asarray(value)) for name, value in found.items()}


def convnet_summary(value: np.ndarray) -> np.ndarray:
    """Vectors as they are; maps [c, h, w] as their means and the two pixels of their diagonal's ends."""
    return value if value.ndim == 1 else np.stack([value.mean((1, 2)), value[:, 0, 0], value[:, -1, -1]])


def main() -> None:
    """Writes the file beside this script."""
    with torch.no_grad():
        found = {case: _run(case) for case in convnet_cases.CASES}
    flat = {f"{case}/{name}": value for case, values in found.items() for name, value in values.items()}
    versions = json.dumps({lib.__name__: lib.__version__ for lib in (torch, torchvision, timm, open_clip)})
    np.savez_compressed(pathlib.Path(__file__).with_name("backbones_convnets.npz"), versions=versions, **flat)


if __name__ == "__main__":
    main()
