"""EfficientNet's variants."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones.zoo import efficientnet
from causal_iqa.backbones.zoo.efficientnet_variants import EFFICIENTNET_PYTORCH, VARIANTS
from tests.backbones import synthetic


@pytest.mark.parametrize(
    ("name", "blocks", "millions", "side"),
    # Millions of parameters of the authors' table; batch norm's running moments are not among them.
    [("efficientnet_lite0", 16, 4.7, 224), ("efficientnet_lite1", 21, 5.4, 240), ("efficientnet_lite2", 21, 6.1, 260),
     ("efficientnet_lite3", 24, 8.2, 280), ("efficientnet_lite4", 30, 13.0, 300)],
)  # fmt: skip
def test_lite_networks_have_the_published_size(name, blocks, millions, side):
    variant = VARIANTS[name]
    assert sum(map(len, variant.stages)) == blocks
    trained = [shape for key, shape in efficientnet.layout(name, {}).items() if ".running_" not in key]
    assert sum(int(np.prod(shape)) for shape in trained) / 1e6 == pytest.approx(millions, abs=0.06)
    assert (variant.size, variant.crop_fraction) == (side, side / (side + 32))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "tf_efficientnet_b0"])
def test_both_formats_give_the_same_network(name, tmp_path):
    """timm's names and EfficientNet-PyTorch's."""
    told = [{stem: np.zeros((32, 3, 3, 3), np.float32)} for stem in ("conv_stem.weight", "_conv_stem.weight")]
    entries = [efficientnet.entries_of(VARIANTS[name], stems) for stems in told]
    assert efficientnet.format_of(VARIANTS[name], told[1]) == EFFICIENTNET_PYTORCH
    renamed = {}
    for timm, other in zip(*entries, strict=True):
        assert (timm.here, timm.shapes) == (other.here, other.shapes)
        renamed.update(zip(timm.there, other.there, strict=True))
    drawn = synthetic.tensors(efficientnet.layout(name, told[0]), seed=3)
    paths = tmp_path / f"tf_{name}.safetensors", tmp_path / "other.safetensors"
    safetensors.numpy.save_file(drawn, paths[0])
    safetensors.numpy.save_file({renamed[key]: value for key, value in drawn.items()}, paths[1])
    params = [backbones.load(name, path).params for path in paths]
    jax.tree.map(np.testing.assert_array_equal, *params)
