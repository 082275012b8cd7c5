"""Runs the commands in this process."""

import importlib

from absl import flags

from causal_iqa import cli
from causal_iqa.cli import running

FlagError = flags.Error


def run(name: str, *arguments: str) -> None:
    """Runs `causal-iqa NAME ARGUMENTS` here.

    Raises:
      SystemExit: when the command ends with a user error, shown on stderr.
      flags.Error: when absl refuses a flag; from a shell that ends with one line and exit code 1.
    """
    module = importlib.import_module(cli.module_name(name))
    try:
        rest = module.FLAGS.values(module.FLAGS.with_present_names([name, *arguments]))
        takes_arguments = getattr(module, "TAKES_ARGUMENTS", False)
        running.reporting_user_errors(module.main, takes_arguments=takes_arguments)(rest)
    finally:
        module.FLAGS.values.unparse_flags()


def error_of(capsys, name: str, *arguments: str) -> str:
    """Runs a command that must refuse its arguments; returns its one line on stderr."""
    capsys.readouterr()
    try:
        run(name, *arguments)
    except SystemExit as end:
        assert end.code == 1
    else:
        raise AssertionError(f"{name} {arguments} was accepted")
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: "), lines
    return lines[0]
