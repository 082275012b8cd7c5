"""ConvNeXt in the formats of torchvision and timm."""

import pytest

from tests.backbones.zoo import convnet_parity


@pytest.mark.parametrize("case", ["convnext_torchvision", "convnext_timm"])
def test_logits_and_stages_equal_the_peers(case, tmp_path):
    convnet_parity.check(case, tmp_path)


# Parameters of the published documentation.
@pytest.mark.parametrize(("name", "millions"), [("convnext_tiny", 28.59), ("convnext_base", 88.59)])
def test_published_variants_have_the_published_number_of_parameters(name, millions):
    assert convnet_parity.millions(name) == pytest.approx(millions, abs=0.05)
