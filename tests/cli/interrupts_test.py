"""A signal ends a binary with one line and its exit code, during import as well as in its main."""

import gc
import io
import os
import pathlib
import signal
import subprocess
import sys
import time
import weakref

import pytest

from causal_iqa.cli import interrupts, running

_ROOT = pathlib.Path(__file__).parents[2]
_SIGNALS = ("SIGINT", "SIGTERM")


@pytest.mark.parametrize("name", _SIGNALS)
@pytest.mark.parametrize("binary", ["align", "score", "audit", "record"])
def test_a_signal_during_import_is_one_line(tmp_path, name, binary):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})\n")
    process = subprocess.run(
        [sys.executable, "-m", f"experiments.{binary}"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{_ROOT}"},
        text=True,
        capture_output=True,
        timeout=60,
    )
    word = {"SIGINT": "interrupted", "SIGTERM": "terminated"}[name]
    assert process.stderr == f"{word} before anything was begun\n"
    assert process.returncode == 128 + getattr(signal, name)


@pytest.mark.parametrize("name", _SIGNALS)
def test_a_signal_in_main_says_what_is_kept(capsys, name):
    number = getattr(signal, name)
    before = signal.getsignal(number)

    def main(_):
        try:
            os.kill(os.getpid(), number)
        except interrupts.Interrupted as error:
            error.add_note("3 of 5 parts are kept")
            raise

    with pytest.raises(SystemExit) as end:
        running.reporting_user_errors(main)(["binary"])
    word = {"SIGINT": "interrupted", "SIGTERM": "terminated"}[name]
    assert capsys.readouterr().err == f"{word}: 3 of 5 parts are kept\n"
    assert end.value.code == 128 + number and signal.getsignal(number) is before


class _Dropping:
    """Sends a signal where Python prints and drops what is raised: in a finaliser or a callback."""

    def __init__(self):
        self.sent = 0

    def send(self, *_):
        self.sent += 1
        if self.sent == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)  # Where Python looks for signals.

    def __del__(self):
        self.send()


def _in_the_collector():
    one = _Dropping()

    def callback(phase, info):
        one.send()

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)


def _in_del():
    one = _Dropping()
    del one


def _in_a_weak_reference():
    one, thing = _Dropping(), type("Thing", (), {})()
    weakref.finalize(thing, one.send)
    del thing


def _in_a_weak_set():
    class Thing:
        pass

    thing = Thing()
    kept = weakref.WeakSet([thing])
    sent = _Dropping()
    reference = weakref.ref(thing, sent.send)  # A callback that only its own file knows.
    del thing
    assert not kept and reference() is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Nothing tells all such callbacks.
@pytest.mark.parametrize("send", [_in_the_collector, _in_del, _in_a_weak_reference, _in_a_weak_set])
def test_a_signal_is_not_lost_where_python_drops_exceptions(send, capsys):
    def main(_):
        send()
        time.sleep(10)

    with pytest.raises(SystemExit) as end:
        running.reporting_user_errors(main)(["binary"])
    assert end.value.code == 128 + signal.SIGTERM and capsys.readouterr().err.startswith("terminated: ")


def test_a_signal_is_not_sent_again_to_what_is_cleaning_up(monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "_LATER", 0.01)
    cleaned = []

    def main(_):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            time.sleep(0.1)
            cleaned.append(True)

    with pytest.raises(SystemExit) as end:
        running.reporting_user_errors(main)(["binary"])
    assert cleaned and end.value.code == 128 + signal.SIGTERM and len(capsys.readouterr().err.splitlines()) == 1


def test_a_name_that_is_not_utf_8_is_printed(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "utf-8"))
    running.reporting_user_errors(lambda _: print(b"caf\xe9.csv".decode("utf-8", "surrogateescape"), flush=True))(["x"])
    assert written.getvalue() == b"caf\\udce9.csv\n"


def test_importing_the_binaries_changes_no_handler():
    assert signal.getsignal(signal.SIGINT) is not interrupts._end_at_once
