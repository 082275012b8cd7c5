"""Imports peers that today's package versions break, without touching what they compute."""

import importlib
import types


def torch_peer(name: str) -> types.ModuleType:
    """Imports a PyTorch peer (pyiqa, piq, torchmetrics, timm) beside a CPU build of torch.

    The registry's torchvision is built for CUDA; beside a CPU torch its import fails on two detection operators, which
    are declared here (never run) when they are missing.

    Args:
      name: of the module.

    Returns:
      The module.

    Raises:
      ImportError: when it is not installed (the bench extra has it).
    """
    torch = importlib.import_module("torch")
    if not hasattr(torch_peer, "library"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torch_peer.library = library  # Dropped, the declarations would go with it.
    return importlib.import_module(name)
