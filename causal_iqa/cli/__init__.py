"""The commands: `causal-iqa align`, `score`, `audit` and more.

Nothing heavy is imported before a command is known, so `causal-iqa --help` answers at once. `python -m
experiments.NAME` in a checkout and `python -m causal_iqa NAME` anywhere run the same command.
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from causal_iqa.cli import completion, interrupts, running

COMMANDS = {
    "align": "run a study: how well does each quality metric predict the performance of these networks?",
    "score": "score the quality of images, without labels and without references",
    "audit": "judge the metrics of a finished study by their causal graphs and effects",
    "degrade": "write degraded copies of a dataset: ImageNet-C or camera conditions of your own images",
    "list": "list the metrics, degradations, networks or estimators",
    "sheet": "show every degradation at every severity as pictures",
    "train": "train a small network, with labels or without",
    "fit-niqe": "fit NIQE's pristine model on photographs of your own",
    "record": "write the tables of finished studies into a Markdown page",
}
_USAGE = """Which image-quality metric tells you how your network will do when imaging conditions change?

Usage: causal-iqa COMMAND [--flag=value ...]

Commands:
{commands}

causal-iqa COMMAND --help explains the flags of a command; causal-iqa align without flags runs the main study on
rendered scenes that come with the library. causal-iqa --version prints the version. For completion in bash:
source <(causal-iqa completion)
"""


def main() -> None:
    """Runs the command that the command line names."""
    given = sys.argv[1:]
    if not given or given[0] in (*running.HELP, "help"):
        width = max(map(len, COMMANDS))
        print(
            _USAGE.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())), end=""
        )
        return
    if given[0] == "--version":
        from causal_iqa import __version__

        print(__version__)
    elif given[0] == "completion":
        print(completion.bash(COMMANDS), end="")
    elif given[0] in COMMANDS:
        run(given[0], [f"causal-iqa {given[0]}", *given[1:]])
    else:
        near = difflib.get_close_matches(given[0], COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        print(f"error: unknown command {given[0]!r}: {hint}", file=sys.stderr)
        sys.exit(1)


def run(command: str, argv: Sequence[str] | None = None) -> None:
    """Imports a command and runs it; ends the process.

    Args:
      command: a key of COMMANDS.
      argv: the command line, the program's name first; by default that of this process.
    """
    interrupts.quiet_until_main()
    running.quiet_xla()
    running.collect_less()
    module: Any = importlib.import_module(module_name(command))
    running.run(module, argv)


def module_name(command: str) -> str:
    """Returns the module that holds a command."""
    return f"causal_iqa.cli.{command.replace('-', '_')}"
