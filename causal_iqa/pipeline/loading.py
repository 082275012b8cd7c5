"""Networks and backbones of a study, loaded and tried in its precision."""

from causal_iqa import backbones
from causal_iqa.pipeline.network_choice import NetworkChoice


def load_network(choice: NetworkChoice) -> backbones.Network:
    """Loads a network of the study: its file, packaged weights or a user's function; InputError when it cannot be."""
    return backbones.open_network(choice.architecture, choice.path)


def load_backbone(choice: NetworkChoice, precision: str = "highest") -> backbones.Network:
    """Loads a backbone of the study in the same way; raises InputError also when it has no features."""
    backbone = in_precision(load_network(choice), precision)
    backbones.check_features(backbone, choice.name)
    return backbone


def in_precision(network: backbones.Network, precision: str) -> backbones.Network:
    """Returns the network in a precision of `backbones.PRECISIONS`; InputError when it then fails or is not finite."""
    network = backbones.with_precision(network, precision)
    backbones.check_network(network)
    return network
