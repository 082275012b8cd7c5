"""Readings of a witness."""

import numpy as np
import pytest

from causal_iqa import quality


def test_heads_average_the_shares_of_their_glances():
    rng = np.random.default_rng(6)
    vectors, bias = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=5).astype(np.float32)
    glances = tuple(rng.normal(size=(2, 4)).astype(np.float32))
    witness = quality.fit_class_vectors(quality.ClassVectors(vectors, bias), temperature=2.0)
    logits = [(vectors @ x + bias) / 2 for x in glances]
    expected = np.mean([np.exp(x) / np.exp(x).sum() for x in logits], axis=0)
    assert float(quality.largest_mean_share(witness, glances)) == pytest.approx(expected.max(), rel=1e-5)
    assert float(quality.mean_share_of_label(witness, glances, 2)) == pytest.approx(expected[2], rel=1e-5)
    with pytest.raises(ValueError, match="temperature"):
        quality.fit_class_vectors(quality.ClassVectors(vectors, bias), temperature=0.0)
