"""What a command is doing, since when, and how long it will take: one line on stderr.

On a terminal the line is drawn again twice a second; elsewhere it is printed from time to time, so that a log stays
short.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from causal_iqa.cli import compilation

_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 15.0
# Shorter compilations, and stages in a log, are not worth a word.
_LEAST_COMPILATION, _LEAST_STAGE = 1.0, 5.0
_CLEAR = "\r\x1b[K"


class Line:
    """The line of one stage of the work."""

    def __init__(
        self,
        description: str,
        unit: str = "",
        compiles: bool = False,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: compilation.Watch | None = None,
    ):
        """Starts a stage.

        Args:
          description: what is done.
          unit: unit of what is counted, in the plural.
          compiles: whether programs are compiled before the first result.
          stream: where the line goes; by default stderr.
          clock: seconds.
          watch: watch of the compilations.
        """
        self._description, self._unit, self._compiles = description, unit, compiles
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._watch = compilation.Watch(clock) if watch is None else watch
        self._start = clock()
        self._done = self._total = 0
        self._kept: int | None = None  # What an earlier run had done.
        self._first: tuple[float, int] | None = None  # When the first result of this run came, and how many there were.
        self._last_printed = self._start
        self._lock = threading.Lock()

    def update(self, done: int, total: int) -> None:
        """Reports how much is done; the first call reports the part that was done before.

        Args:
          done: number of steps done.
          total: number of all steps.
        """
        with self._lock:
            if self._kept is None:
                self._kept = done
            elif self._first is None and done > self._kept:
                self._first = (self._clock(), done)
            self._done, self._total = done, total

    def text(self) -> str:
        """Returns the line."""
        now = self._clock()
        with self._lock:
            parts = [self._counted(now) if self._total else _seconds(now - self._start)]
        compiling = self._watch.in_work()
        waiting = self._compiles and self._first is None and self._done < self._total
        if compiling is not None and now - compiling.since >= _LEAST_COMPILATION:
            about = f" of about {_seconds(compiling.expected)}" if compiling.expected > now - compiling.since else ""
            parts.append(f"compiling, {_seconds(now - compiling.since)}{about}")
        elif waiting and now - self._start >= _LEAST_COMPILATION:
            parts.append(f"building the programs, {_seconds(now - self._start)}")
        return f"{self._description}: {', '.join(parts)}"

    def _counted(self, now: float) -> str:
        counted = f"{self._done} of {self._total} {self._unit}".rstrip()
        if self._done >= self._total:
            return f"{counted}, {_seconds(now - self._start)}"
        if self._first is None or self._done == self._first[1]:
            # What is compiled before the first result has words of its own.
            quiet = self._compiles or now - self._start < _LEAST_COMPILATION
            return counted if quiet else f"{counted}, {_seconds(now - self._start)}"
        rate = (self._done - self._first[1]) / max(now - self._first[0], 1e-9)
        return f"{counted}, {rate:.3g} a second, {_seconds((self._total - self._done) / rate)} left"

    def draw(self) -> None:
        """Draws the line again on a terminal; elsewhere prints it where some time has passed."""
        now = self._clock()
        if self._stream.isatty():
            self._write(f"{_CLEAR}{self.text()}")
        elif now - self._last_printed >= _LOG_SECONDS:
            self._last_printed = now
            self._write(f"{self.text()}\n")

    def close(self, *, keep: bool) -> None:
        """Ends the line.

        Args:
          keep: whether its last message stays, with the time that it took.
        """
        last = self.text() if self._total else f"{self._description}: {_seconds(self._clock() - self._start)}"
        elapsed = self._clock() - self._start
        if self._stream.isatty():
            worth = keep and (bool(self._total) or elapsed >= _LEAST_STAGE)
            self._write(_CLEAR + (f"{last}\n" if worth else ""))
        elif keep and elapsed >= (_TERMINAL_SECONDS if self._total else _LOG_SECONDS):
            self._write(f"{last}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # Nobody reads it any more.
            self._stream.write(text)
            self._stream.flush()


@contextlib.contextmanager
def stage(description: str, unit: str = "", compiles: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Shows one stage of the work while it lasts.

    Args:
      description: what is done.
      unit: unit of what is counted, in the plural.
      compiles: whether programs are compiled before the first result.

    Yields:
      A function of (done, all); a stage that counts nothing need not call it.
    """
    with compilation.Watch() as watch:
        line = Line(description, unit, compiles, watch=watch)
        with _ticking(line.draw):
            try:
                yield line.update
            except BaseException:
                line.close(keep=False)
                raise
        line.close(keep=True)


@contextlib.contextmanager
def steps(description: str, count: int | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """Shows work of several steps, a line each.

    Args:
      description: description of the whole.
      count: how many steps there are; None: not known.

    Yields:
      A function of (name of the step, done, all).
    """
    of = "" if count is None else f" of {count}"
    number, current = 0, ""
    with contextlib.ExitStack() as whole:
        stack = whole.enter_context(contextlib.ExitStack())
        update: Callable[[int, int], None] | None = None

        def tell(step: str, done: int, total: int) -> None:
            nonlocal number, current, update
            if step != current:
                stack.close()
                number, current = number + 1, step
                update = stack.enter_context(stage(f"{description} {number}{of}, {step}"))
            if update is not None and total > 1:
                update(done, total)

        yield tell


@contextlib.contextmanager
def _ticking(draw: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(_TERMINAL_SECONDS):
            draw()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _seconds(seconds: float) -> str:
    """A duration in words: "8 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
