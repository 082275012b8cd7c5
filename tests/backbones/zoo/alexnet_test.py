"""AlexNet against torchvision."""

from tests.backbones.zoo import classic_parity


def test_every_stage_is_torchvisions(tmp_path):
    network = classic_parity.network("alexnet", tmp_path)
    classic_parity.check(network)
    assert network.head() is not None


def test_the_published_network_has_the_published_size():
    assert classic_parity.count("alexnet") == 61_100_840
