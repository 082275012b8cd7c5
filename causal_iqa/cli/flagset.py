"""The flags of one command: absl flags in groups, in a set of their own, for commands share names of flags."""

import re
import sys
from collections.abc import Mapping, Sequence

from absl import flags

_FLAG = re.compile(r"--?(?P<name>\w+)(?==|$)")


class FlagSet:
    """Defines flags under headings; help shows them in this order. Values are read as with absl, `holder.value`.

    Attributes:
      values: the flags.
      groups: heading -> names of its flags.
      formers: name of the release before -> present name of a flag that was renamed.
    """

    def __init__(self, heading: str = "Main flags"):
        """Starts the first group."""
        self.values = flags.FlagValues()
        self._groups: dict[str, list[str]] = {heading: []}
        self._formers: dict[str, str] = {}

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Heading -> names of its flags."""
        return self._groups

    @property
    def formers(self) -> Mapping[str, str]:
        """Former name -> present name of each renamed flag."""
        return self._formers

    def former(self, name: str, now: str) -> None:
        """Keeps the former name of a renamed flag for one release: it works with a warning, and the help omits it.

        Args:
          name: the former name.
          now: the present name of a flag that is defined.

        Raises:
          KeyError: when no flag has the present name.
        """
        if now not in self.values:
            raise KeyError(now)
        self._formers[name] = now

    def with_present_names(self, argv: Sequence[str]) -> list[str]:
        """Returns a command line with its renamed flags under their present names.

        Args:
          argv: the program's name and the words after it; what follows "--" is not touched.

        Returns:
          The words. A line on stderr warns of each former name.
        """
        words, warned = [], set()
        own = argv[: argv.index("--")] if "--" in argv else argv
        for place, word in enumerate(own):
            found = _FLAG.match(word) if place else None
            if found and (name := found["name"]) in self._formers:
                now = self._formers[name]
                word = f"--{now}{word[found.end() :]}"
                if name not in warned:
                    print(
                        f"warning: --{name} is called --{now} now; the former name goes with the next release",
                        file=sys.stderr,
                    )
                warned.add(name)
            words.append(word)
        return [*words, *argv[len(own) :]]

    def group(self, heading: str) -> None:
        """Starts a group: flags that are defined from here on stand under the heading."""
        self._groups[heading] = []

    def string(self, name: str, default: str | None, words: str, *, required: bool = False) -> flags.FlagHolder:
        """Defines a flag that takes text."""
        return flags.DEFINE_string(name, default, words, required=required, flag_values=self._add(name))

    def integer(
        self, name: str, default: int | None, words: str, *, lower_bound: int | None = None
    ) -> flags.FlagHolder:
        """Defines a flag that takes a whole number."""
        return flags.DEFINE_integer(name, default, words, lower_bound=lower_bound, flag_values=self._add(name))

    def number(self, name: str, default: float | None, words: str) -> flags.FlagHolder:
        """Defines a flag that takes a number."""
        return flags.DEFINE_float(name, default, words, flag_values=self._add(name))

    def switch(self, name: str, default: bool, words: str) -> flags.FlagHolder:
        """Defines a flag --name, --noname."""
        return flags.DEFINE_bool(name, default, words, flag_values=self._add(name))

    def choice(self, name: str, default: str | None, choices: Sequence[str], words: str) -> flags.FlagHolder:
        """Defines a flag that takes one of some words."""
        return flags.DEFINE_enum(name, default, list(choices), words, flag_values=self._add(name))

    def several(self, name: str, default: Sequence[str], words: str) -> flags.FlagHolder:
        """Defines a flag that takes values separated by commas."""
        return flags.DEFINE_list(name, [*default], words, flag_values=self._add(name))

    def repeated(self, name: str, words: str, *, required: bool = False) -> flags.FlagHolder:
        """Defines a flag that may be given several times."""
        default = None if required else []
        return flags.DEFINE_multi_string(name, default, words, required=required, flag_values=self._add(name))

    def _add(self, name: str) -> flags.FlagValues:
        list(self._groups.values())[-1].append(name)
        return self.values
