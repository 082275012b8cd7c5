"""What the commands show of their work: what is done, since when, how long it will take, compilation included."""

import io
import os
import subprocess
import sys

from causal_iqa.cli import compilation, progress


class _Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _line(stream=None, **options):
    clock = _Clock()
    watch = compilation.Watch(clock)
    stream = io.StringIO() if stream is None else stream
    return progress.Line("95 conditions", "images", stream=stream, clock=clock, watch=watch, **options), clock, watch


def test_a_stage_says_what_is_done_and_how_long_the_rest_takes():
    line, clock, _ = _line()
    line.update(64, 300)  # Of an earlier run.
    assert line.text() == "95 conditions: 64 of 300 images"
    clock.now = 10.0
    assert line.text() == "95 conditions: 64 of 300 images, 10 s"
    line.update(80, 300)  # The first batch tells no rate, for compilation is in it.
    assert line.text() == "95 conditions: 80 of 300 images, 10 s"
    clock.now = 14.0
    line.update(100, 300)
    assert line.text() == "95 conditions: 100 of 300 images, 5 a second, 40 s left"
    clock.now = 200.0
    line.update(300, 300)
    assert line.text() == "95 conditions: 300 of 300 images, 3 min 20 s"


def test_a_terminal_sees_one_line_drawn_anew_and_a_log_stays_short():
    line, clock, _ = _line(_Terminal())
    line.update(1, 3)
    line.draw()
    line.draw()
    line.close(keep=True)
    assert line._stream.getvalue().count("\n") == 1
    line, clock, _ = _line()
    line.update(0, 100)
    for clock.now in range(40):
        line.draw()
    line.close(keep=False)
    assert line._stream.getvalue().count("\n") == 2


def test_steps_have_a_line_each(monkeypatch):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.steps("analysis", 2) as tell:
        tell("intervals", 0, 1)
        tell("intervals", 7, 7)
        tell("gains", 0, 1)
        tell("gains", 2, 2)
    kept = [line.split("\x1b[K")[-1] for line in terminal.getvalue().strip("\n").split("\n")]
    assert kept == ["analysis 1 of 2, intervals: 7 of 7, 0 s", "analysis 2 of 2, gains: 2 of 2, 0 s"]


def test_commands_keep_xla_quiet_unless_the_environment_says_otherwise():
    code = (
        "import os; from causal_iqa.cli import running; running.quiet_xla(); print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    for said, expected in (({}, "3"), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, "0")):
        environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"} | said
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
        )
        assert ended.stdout.strip() == expected
