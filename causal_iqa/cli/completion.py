"""Completion for bash: a script with all commands and flags in it, so that completing starts no Python."""

import ast
import importlib.resources
from collections.abc import Iterable

_SCRIPT = """_causal_iqa() {{
  local words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -o nospace -F _causal_iqa causal-iqa
"""


def bash(commands: Iterable[str]) -> str:
    """Returns the completion script.

    Args:
      commands: names of the commands.
    """
    commands = list(commands)
    cases = [f'      {name}) words="{" ".join(f"--{flag}=" for flag in flag_names(name))}" ;;' for name in commands]
    return _SCRIPT.format(commands=" ".join(f"{name} " for name in commands).strip(), cases="\n".join(cases))


def flag_names(command: str) -> tuple[str, ...]:
    """Returns the flags of a command, read from its source: importing it takes seconds.

    Args:
      command: its name.
    """
    file = importlib.resources.files("causal_iqa.cli").joinpath(f"{command.replace('-', '_')}.py")
    calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    called = [(one, one.func) for one in calls if isinstance(one.func, ast.Attribute)]
    defining = [one for one, of in called if ast.unparse(of.value) == "FLAGS" and of.attr not in ("group", "former")]
    return tuple(ast.literal_eval(one.args[0]) for one in defining)
