"""Names of former runs."""

import pytest

from causal_iqa import pipeline
from causal_iqa.pipeline import former_names


def test_names_that_no_run_gave_are_refused():
    with pytest.raises(KeyError, match="the fields of column 'free'"):
        former_names.column("free", "free", "A")
    assert former_names.output("entropy@24px") is None


@pytest.mark.parametrize(
    "output", [pipeline.Output("net", "correct"), pipeline.Output("A", "features", "@24px_bicubic")]
)
def test_outputs_are_known_by_their_fields(output):
    assert pipeline.Output(**output.record()) == pipeline.Output(**former_names.output(str(output))) == output
