"""An analysis in parts: one that fails is named, and the rest stands."""

import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Progress = Callable[[str, int, int], None]


class Failure(NamedTuple):
    """A part of the analysis that failed: its name, the reason in one line, and the traceback."""

    part: str
    reason: str
    trace: str


class Parts:
    """Does the parts of an analysis one after the other and keeps what fails.

    Attributes:
      failures: failures of the parts so far.
    """

    def __init__(self, progress: Progress | None = None):
        """Starts without failures.

        Args:
          progress: called with the name of the part in work, its steps done and all of them.
        """
        self.failures: list[Failure] = []
        self._progress = progress

    def progress_of(self, part: str) -> Callable[[int, int], None]:
        """Returns a function of (steps done, all) that tells of a part."""
        return lambda done, total: self._progress(part, done, total) if self._progress else None

    def attempt(self, part: str, compute: Callable[[], T], otherwise: T) -> T:
        """Does a part.

        Args:
          part: its name, for people.
          compute: does it.
          otherwise: what stands in for it when it fails.

        Returns:
          What `compute` returns, or `otherwise` where it raises; then `failures` has one more.
        """
        tell = self.progress_of(part)
        tell(0, 1)
        found = self._try(part, compute, otherwise)
        tell(1, 1)
        return found

    def each(self, part: str, compute: Callable[[Mapping[K, V]], Mapping[K, T]], items: Mapping[K, V]) -> dict[K, T]:
        """Does a part for many items at once and, where that fails, for one after the other: only the unfit are lost.

        Args:
          part: its name, for people.
          compute: takes some of the items, gives what was found by their keys.
          items: by key.

        Returns:
          What was found, for the items that could be done.
        """
        tell = self.progress_of(part)
        tell(0, 1)
        before = len(self.failures)
        found = self._try(part, lambda: compute(items), None)
        if found is None:
            del self.failures[before:]
            singly: dict[K, T] = {}
            for done, (key, item) in enumerate(items.items()):
                singly |= self._try(f"{part} of {key}", lambda one={key: item}: compute(one), {})
                tell(done, len(items))
            found = singly
        tell(1, 1)
        return dict(found)

    def _try(self, part: str, compute: Callable[[], T], otherwise: T) -> T:
        try:
            return compute()
        except Exception as error:  # Whatever it is: the scores took hours, and the other parts stand without this one.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.failures.append(Failure(part, reason, traceback.format_exc()))
            return otherwise
