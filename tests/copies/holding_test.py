"""One run at a time in a tree of copies, its own processes together, and nothing left behind by a kill."""

import re
import subprocess
import sys
import threading

import pytest

from causal_iqa import InputError, copies
from tests.copies import trees

_HOLDS = """
import sys
from causal_iqa import copies
with copies.hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """A tree that another process holds."""
    command = [sys.executable, "-c", _HOLDS, str(tmp_path / "tree")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_tree_in_which_another_run_works_is_refused_untouched(config, held, tmp_path):
    out = tmp_path / "tree"
    job = copies.prepare(config, out)
    refusal = re.escape(f"output_dir: another run is working in {out}")
    for call in (copies.write, copies.begin, copies.finish):
        with pytest.raises(InputError, match=f"^{refusal}$"):
            call(job, out)
    with pytest.raises(InputError, match=f"^{refusal}$"):
        copies.write_annotations(job, out, boxes=tmp_path)
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_killed_run_gives_its_tree_back(config, tree, held, tmp_path):
    held.kill()
    held.wait()
    copies.write(copies.prepare(config, tmp_path / "tree"), tmp_path / "tree")
    assert trees.contents(tmp_path / "tree") == trees.contents(tree)


def test_within_itself_it_does_nothing_but_threads_are_runs_of_their_own(tmp_path):
    errors = []

    def other():
        try:
            with copies.hold(tmp_path):
                pass
        except InputError as error:
            errors.append(str(error))

    def start():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with copies.hold(tmp_path) as tree, copies.hold(tmp_path / "." / "") as same:
        assert tree == same == tmp_path
        start()
    assert errors == [f"output_dir: another run is working in {tmp_path}"]
    start()
    assert len(errors) == 1


def test_what_a_killed_write_left_is_removed_by_the_run_that_continues(config, tree, tmp_path):
    out = tmp_path / "tree"
    job = copies.prepare(config, out)
    copies.begin(job, out)
    left = [out / ".0123456789abcdef.tmp", out / "contrast/2/deep/.fedcba9876543210.tmp"]
    mine = out / "contrast/2/.mine.tmp"
    mine.parent.mkdir(parents=True)
    for path in (*left, mine):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    copies.write(job, out)
    assert not any(path.exists() for path in left) and mine.read_bytes() == b"half"
    mine.unlink()
    assert trees.contents(out) == trees.contents(tree)
