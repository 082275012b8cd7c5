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
    """Returns the flags of a command, read from its source: two commands cannot be imported into one process.

    Args:
      command: its name.
    """
    file = importlib.resources.files("causal_iqa.cli").joinpath(f"{command.replace('-', '_')}.py")
    for node in ast.parse(file.read_text("utf-8")).body if file.is_file() else ():
        if isinstance(node, ast.Assign) and any(getattr(one, "id", None) == "FLAG_GROUPS" for one in node.targets):
            return tuple(name for names in ast.literal_eval(node.value).values() for name in names)
    return ()
