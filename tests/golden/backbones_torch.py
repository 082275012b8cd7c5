"""Writes the golden values of tests/backbones with PyTorch: `python tests/golden/backbones_torch.py SHARED`.

SHARED is the folder of real data and weights. Weights of the synthetic cases come from numpy seeds that the tests
use again (tests/backbones/synthetic.py), so only outputs are stored. The peer's version goes into the file.
"""

import collections
import hashlib
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from causal_iqa.backbones.zoo import cifar_resnet, mobilenet
from tests.backbones import synthetic

FOLDER = pathlib.Path(__file__).parent


class BasicBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.changes = stride != 1 or before != after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.changes:
            extra = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, blocks: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)

        def stage(before: int, after: int, stride: int) -> nn.Sequential:
            rest = (BasicBlock(after, after, 1) for _ in range(blocks - 1))
            return nn.Sequential(BasicBlock(before, after, stride), *rest)

        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        stages = {"stem": F.relu(self.bn1(self.conv1(x)))}
        stages["stage1"] = self.layer1(stages["stem"])
        stages["stage2"] = self.layer2(stages["stage1"])
        stages["stage3"] = self.layer3(stages["stage2"])
        stages["penultimate"] = F.avg_pool2d(stages["stage3"], stages["stage3"].shape[3]).flatten(1)
        return self.linear(stages["penultimate"]), stages


def normalised(images: np.ndarray) -> torch.Tensor:
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return torch.from_numpy(((images - mean) / std).astype(np.float32).transpose(0, 3, 1, 2))


def resnet_outputs(blocks: int, tensors: dict[str, np.ndarray], images: np.ndarray) -> tuple:
    model = ResNet(blocks)
    state = {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}
    counters = {k for k in model.state_dict() if k.endswith("num_batches_tracked")}
    missing, unknown = model.load_state_dict(state, strict=False)
    if set(missing) - counters or unknown:
        raise ValueError(f"the weights do not fit: missing {missing}, unknown {unknown}")
    with torch.no_grad():
        return model.eval()(normalised(images))


def same(x: torch.Tensor, stride: int) -> torch.Tensor:
    """TensorFlow's SAME padding for a 3x3 kernel."""
    pads = []
    for side in (x.shape[3], x.shape[2]):
        total = max((-(-side // stride) - 1) * stride + 3 - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def mobilenet_outputs(name: str, tensors: dict[str, np.ndarray], images: np.ndarray) -> tuple:
    """Written from the papers' tables, without the library's layer list."""
    weights = {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}

    def conv(x: torch.Tensor, layer: str, stride: int = 1, relu: bool = True) -> torch.Tensor:
        kernel, bias = weights[f"{layer}.kernel"], weights[f"{layer}.bias"]
        if layer.endswith("depthwise"):
            x = F.conv2d(same(x, stride), kernel.permute(3, 2, 0, 1), bias, stride, groups=x.shape[1])
        elif kernel.shape[0] == 3:
            x = F.conv2d(same(x, stride), kernel.permute(3, 2, 0, 1), bias, stride)
        else:
            x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias)
        return F.relu6(x) if relu else x

    x = torch.from_numpy((images * 2.0 - 1.0).astype(np.float32).transpose(0, 3, 1, 2))
    stages = {}
    x = stages["stem"] = conv(x, "stem", 2)
    if name == "mobilenet_v1":
        for i in range(13):
            stride = 2 if i in (1, 3, 5, 11) else 1
            x = stages[f"block{i:02d}"] = conv(conv(x, f"block{i:02d}.depthwise", stride), f"block{i:02d}.pointwise")
    else:
        for i in range(17):
            block, stride = f"block{i:02d}", 2 if i in (1, 3, 6, 13) else 1
            y = conv(x, f"{block}.expand") if i else x
            y = conv(conv(y, f"{block}.depthwise", stride), f"{block}.project", relu=False)
            x = stages[block] = x + y if stride == 1 and x.shape == y.shape else y
        x = stages["head"] = conv(x, "head")
    stages["penultimate"] = x.mean((2, 3))
    return conv(stages["penultimate"][:, :, None, None], "classifier", relu=False)[:, 1:, 0, 0], stages


def summary(outputs: tuple, prefix: str) -> dict[str, np.ndarray]:
    """Logits and penultimate whole; of a map the mean of each channel and one pixel near a corner."""
    logits, stages = outputs
    values = {f"{prefix}/logits": logits.numpy()}
    for stage, x in stages.items():
        values[f"{prefix}/{stage}"] = (
            x.numpy() if x.ndim == 2 else torch.stack([x.mean((2, 3)), x[:, :, -1, 0]], 1).numpy()
        )
    return values


def digest(tensors: dict[str, torch.Tensor]) -> str:
    sha = hashlib.sha256()
    for key in sorted(tensors):
        sha.update(key.encode())
        sha.update(tensors[key].contiguous().numpy().tobytes())
    return sha.hexdigest()


def write_tensor_files() -> None:
    """Small files with what real ones may contain: views, strides, every dtype, empty and scalar tensors."""
    base = torch.arange(24, dtype=torch.float32)
    state = collections.OrderedDict(
        base=base,
        view=base[4:16].view(3, 4),
        transposed=base.view(4, 6).t(),
        stepped=base[1::3],
        half=base[:5].half(),
        bfloat16=base[:5].bfloat16(),
        double=base[:5].double() / 3,
        int64=torch.tensor([-(2**40), 7]),
        int32=torch.tensor([-5, 7], dtype=torch.int32),
        uint8=torch.tensor([0, 255], dtype=torch.uint8),
        bool=torch.tensor([True, False]),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        expanded=torch.tensor([1.0, 2.0]).expand(3, 2),
    )
    whole = {"epoch": 3, "best": 0.5, "name": "net", "state_dict": state, "optimizer": {"momentum": [torch.ones(2)]}}
    torch.save(whole, FOLDER / "backbones_tensors_legacy.th", _use_new_zipfile_serialization=False)
    torch.save(whole, FOLDER / "backbones_tensors_zip.pt")


class _Vision(nn.Module):
    def __init__(self):
        super().__init__()
        base = torch.arange(24, dtype=torch.float32)
        self.proj = nn.Parameter(base.reshape(4, 6).T.half())
        self.inner = nn.Linear(3, 2)
        self.inner.weight.data, self.inner.bias.data = base[:6].reshape(2, 3), base[:2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


class _Scripted(nn.Module):
    sizes: list[int]

    def __init__(self):
        super().__init__()
        self.visual = _Vision()
        self.sizes = [3, 4]
        self.rate = 0.5
        self.register_buffer("input_resolution", torch.tensor(224))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.visual(x) * self.rate + self.sizes[0]


def write_script_file() -> None:
    """A TorchScript archive as OpenAI published CLIP's: modules within modules, half precision, sizes as tensors."""
    torch.jit.script(_Scripted()).save(FOLDER / "backbones_tensors_script.pt")


def main(shared: pathlib.Path) -> None:
    golden: dict[str, np.ndarray] = {"torch_version": np.array(torch.__version__)}
    for name in ("cifar_resnet20", "cifar_resnet56"):
        tensors = synthetic.tensors(cifar_resnet.layout(name, {}), synthetic.SEED)
        images = synthetic.images(2, 32)
        golden |= summary(resnet_outputs(cifar_resnet.BLOCKS[name], tensors, images), name)
    for name, multiplier, side in synthetic.MOBILENET_CASES:
        tensors = synthetic.tensors(mobilenet.layout(name, synthetic.thin(name, multiplier)), synthetic.SEED)
        golden |= summary(mobilenet_outputs(name, tensors, synthetic.images(1, side)), f"{name}/{side}")
    files = {}
    for path in sorted((shared / "weights" / "cifar10").glob("*.th")):
        loaded = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        tensors = {k.removeprefix("module."): v for k, v in loaded.items()}
        files[path.name] = digest(tensors)
        blocks = (int(path.name[6:8]) - 2) // 6
        logits, _ = resnet_outputs(blocks, {k: v.numpy() for k, v in tensors.items()}, synthetic.images(8, 32))
        golden[path.name] = logits.numpy()
    np.savez_compressed(FOLDER / "backbones_torch.npz", **golden)
    record = {"torch_version": torch.__version__, "sha256_of_tensors": files}
    (FOLDER / "backbones_torch.json").write_text(json.dumps(record, indent=1) + "\n")
    write_tensor_files()
    write_script_file()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
