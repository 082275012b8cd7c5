"""How a command starts and ends: grouped help, one line for whatever the user gave wrong, quiet libraries."""

import difflib
import functools
import gc
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from absl import app, flags
from absl import logging as absl_logging

from causal_iqa._errors import InputError
from causal_iqa.cli import flagset, interrupts
from causal_iqa.cli import help as command_help

HELP = ("--help", "-help", "-h", "-?", "--helpshort", "-helpshort")
_UNKNOWN = re.compile(r"Unknown command line flag '(?P<name>[^']*)'")
_MISSING = re.compile(r"flag --(?P<name>\w+)=None: Flag --\w+ must have a value other than None\.")


class Command(Protocol):
    """A module that is a command: its documentation and its flags make the help.

    A command that takes further words in addition to its flags sets `TAKES_ARGUMENTS = True`.
    """

    FLAGS: flagset.FlagSet

    def main(self, argv: list[str]) -> Any:
        """Takes the remaining words of the command line, the program's name first."""
        ...


def run(command: Command, argv: Sequence[str] | None = None) -> None:
    """Parses the command line, runs a command and exits; a user's mistake is one line on stderr and exit code 1.

    Args:
      command: its module.
      argv: the command line, the program's name first; by default that of this process.
    """
    wrapped = reporting_user_errors(command.main, takes_arguments=getattr(command, "TAKES_ARGUMENTS", False))
    app.run(wrapped, list(sys.argv if argv is None else argv), functools.partial(_parse, command))  # pyright: ignore[reportArgumentType, reportCallIssue]


def quiet_xla() -> None:
    """Keeps XLA from calling long compilations bugs to report: they show as progress, and real errors are exceptions.

    To be called before JAX is imported; the environment may say otherwise.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def collect_less() -> None:
    """Has Python look for garbage less often: tracing makes a great many objects that live as long as the command.

    Looking through them took a sixth of the time of tracing.
    """
    gc.set_threshold(20_000, 20, 100)


def reporting_user_errors(
    main: Callable[[list[str]], Any], *, takes_arguments: bool = False
) -> Callable[[list[str]], Any]:
    """Wraps a command's main: an InputError ends it with one line on stderr and exit code 1, no traceback.

    Args:
      main: takes the command line's remaining arguments.
      takes_arguments: whether words that are no flags are the command's.

    Returns:
      The wrapped main. Other exceptions are bugs and keep their traceback.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str]) -> Any:
        logging.getLogger("jax").setLevel(logging.WARNING)  # At INFO it tells which backends it did not find.
        if not flags.FLAGS["verbosity"].present:
            # Libraries log what they raise besides; the commands say it in their own line.
            absl_logging.set_verbosity(absl_logging.FATAL)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # Names of files need not be UTF-8.
                stream.reconfigure(errors="backslashreplace")
        try:
            if len(argv) > 1 and not takes_arguments:
                raise InputError(f"unexpected argument {argv[1]!r}: flags are written --name=value (see --help)")
            _check_working_directory()
            with interrupts.interruptible():
                return main(argv)
        except InputError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)

    return wrapped


def _check_working_directory() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise InputError("the working directory was deleted; change to one that exists") from error


def _parse(command: Command, argv: list[str]) -> list[str]:
    """Parses the flags; prints the help and exits with 0, or one line on a mistake and exits with 1."""
    own = command.FLAGS
    flags.FLAGS.append_flag_values(own.values)
    given = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if any(word in HELP for word in given):
        print(command_help.help_text(command.__doc__ or "", own.groups, own.values), end="")
        sys.exit(0)
    if "--helpfull" in given:
        print((command.__doc__ or "").strip() + "\n" + flags.FLAGS.get_help())
        sys.exit(0)
    try:
        rest = flags.FLAGS(own.with_present_names(argv))
    except flags.Error as error:
        print(f"error: {_in_one_line(str(error), list(own.values))} (see --help)", file=sys.stderr)
        sys.exit(1)
    own.values.mark_as_parsed()
    return rest


def _in_one_line(message: str, own: Sequence[str]) -> str:
    """What absl says of the command line; near an unknown flag it would also name its own flags."""
    if found := _UNKNOWN.search(message):
        near = [f"--{name}" for name in difflib.get_close_matches(found["name"], own)]
        return f"unknown flag --{found['name']}" + (f": did you mean {' or '.join(near)}?" if near else "")
    if found := _MISSING.search(message):
        return f"--{found['name']} must be given"
    return " ".join(message.split())
