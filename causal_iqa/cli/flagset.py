"""The flags of one command: absl flags in groups, in a set of their own, for commands share names of flags."""

from collections.abc import Mapping, Sequence

from absl import flags


class FlagSet:
    """Defines flags under headings; help shows them in this order. Values are read as with absl, `holder.value`.

    Attributes:
      values: the flags.
      groups: heading -> names of its flags.
    """

    def __init__(self, heading: str = "Main flags"):
        """Starts the first group."""
        self.values = flags.FlagValues()
        self._groups: dict[str, list[str]] = {heading: []}

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Heading -> names of its flags."""
        return self._groups

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
