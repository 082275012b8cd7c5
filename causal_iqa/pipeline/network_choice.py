"""A network as a study names it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import _checks
from causal_iqa.backbones.user import is_reference
from causal_iqa.pipeline import field_checks

ALL_NETWORKS = "all"


@dataclasses.dataclass(frozen=True)
class NetworkChoice:
    """A network of a study: its name in the study, its architecture and its weight file (None: the packaged one)."""

    name: str
    architecture: str
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> "NetworkChoice":
        """Reads ARCHITECTURE=PATH, NAME=ARCHITECTURE=PATH, ARCHITECTURE alone for packaged weights, or NAME=FUNCTION.

        PATH may be an address on the Hugging Face hub, FUNCTION is a user's "package.module:function" or
        "path/to/file.py:function".

        Raises:
          InputError: on anything else.
        """
        parts = text.split("=", 2)
        if not all(parts):
            raise _checks.InputError(f"{text!r}: expected ARCHITECTURE=PATH, NAME=ARCHITECTURE=PATH or NAME=FUNCTION")
        if len(parts) == 1:
            name = parts[0].rsplit(":", 1)[-1] if is_reference(parts[0]) else parts[0]
            return cls(name, parts[0], None)
        if len(parts) == 2 and is_reference(parts[1]):
            return cls(parts[0], parts[1], None)
        if len(parts) == 2:
            return cls(parts[0], parts[0], parts[1])
        return cls(*parts)

    @classmethod
    def from_json(cls, kind: str, values: Mapping[str, Any]) -> "NetworkChoice":
        """Makes the choice of its fields; InputError names the kind of network where they are others."""
        fields = field_checks.type_hints(cls)
        if not {"name", "architecture"} <= set(values) <= set(fields):
            raise _checks.InputError(f"{kind}: expected {', '.join(fields)}, got {dict(values)!r}")
        found = cls(**values)
        field_checks.check_types(found)
        return found


def check_network_names(kind: str, choices: Sequence[NetworkChoice]) -> None:
    """Raises InputError unless the networks have different names that can stand in the name of a column."""
    field_checks.check_unique(kind, [choice.name for choice in choices], "NAME=ARCHITECTURE=PATH names two of one kind")
    for choice in choices:
        if choice.name == ALL_NETWORKS or set(choice.name) & set("/@+") or not choice.name.isprintable():
            raise _checks.InputError(
                f"{kind}: {choice.name!r} cannot be a name; choose one of characters that print, without /, @ and +"
            )
