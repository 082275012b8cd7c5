"""`list`: what there is, and close names for what there is not."""

import json

import pytest

from causal_iqa import InputError
from causal_iqa.cli import list as command


@pytest.fixture(autouse=True)
def _parsed():
    command.FLAGS.values(["list"])
    yield
    command.FLAGS.values.unparse_flags()


def test_lists_one_after_the_other(capsys):
    command.main(["list", "degradations", "estimators"])
    out = capsys.readouterr().out
    assert out.index("degradation ") < out.index("fog") < out.index("estimator ") < out.index("confidence")


def test_json_and_former_names(capsys):
    command.FLAGS.values(["list", "--format=json"])
    command.main(["list", "rivals"])
    said = capsys.readouterr()
    assert "confidence" in json.loads(said.out) and "list rivals is called list estimators now" in said.err


def test_unknown_lists_are_refused():
    with pytest.raises(InputError, match=r"unknown list 'metric': did you mean .*metrics"):
        command.main(["list", "metric"])
    with pytest.raises(InputError, match="expected what to list: metrics"):
        command.main(["list"])
