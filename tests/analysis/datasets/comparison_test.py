"""The level of comparisons of two sets."""

import numpy as np

from causal_iqa.analysis.datasets import comparison


def test_superiority_has_the_level_of_its_interval():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        found = comparison.superiority(rng.normal(size=60), rng.normal(0.5, 1, 60), level=0.9)
        inside += found.low <= 0.6382 <= found.high  # Phi(.5 / sqrt(2))
    assert 165 <= inside <= 195
    assert comparison.superiority(np.zeros(5), np.zeros(5), level=0.9).value == 0.5
