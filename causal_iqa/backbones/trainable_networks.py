"""The networks that can be trained here, by name."""

from collections.abc import Mapping

from causal_iqa import _checks
from causal_iqa.backbones.zoo import flax_modules, scene_cnn, small_networks


def trainable_names() -> tuple[str, ...]:
    """Returns the names of the networks that `training.train` can train, sorted.

    Examples:
      >>> from causal_iqa import backbones
      >>> "small_vit" in backbones.trainable_names()
      True
    """
    return tuple(sorted({**scene_cnn.VARIANTS, **small_networks.VARIANTS}))


def trainable(name: str) -> flax_modules.Trainable:
    """Returns a network that can be trained from fresh parameters.

    Args:
      name: one of `trainable_names()`.

    Returns:
      Its module by the width of its head, its preprocessing and its stages.

    Raises:
      InputError: for an unknown name.

    Examples:
      >>> from causal_iqa import backbones
      >>> backbones.trainable("small_resnet8").preprocessing.size
      32
    """
    small: Mapping[str, flax_modules.Trainable] = small_networks.VARIANTS
    if name in small:
        return small[name]
    _checks.lookup(dict.fromkeys(trainable_names()), name, "trainable network")
    return scene_cnn.trainable(name)
