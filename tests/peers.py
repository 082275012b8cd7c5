"""Imports peers that today's package versions break, without touching what they compute."""

import functools
import importlib
import importlib.resources
import sys
import types
import warnings

import numpy as np


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


@functools.cache
def imagecorruptions_peer() -> types.ModuleType:
    """Imports imagecorruptions 1.1.2, the last release (2020), on today's packages.

    NumPy dropped `float_`, scikit-image renamed `multichannel`, setuptools is about to drop `pkg_resources` and SciPy
    `ndimage.interpolation`: each is given back where it is missing. What the corruptions compute stays as released.

    Returns:
      The package; `corrupt(image, severity, name)` is its entry.

    Raises:
      ImportError: when it is not installed (the bench extra has it).
    """
    if not hasattr(np, "float_"):
        setattr(np, "float_", np.float64)  # noqa: B010 (the linter takes the name for a use)
    _provide("pkg_resources", resource_filename=_resource_filename)
    _provide("scipy.ndimage.interpolation", map_coordinates=_map_coordinates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module("imagecorruptions")
        corruptions = importlib.import_module("imagecorruptions.corruptions")
    renamed = corruptions.gaussian

    def gaussian(image: np.ndarray, *args, multichannel: bool = False, **kwargs) -> np.ndarray:
        return renamed(image, *args, channel_axis=-1 if multichannel else None, **kwargs)

    corruptions.gaussian = gaussian
    return package


def _provide(name: str, **members) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(members)


def _resource_filename(package: str, path: str) -> str:
    return str(importlib.resources.files(package.split(".")[0]) / path)


def _map_coordinates(*args, **kwargs) -> np.ndarray:
    return importlib.import_module("scipy.ndimage").map_coordinates(*args, **kwargs)
