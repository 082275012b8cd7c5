"""Keys by name: reproducible, and different for every procedure."""

import itertools

import jax
import pytest

from causal_iqa import _keys


def test_every_name_has_a_key_of_its_own():
    names = ("bootstrap", "permutation null", "measures", "half samples", "effects", "folds")
    keys = [jax.random.key_data(_keys.named(3, name)).tolist() for name in names]
    assert all(a != b for a, b in itertools.combinations(keys, 2))
    assert keys == [jax.random.key_data(_keys.named(3, name)).tolist() for name in names]
    assert jax.random.key_data(_keys.named(4, "folds")).tolist() != keys[-1]
    # A part of a study names its own procedures below its key.
    part = _keys.named(3, "bootstrap")
    assert jax.random.key_data(_keys.named(part, "folds")).tolist() != keys[-1]
    with pytest.raises(ValueError, match="procedure"):
        _keys.named(0, "")
