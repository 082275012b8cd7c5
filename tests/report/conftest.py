"""The golden audit, which renders without a run."""

import json
import pathlib

import pytest

from causal_iqa.analysis.audit import Audit


@pytest.fixture(scope="package")
def golden() -> Audit:
    return Audit.from_json(json.loads((pathlib.Path(__file__).parents[1] / "golden" / "audit.json").read_text("utf-8")))
