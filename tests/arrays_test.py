"""Sums and tuples of iterables."""

import numpy as np
import pytest

from causal_iqa import _arrays


def test_total_is_the_sum_of_at_least_one():
    terms = [np.array([1.0, 2.0]), np.array(3.0), np.array([[1.0], [0.0]])]
    np.testing.assert_array_equal(_arrays.total(iter(terms)), terms[0] + terms[1] + terms[2])
    with pytest.raises(AssertionError, match="no terms"):
        _arrays.total([])


def test_pairs_and_triples_have_as_many():
    assert _arrays.pair(iter("ab")) == ("a", "b") and _arrays.triple(range(3)) == (0, 1, 2)
    for fn, values in ((_arrays.pair, "abc"), (_arrays.triple, "ab")):
        with pytest.raises(ValueError):
            fn(values)
