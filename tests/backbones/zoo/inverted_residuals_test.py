"""Networks of inverted residual blocks against torchvision and timm."""

import pytest

from causal_iqa.backbones.zoo import inverted_residuals
from causal_iqa.backbones.zoo.efficientnet_variants import Row
from tests.backbones.zoo import convnet_parity


@pytest.mark.parametrize(
    "case",
    [
        "efficientnet_torchvision",
        "efficientnet_timm",
        "mobilenet_v2_torchvision",
        "mobilenet_v2_timm",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "mobilenet_v3_small_timm",
        "mobilenet_v3_large_timm",
        "tf_efficientnet_timm",
        "tf_lite_timm",
        "lite_timm",
        "tf_mobilenet_v3_small_timm",
        "tf_mobilenet_v3_large_timm",
    ],
)
def test_logits_and_stages_equal_the_peers(case, tmp_path):
    convnet_parity.check(case, tmp_path)


# Parameters of the published documentation.
@pytest.mark.parametrize(
    ("name", "millions"), [("efficientnet_b0", 5.29), ("mobilenet_v3_large", 5.48), ("mobilenet_v3_small", 2.54)]
)
def test_published_variants_have_the_published_number_of_parameters(name, millions):
    assert convnet_parity.millions(name) == pytest.approx(millions, abs=0.05)


def test_nothing_is_expanded_where_the_width_is_that_of_the_input():
    row = Row(3, 16, 24, 0, "relu", 2)
    same = inverted_residuals.block_shapes(row, 16)
    assert same.expand is None and (same.project.before, same.project.after) == (16, 24)
    wider = inverted_residuals.block_shapes(row, 8, same=True)
    assert wider.expand is not None and wider.expand.after == 16 and wider.depthwise.same
    assert wider.depthwise.groups == 16 and wider.depthwise.stride == 2
