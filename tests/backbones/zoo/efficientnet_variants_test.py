"""Published tables of EfficientNets and MobileNets: widths, strides, sides, and what each file format means."""

import math

import pytest

from causal_iqa.backbones.zoo import efficientnet_variants as variants


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_every_variant_halves_the_image_five_times(name):
    variant = variants.VARIANTS[name]
    strides = [row.stride for stage in variant.stages for row in stage]
    assert 2 * math.prod(strides) == 32
    assert all(row.after % 8 == 0 and row.size in (3, 5) for stage in variant.stages for row in stage)
    assert 0 < variant.crop_fraction <= 1 and variant.formats


def test_widths_are_multiples_of_eight_that_lose_no_tenth():
    for channels in range(1, 400):
        rounded = variants._divisible(channels)
        assert rounded % 8 == 0 and rounded >= 0.9 * channels and abs(rounded - channels) <= 8
    assert [variants._divisible(x) for x in (1, 12, 33.6, 18)] == [8, 16, 32, 24]


def test_lite_ends_are_not_scaled():
    lite4 = variants.VARIANTS["efficientnet_lite4"]
    assert (lite4.stem, lite4.last, lite4.size, lite4.feature_side) == (32, 1280, 300, 96)
    assert len(lite4.stages[0]) == len(lite4.stages[-1]) == 1 and len(lite4.stages[1]) == math.ceil(1.8 * 2)
    assert not any(row.squeezed for stage in lite4.stages for row in stage)


def test_epsilon_and_filter_belong_to_the_format():
    v3 = variants.VARIANTS["mobilenet_v3_small"]
    assert v3.epsilon_in(variants.TORCHVISION) == 1e-3 != v3.epsilon_in(variants.TIMM)
    assert v3.interpolation_in(variants.TORCHVISION) == "bilinear" and v3.interpolation_in(variants.TIMM) == "bicubic"
