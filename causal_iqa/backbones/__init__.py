"""Networks whose accuracy is judged and networks that give features, with import of real weight files."""

from causal_iqa.backbones.architectures import TABLE, ArchitectureSpec, load, load_packaged
from causal_iqa.backbones.checkpoints import Checkpoint, MismatchError, read, save_safetensors
from causal_iqa.backbones.networks import PENULTIMATE, Network, Preprocessing, geometry, normalise

__all__ = [
    "PENULTIMATE",
    "TABLE",
    "ArchitectureSpec",
    "Checkpoint",
    "MismatchError",
    "Network",
    "Preprocessing",
    "geometry",
    "load",
    "load_packaged",
    "normalise",
    "read",
    "save_safetensors",
]
