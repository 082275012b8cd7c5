"""Ctrl-C and SIGTERM end a binary with one line and the exit code that shells expect, whenever they come.

This module imports nothing slow: the package calls `quiet_until_main` before it imports JAX, which takes seconds.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_SIGNALS: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
# Seconds until a signal is sent again: that came where Python is known to drop exceptions, or anywhere else.
_SOON, _LATER = 0.05, 1.0
_OF_WEAK_REFERENCES = (weakref.__file__, weakref.WeakSet.add.__code__.co_filename)


class Interrupted(KeyboardInterrupt):
    """A signal came; its notes say what is kept."""

    def __init__(self, number: int):
        """Keeps the number of the signal."""
        super().__init__(_SIGNALS[number])
        self.number = number


def quiet_until_main() -> None:
    """Until `interruptible` begins, a signal ends the process with one line: nothing has been begun."""
    for number in _SIGNALS:
        signal.signal(number, _end_at_once)


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, f"{_SIGNALS[number]} before anything was begun\n".encode())
    os._exit(128 + number)


class _Again:
    """Sends the signal once more, in case Python drops the exception that it raises; one at a time."""

    timer: threading.Timer | None = None
    came = False

    @classmethod
    def send(cls, number: int, seconds: float) -> None:
        cls.cancel()

        def kill() -> None:
            cls.came = True
            os.kill(os.getpid(), number)

        cls.timer = threading.Timer(seconds, kill)
        cls.timer.daemon = True
        cls.timer.start()

    @classmethod
    def cancel(cls) -> None:
        if cls.timer is not None:
            cls.timer.cancel()
        cls.timer, cls.came = None, False


def _raise(number: int, frame: FrameType | None) -> None:
    if _Again.came and isinstance(sys.exc_info()[1], KeyboardInterrupt):
        _Again.came = False
        return  # The exception was not dropped: what it passes is cleaning up.
    if _would_be_dropped(frame):
        _Again.send(number, _SOON)
        return
    _Again.send(number, _LATER)
    raise Interrupted(number)


def _would_be_dropped(frame: FrameType | None) -> bool:
    """Whether Python runs a finaliser or a callback of the garbage collector: it prints and drops what these raise."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        if code in callbacks or code.co_name == "__del__" or code.co_filename in _OF_WEAK_REFERENCES:
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turns a signal into one line that says what is kept, and an exit with the signal's code.

    Whoever has work to keep adds a note to the exception (`BaseException.add_note`) as it passes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread is told of signals.
        return
    before = {number: signal.signal(number, _raise) for number in _SIGNALS}
    try:
        yield
    except KeyboardInterrupt as error:
        notes = getattr(error, "__notes__", ["written files are whole; give the same command again"])
        print(f"{error or 'interrupted'}: {'; '.join(notes)}", file=sys.stderr)
        sys.exit(128 + getattr(error, "number", signal.SIGINT))
    finally:
        _Again.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
