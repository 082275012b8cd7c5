"""Networks of a study, loaded and tried."""

import numpy as np
import pytest

from causal_iqa import InputError, backbones, pipeline
from causal_iqa.pipeline import loading


def test_packaged_networks_and_unknown_ones():
    network = loading.load_network(pipeline.NetworkChoice("net", "scene_cnn_a"))
    assert network.num_classes > 1 and network.precision == "highest"
    with pytest.raises(InputError, match="did you mean scene_cnn_a"):
        loading.load_network(pipeline.NetworkChoice("net", "scene_cnn_aa"))


def test_a_network_that_is_not_finite_is_refused(monkeypatch):
    network = loading.load_network(pipeline.NetworkChoice("net", "scene_cnn_a"))
    asked = []
    monkeypatch.setattr(backbones, "check_network", lambda one: asked.append(one.precision))
    found = loading.in_precision(network, "bfloat16")
    assert found.precision == "bfloat16" and asked == ["bfloat16"]
    with pytest.raises(InputError, match="precision"):
        loading.in_precision(network, "half")
    assert np.isfinite(1.0)
