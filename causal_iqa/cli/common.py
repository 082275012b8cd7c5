"""What the commands share: checks of where output goes, lists in flags."""

import contextlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from causal_iqa import InputError, backbones, metrics

_MOST_CPU_DEVICES = 8
# Of the flag --runner.
RUNNER_WORDS = (
    "Runner of Apache Beam (extra beam) whose workers do the work, e.g. DirectRunner on this machine, FlinkRunner; "
    'Beam\'s own flags follow after "--" (default: none, this process does it).'
)


def one_device_per_core() -> None:
    """Makes each CPU core a device of its own, at most eight, unless the environment says how many there are.

    XLA shares out convolutions among devices but not within one. To be called before JAX is first used; later it
    changes nothing.
    """
    said = "JAX_NUM_CPU_DEVICES" in os.environ or "host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not said:
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", min(backbones.cores(), _MOST_CPU_DEVICES))


def check_writable(path: str, flag: str) -> None:
    """Raises InputError, naming the flag, unless a file can be written at `path`; a missing folder is made."""
    folder = pathlib.Path(path).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag}: {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{flag}: no permission to write in {folder}")


def print_skipped(skipped: Sequence[tuple[str, str]], num_read: int, done: str) -> None:
    """Prints the unreadable images, (id, reason) each, and how many there are; nothing when there are none."""
    for name, reason in skipped:
        print(f"skipped {name}: {reason}")
    if skipped:
        print(f"{len(skipped)} unreadable images were left out, {num_read} {done}")


def names_or_all(values: list[str], table: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the given names, or every name of the table for "all"."""
    return tuple(table) if values == ["all"] else tuple(values)


def metric_names(values: list[str]) -> tuple[str, ...]:
    """Returns the given metrics, the standard ones for "standard", or every row of the table for "all"."""
    return metrics.STANDARD if values == ["standard"] else names_or_all(values, metrics.TABLE)


def numbers(values: list[str], flag: str) -> tuple[float, ...]:
    """Returns the values as numbers; InputError names the flag and the value that is none."""
    try:
        return tuple(float(value) for value in values)
    except ValueError as error:
        raise InputError(f"--{flag}: {error}") from error


def integers(values: list[str], flag: str) -> tuple[int, ...]:
    """Returns the values as whole numbers; InputError names the flag and the value that is none."""
    try:
        return tuple(int(value) for value in values)
    except ValueError as error:
        raise InputError(f"--{flag}: {error}") from error


def integer_or_all(value: str, flag: str) -> int | None:
    """Returns a count, None for "all"; InputError for anything else."""
    if value == "all":
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 19) or int(value) == 0:
        raise InputError(f"--{flag}: expected a positive whole number or all, got {value!r}")
    return int(value)


def runner_arguments(argv: Sequence[str], runner: str | None) -> list[str]:
    """Returns Beam's own flags: what a command line has after "--".

    Args:
      argv: remaining words of the command line, the program's name first.
      runner: value of --runner.

    Raises:
      InputError: for words that are no flags, or without a runner.
    """
    words = list(argv[1:])
    if words and (runner is None or not words[0].startswith("--")):
        raise InputError(
            f"unexpected argument {words[0]!r}: flags are written --name=value (see --help)"
            + ("; those of Beam need --runner=NAME before them" if words[0].startswith("--") else "")
        )
    return words
