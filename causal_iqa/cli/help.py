"""The help of a command: what it does, and its flags in groups, the main ones first."""

import re
import textwrap
from collections.abc import Mapping, Sequence

from absl import flags

Groups = Mapping[str, Sequence[str]]

_WIDTH = 100
_INDENT = 26
# What absl adds to the help of an enumeration and of a flag that may be repeated.
_AUTOMATIC = re.compile(r"^<[^>]*>: |;\s+repeat this option to specify a list of values$")


def help_text(description: str, groups: Groups, values: flags.FlagValues) -> str:
    """Renders the help of a command.

    Args:
      description: what the command does, with examples.
      groups: heading -> names of its flags, in the order in which they are shown.
      values: where the flags are defined.

    Returns:
      Lines of at most 100 characters.

    Raises:
      KeyError: when a group names a flag that does not exist.
    """
    blocks = [description.strip()]
    for heading, names in groups.items():
        blocks.append("\n".join([f"{heading}:", *(_described(values[name]) for name in names)]))
    blocks.append("Every flag is written --name=value; --helpfull lists those of the libraries as well.")
    return "\n\n".join(blocks) + "\n"


def _described(flag: flags.Flag) -> str:
    head = f"  {_written(flag)}"
    notes = [_AUTOMATIC.sub("", flag.help).strip()]
    if _has_default(flag):
        notes.append(f"Default: {_default(flag)}.")
    body = textwrap.wrap(" ".join(notes), _WIDTH - _INDENT, break_on_hyphens=False, break_long_words=False)
    if len(head) < _INDENT - 1:
        first = f"{head:<{_INDENT}}{body[0]}"
        body = body[1:]
    else:
        first = head
    return "\n".join([first, *(" " * _INDENT + line for line in body)])


def _written(flag: flags.Flag) -> str:
    """How the flag is typed: --name=N, --name=a|b, --[no]name."""
    if flag.boolean:
        return f"--[no]{flag.name}"
    parser = flag.parser
    if isinstance(parser, flags.EnumParser):
        return f"--{flag.name}={'|'.join(parser.enum_values)}"
    if isinstance(parser, flags.IntegerParser):
        return f"--{flag.name}=N"
    if isinstance(parser, flags.FloatParser):
        return f"--{flag.name}=X"
    return f"--{flag.name}={'A,B,...' if isinstance(parser, flags.ListParser) else 'TEXT'}"


def _has_default(flag: flags.Flag) -> bool:
    return not flag.boolean and flag.default not in (None, "", []) and "(default:" not in flag.help


def _default(flag: flags.Flag) -> str:
    value = flag.default
    return ",".join(map(str, value)) if isinstance(value, list) else f"{value}"
