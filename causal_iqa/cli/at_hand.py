"""Which backbone reads quality when the user names none: what is installed, never a sibling of the judged networks."""

from collections.abc import Sequence
from typing import NamedTuple

from causal_iqa import InputError, backbones
from causal_iqa.pipeline import NetworkChoice

# Trained on labelled photographs (extra imagenet), and without labels on rendered scenes (with the library).
_PHOTOGRAPHS, _SCENES = "efficientnet_lite0", "scene_features"
NONE = "none"


class AtHand(NamedTuple):
    """Backbones that were chosen for the user, and a line that says so; empty where the user chose."""

    backbones: tuple[NetworkChoice, ...]
    remark: str = ""


def choose(given: Sequence[str], networks: Sequence[NetworkChoice], dataset: str) -> AtHand:
    """Chooses the backbones of a study.

    Args:
      given: what the user named, each as `NetworkChoice.parse` reads it; ["none"]: none is wanted.
      networks: that are judged.
      dataset: dataset of the judged images.

    Returns:
      What was given; without anything the network for scenes, and for other images EfficientNet-Lite0 where it is
      installed and no judged network is of its kind.

    Raises:
      InputError: for text that names no network, or "none" beside others.
    """
    if list(given) == [NONE]:
        return AtHand(())
    if given:
        if NONE in given:
            raise InputError(f"--backbone: {NONE} stands alone, got {', '.join(given)}")
        return AtHand(tuple(NetworkChoice.parse(text) for text in given))
    own = (NetworkChoice.parse(_SCENES),)
    if dataset == "scenes":
        return AtHand(own)
    kinds = {backbones.TABLE[one.architecture].kind for one in networks if one.architecture in backbones.TABLE}
    if backbones.TABLE[_PHOTOGRAPHS].kind in kinds:
        why = f"no --backbone given, and {_PHOTOGRAPHS} is of the kind of a judged network"
    elif not _installed(_PHOTOGRAPHS):
        why = f"no --backbone given, and {_PHOTOGRAPHS} is not installed (pip install 'causal-iqa[imagenet]')"
    else:
        chosen = (NetworkChoice.parse(_PHOTOGRAPHS),)
        return AtHand(chosen, f"no --backbone given: the new metrics read {_PHOTOGRAPHS} (--backbone=none: none)")
    return AtHand(
        own,
        f"{why}: the new metrics read {_SCENES}, a small network that was trained on rendered scenes; one trained on "
        "photographs predicts better (--backbone=ARCHITECTURE=FILE, or none)",
    )


def _installed(architecture: str) -> bool:
    try:
        backbones.bundled(architecture)
    except InputError:
        return False
    return True
