"""Completion for bash, of flags read from the source."""

import importlib
import subprocess

import pytest

from causal_iqa.cli import completion


@pytest.mark.parametrize("command", ["list", "record"])
def test_flags_are_those_that_the_command_defines(command):
    flags = importlib.import_module(f"causal_iqa.cli.{command}").FLAGS
    assert set(completion.flag_names(command)) == {name for names in flags.groups.values() for name in names}


def test_the_script_completes_commands_and_flags(tmp_path):
    script = completion.bash(["list", "fit-niqe"])
    asked = """
COMP_WORDS=(causal-iqa li); COMP_CWORD=1; _causal_iqa; echo "${COMPREPLY[@]}"
COMP_WORDS=(causal-iqa list --fo); COMP_CWORD=2; _causal_iqa; echo "${COMPREPLY[@]}"
COMP_WORDS=(causal-iqa other --fo); COMP_CWORD=2; _causal_iqa; echo "${COMPREPLY[@]}"
"""
    out = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["list", "--format=", ""]
