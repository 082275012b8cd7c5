"""The score that the headline says."""

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.analysis import datasets
from tests.analysis.datasets.scored import COLUMNS, scored_sets


def test_the_score_of_the_headline():
    assert datasets.choose(COLUMNS) == "free@b"
    assert datasets.choose(COLUMNS[1:]) == "noise_sigma"
    with pytest.raises(InputError, match="quality: 'free' is not scored; did you mean free@b"):
        datasets.choose(COLUMNS, "free")
    lower = datasets.quality_of(scored_sets({"a": np.arange(4.0)}), "noise_sigma")
    assert (lower.values <= 0).all() and lower.columns == (("noise_sigma", -1.0),)
    with pytest.raises(InputError, match="reference: no set is called 'x'"):
        datasets.analyse(scored_sets({"a": np.arange(4.0)}), datasets.Request(reference="x"))
