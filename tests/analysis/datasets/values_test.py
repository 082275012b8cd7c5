"""Shares of the images."""

import numpy as np
import pytest

from causal_iqa.analysis.datasets import values


def test_shares():
    assert values.share(0, 10, level=0.95)[:2] == (0.0, 0.0)
    assert values.share(0, 10, level=0.95).high == pytest.approx(0.2775, abs=1e-3)  # Wilson, 0 of 10
    assert np.isnan(values.share(0, 0, level=0.95).value)
