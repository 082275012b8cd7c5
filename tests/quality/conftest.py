"""A witness with detectors and ranks, fitted once."""

import pytest

from causal_iqa import quality
from tests.quality import detected


@pytest.fixture(scope="package")
def fitted():
    witness, choice = quality.fit_stages_witness(
        detected.ANCHORS, detected.LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,)
    )
    witness = quality.fit_detectors(witness, detected.ANCHORS)
    return quality.fit_ranks(witness, choice, detected.ANCHORS, detected.LABELS, detected.COPIES, detected.ORIGINS)
