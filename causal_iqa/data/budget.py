"""How much may be decoded: an image no larger than the budget, and all threads together no more than one such image."""

import contextlib
import functools
import threading
from collections.abc import Iterator

from causal_iqa import _checks

# 11,585 squared. A decoded pixel takes about seven bytes at the peak, so an image of this size a gigabyte.
MAX_PIXELS = 2**27

_HELD_UNTIL = threading.local()


def check_max_pixels(max_pixels: int) -> None:
    """Raises InputError unless the budget is a positive number of pixels."""
    if not max_pixels >= 1:
        raise _checks.InputError(f"max_pixels: expected at least one pixel, got {max_pixels}")


class _Gate:
    """Lets work through while its weights sum to no more than the capacity; the heavier waits for the lighter."""

    def __init__(self, capacity: int):
        self._capacity = self._free = capacity
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def entered(self, weight: int) -> Iterator[None]:
        weight = min(weight, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= weight)
            self._free -= weight
        try:
            yield
        finally:
            with self._changed:
                self._free += weight
                self._changed.notify_all()


@functools.cache
def _gate(max_pixels: int) -> _Gate:
    return _Gate(max_pixels)


@contextlib.contextmanager
def spend(num_pixels: int, max_pixels: int) -> Iterator[None]:
    """Waits until so many pixels fit beside what other threads decode.

    Args:
      num_pixels: number of pixels of the image.
      max_pixels: the budget. All threads of the process with the same one share it.

    Yields:
      Nothing. What was taken is given back at the end, or at the end of the surrounding `held_until_used`.
    """
    stack = getattr(_HELD_UNTIL, "stack", None)
    if stack is None:
        with _gate(max_pixels).entered(num_pixels):
            yield
        return
    stack.close()  # The image before is no longer in use when the next one is asked for.
    stack.enter_context(_gate(max_pixels).entered(num_pixels))
    yield


@contextlib.contextmanager
def held_until_used() -> Iterator[None]:
    """Returns the spending of this thread within the block at its end, when the decoded image is no longer needed."""
    with contextlib.ExitStack() as stack:
        _HELD_UNTIL.stack = stack
        try:
            yield
        finally:
            _HELD_UNTIL.stack = None
