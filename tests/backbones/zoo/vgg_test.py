"""VGG against torchvision."""

import pytest

from causal_iqa.backbones.zoo import vgg
from tests.backbones.zoo import classic_parity


def test_every_stage_is_torchvisions(tmp_path):
    network = classic_parity.network("vgg16", tmp_path)
    classic_parity.check(network)
    assert network.head() is not None


@pytest.mark.parametrize(("name", "count"), [("vgg16", 138_357_544), ("vgg19", 143_667_240)])
def test_the_published_networks_have_the_published_sizes(name, count):
    assert classic_parity.count(name) == count


def test_layers_are_numbered_as_torchvision_does():
    names = [key for key in vgg.layout("vgg16", {}) if key.endswith("weight") and key.startswith("features")]
    assert names[-1] == "features.28.weight" and len(names) == 13
