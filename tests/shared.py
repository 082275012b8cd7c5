"""The one way tests and benchmarks reach real data and weights: a folder beside the checkout, skipped when absent."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(os.environ.get("CAUSAL_IQA_SHARED", pathlib.Path(__file__).parents[2] / "shared"))


def path_or_skip(*parts: str) -> pathlib.Path:
    """Returns ROOT/parts, or skips the calling test when it is not there."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not at hand: {path} (set CAUSAL_IQA_SHARED to a folder that has it)")
    return path
