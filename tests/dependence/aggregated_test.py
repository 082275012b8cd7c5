"""The bandwidths over which a test is aggregated."""

import jax
import numpy as np
import pytest

from causal_iqa.dependence import aggregated
from tests.dependence.compiled import dependence


def test_bandwidth_collection_is_dyadic():
    np.testing.assert_allclose(aggregated.bandwidth_collection(3.0, num_each_side=2), [0.75, 1.5, 3, 6, 12])
    with pytest.raises(ValueError, match="num_each_side: expected 0 or more, got -1"):
        aggregated.bandwidth_collection(1.0, num_each_side=-1)
    with pytest.raises(ValueError, match="at least one Gram matrix"):
        dependence.hsic_aggregated_test(jax.random.key(0), [], [], num_permutations=9, level=0.05)
