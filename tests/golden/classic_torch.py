"""Writes classic_torch.json: AlexNet, VGG16 and SqueezeNet of torchvision, and LPIPS and DISTS on them, in PyTorch.

From the repository root, in an environment with torch, torchvision, pyiqa and the bench extra:
    python -m tests.golden.classic_torch

Weights come from numpy seeds that the tests use again, so only outputs are stored. LPIPS is written out here from its
paper on torchvision's layers and compared with pyiqa's class before anything is written; DISTS is pyiqa's class.
"""

import contextlib
import importlib
import json
import pathlib

import numpy as np
import torch
from torch import nn

from tests import peers
from tests.backbones import classic_cases, synthetic
from tests.metrics import learned_cases

torchvision = peers.torch_peer("torchvision")
pyiqa = peers.torch_peer("pyiqa")
lpips_arch = importlib.import_module("pyiqa.archs.lpips_arch")
dists_arch = importlib.import_module("pyiqa.archs.dists_arch")
SLICES = {
    "alexnet": (2, 5, 8, 10, 12),
    "vgg16": (4, 9, 16, 23, 30),
    "squeezenet1_1": (2, 5, 8, 10, 11, 12, 13),
}
ORIGINAL = {name: getattr(torchvision.models, name) for name in SLICES}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def model(name: str) -> nn.Module:
    """torchvision's class with the thin head and the drawn weights."""
    net = ORIGINAL[name](weights=None)
    tensors = classic_cases.tensors(name)
    for index in classic_cases.HEADS[name]:
        out, before, *side = tensors[f"classifier.{index}.weight"].shape
        net.classifier[index] = nn.Conv2d(before, out, side[0]) if side else nn.Linear(before, out)
    net.load_state_dict({k: torch.from_numpy(v) for k, v in tensors.items()}, strict=True)
    return net.eval()


@contextlib.contextmanager
def without_downloads():
    """Makes torchvision's functions return the drawn weights, whatever pretrained weights are asked for."""
    for name in SLICES:
        setattr(torchvision.models, name, lambda *_, _name=name, **__: model(_name))
    yield
    for name, function in ORIGINAL.items():
        setattr(torchvision.models, name, function)


def batch(images: np.ndarray) -> torch.Tensor:
    """[B, H, W, 3] -> [B, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def maps(name: str, net: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Outputs of the slices of `features` that LPIPS reads."""
    found = []
    for index, layer in enumerate(net.features):
        x = layer(x)
        if index + 1 in SLICES[name]:
            found.append(x.clone())
    return found


def network_values(name: str) -> dict[str, list]:
    """Logits, the pooled features the head reads, and a summary of every stage."""
    net, image = model(name), batch(synthetic.images(1, classic_cases.SIDES[name]))
    x = (image - MEAN) / STD
    stages = [classic_cases.summary(m[0].permute(1, 2, 0).numpy()) for m in maps(name, net, x)]
    if name == "squeezenet1_1":
        penultimate = net.features(x).mean((2, 3))[0]
    else:
        penultimate = net.classifier[:-1](torch.flatten(net.avgpool(net.features(x)), 1))[0]
    return {"logits": net(x)[0].tolist(), "stages": [*stages, penultimate.tolist()]}


def lpips(name: str, reference: torch.Tensor, image: torch.Tensor) -> float:
    """Zhang et al. (2018), eq. 1, with the authors' 1e-10."""
    net, total = model(name), 0.0
    weights = learned_cases.linear(name).values()
    pair = [maps(name, net, (x - MEAN) / STD) for x in (reference, image)]
    for f, g, w in zip(*pair, weights, strict=True):
        f, g = (m / (m.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for m in (f, g))
        total = total + ((f - g).pow(2) * torch.from_numpy(w)).sum(1).mean()
    return float(total)


def peer_lpips(name: str, reference: torch.Tensor, image: torch.Tensor) -> float:
    """pyiqa's class with the same weights."""
    short = {"alexnet": "alex", "vgg16": "vgg", "squeezenet1_1": "squeeze"}[name]
    with without_downloads():
        peer = lpips_arch.LPIPS(net=short, pretrained=False).eval()
    for layer, weight in zip(peer.lins, learned_cases.linear(name).values(), strict=True):
        layer.model[-1].weight.data = torch.from_numpy(weight)
    return float(peer(image, reference))


def dists(reference: torch.Tensor, image: torch.Tensor) -> float:
    """pyiqa's class with the drawn weights."""
    with without_downloads():
        peer = dists_arch.DISTS(pretrained=False).eval()
    weights = learned_cases.channels()
    peer.alpha.data, peer.beta.data = (torch.from_numpy(weights[key]) for key in ("alpha", "beta"))
    return float(peer(image, reference))


def main() -> None:
    """Writes the file beside this script."""
    values: dict[str, dict] = {"networks": {}, "lpips": {}, "dists": {}}
    with torch.no_grad():
        for name in classic_cases.SIDES:
            values["networks"][name] = network_values(name)
            for case, pair in learned_cases.pairs().items():
                reference, image = (batch(x[None]) for x in pair)
                values["lpips"][f"{name}/{case}"] = lpips(name, reference, image)
                np.testing.assert_allclose(
                    values["lpips"][f"{name}/{case}"], peer_lpips(name, reference, image), rtol=1e-4
                )
        for case, pair in learned_cases.pairs().items():
            values["dists"][case] = dists(*(batch(x[None]) for x in pair))
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pyiqa": pyiqa.__version__}
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"versions": versions, **values}, indent=1) + "\n")


if __name__ == "__main__":
    main()
