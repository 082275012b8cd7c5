"""Networks to train, by name."""

import pytest

from causal_iqa import _checks, backbones


def test_an_unknown_name_is_refused():
    with pytest.raises(_checks.InputError, match="unknown trainable network 'small_resnet9'"):
        backbones.trainable("small_resnet9")
