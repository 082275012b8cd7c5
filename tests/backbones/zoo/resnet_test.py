"""ResNets and ResNeXts against torchvision."""

import pytest

from tests.backbones.zoo import convnet_parity


@pytest.mark.parametrize("case", ["resnet_basic", "resnext"])
def test_logits_and_stages_equal_the_peers(case, tmp_path):
    convnet_parity.check(case, tmp_path)


# Parameters of the published documentation.
@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet18", 11.69),
        ("resnet50", 25.56),
        ("resnet152_v2", 60.19),
        ("wide_resnet50_2", 68.88),
        ("resnext50_32x4d", 25.03),
    ],
)
def test_published_variants_have_the_published_number_of_parameters(name, millions):
    assert convnet_parity.millions(name) == pytest.approx(millions, abs=0.05)
