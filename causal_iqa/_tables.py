"""The one kind of table that every room has: names to rows, in order, for reading only."""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, overload

from causal_iqa import _checks
from causal_iqa._errors import InputError

T = TypeVar("T")
N = TypeVar("N", bound="_Named")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class UnknownName(InputError, KeyError):
    """A table has no row of this name; the message suggests close ones."""

    def __str__(self) -> str:
        return self.args[0]  # KeyError would show it in quotation marks.


class Table(Mapping[str, T]):
    """An immutable mapping from names to rows that answers an unknown name with close ones.

    Examples:
      >>> table = Table("metric", {"ssim": 1, "psnr": 2})
      >>> list(table), table["psnr"]
      (['ssim', 'psnr'], 2)
      >>> table["ssmi"]
      Traceback (most recent call last):
      ...
      causal_iqa._tables.UnknownName: unknown metric 'ssmi': did you mean ssim?
    """

    __slots__ = ("_kind", "_rows")

    @overload
    def __init__(self: "Table[N]", kind: str, rows: Iterable[N]): ...

    @overload
    def __init__(self, kind: str, rows: Mapping[str, T]): ...

    def __init__(self, kind, rows):
        """Builds the table.

        Args:
          kind: the name for a row, in one word or two, e.g. "metric".
          rows: the rows in order, each with a `name`; or name -> row.

        Raises:
          ValueError: when a name occurs twice.
        """
        pairs = rows.items() if isinstance(rows, Mapping) else [(row.name, row) for row in rows]
        found: dict[str, T] = {}
        for name, row in pairs:
            if name in found:
                raise ValueError(f"{kind} {name!r} is in the table twice")
            found[name] = row
        self._kind = kind
        self._rows = types.MappingProxyType(found)

    def __getitem__(self, name: str) -> T:
        try:
            return self._rows[name]
        except KeyError:
            known = [row for row in self._rows if isinstance(row, str)]
            raise UnknownName(f"unknown {self._kind} {name!r}: {_checks.closest(str(name), known)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __repr__(self) -> str:
        return f"Table({self._kind!r}, {len(self)} rows: {', '.join(self)})"
