"""Runs the binaries in this process. They share names of flags, so each run borrows the one set of flags."""

import contextlib
import importlib
import types
from collections.abc import Iterator

from absl import flags

from causal_iqa import cli
from causal_iqa.cli import running


@contextlib.contextmanager
def _flags_of(name: str) -> Iterator[types.ModuleType]:
    """Puts aside the flags of all binaries, brings in those of one, and restores what was there."""
    modules = tuple(cli.module_name(other) for other in ("audit", "train"))
    before = {
        flag.name: (module, flag)
        for module, own in flags.FLAGS.flags_by_module_dict().items()
        for flag in own
        if module in modules
    }
    _remove(before)
    try:
        name = cli.module_name(name)
        module = importlib.import_module(name)
        if name not in _OWN:
            defined = flags.FLAGS.flags_by_module_dict().get(module.__name__, [])
            known = [flag for owner, flag in before.values() if owner == module.__name__]
            _OWN[name] = {flag.name: (module.__name__, flag) for flag in defined or known}
            _remove({flag.name: None for flag in defined})
        _add(_OWN[name])
        try:
            yield module
        finally:
            _remove(_OWN[name])
    finally:
        _add(before)


_OWN: dict[str, dict[str, tuple[str, flags.Flag]]] = {}


def _remove(names) -> None:
    for name in names:
        delattr(flags.FLAGS, name)


def _add(entries: dict[str, tuple[str, flags.Flag]]) -> None:
    for name, (module, flag) in entries.items():
        flags.FLAGS[name] = flag
        flags.FLAGS.register_flag_by_module(module, flag)


def run(name: str, *arguments: str) -> None:
    """Runs `python -m experiments.NAME ARGUMENTS` here.

    Raises:
      SystemExit: when the binary ends with a user error, shown on stderr.
      flags.Error: when absl refuses a flag; from a shell that ends with the usage and exit code 1.
    """
    module = importlib.import_module(cli.module_name(name))
    if hasattr(module, "FLAGS"):
        try:
            rest = module.FLAGS.values([name, *arguments])
            takes_arguments = getattr(module, "TAKES_ARGUMENTS", False)
            running.reporting_user_errors(module.main, takes_arguments=takes_arguments)(rest)
        finally:
            module.FLAGS.values.unparse_flags()
        return
    with _flags_of(name) as module:
        try:
            rest = flags.FLAGS([name, *arguments])
            takes_arguments = getattr(module, "TAKES_ARGUMENTS", False)
            running.reporting_user_errors(module.main, takes_arguments=takes_arguments)(rest)
        finally:
            for _, flag in _OWN[module.__name__].values():
                flag.unparse()


def error_of(capsys, name: str, *arguments: str) -> str:
    """Runs a binary that must refuse its arguments; returns its one line on stderr."""
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
