"""Watches JAX compile: which program, since when, and about how long it will take."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from jax import monitoring

_TRACED = "/jax/core/compile/jaxpr_trace_duration"
_LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_COMPILED = "/jax/core/compile/backend_compile_duration"
# XLA takes about so many times as long as JAX took to trace and lower a program (that of the default study, two cores).
_XLA_OVER_JAX = 12.0


class Compiling(NamedTuple):
    """A compilation in work: since when, and how many seconds it is expected to take."""

    since: float
    expected: float


class Watch:
    """Knows the compilation in work, from events that JAX tells; programs compiled side by side count together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """Starts with nothing in work.

        Args:
          clock: seconds.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._traced: dict[str, float] = {}
        self._in_work: list[Compiling] = []

    def __enter__(self) -> "Watch":
        monitoring.register_event_duration_secs_listener(self.hear)
        return self

    def __exit__(self, *_: Any) -> None:
        monitoring.unregister_event_duration_listener(self.hear)

    def hear(self, event: str, duration_secs: float, **about: str | int) -> None:
        """Takes one event of JAX.

        Args:
          event: its name.
          duration_secs: duration in seconds.
          **about: "fun_name" of the program.
        """
        name = str(about.get("fun_name", "")).removeprefix("jit(").removesuffix(")")
        with self._lock:
            if event == _TRACED:
                self._traced[name] = duration_secs
            elif event == _LOWERED:
                expected = _XLA_OVER_JAX * (self._traced.pop(name, 0.0) + duration_secs)
                self._in_work.append(Compiling(self._clock(), expected))
            elif event == _COMPILED and self._in_work:
                self._in_work.pop()

    def in_work(self) -> Compiling | None:
        """Returns the longest compilation in work, or None."""
        with self._lock:
            return max(self._in_work, key=lambda one: one.expected, default=None)
