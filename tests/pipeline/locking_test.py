"""One process at a time in a folder, nothing through links, and nothing left behind by a kill."""

import os
import re
import threading

import pytest

from causal_iqa import InputError, pipeline
from tests.pipeline import folders

pytestmark = pytest.mark.usefixtures("small_parts")


def test_of_many_that_start_at_once_one_works_and_the_others_are_told(tmp_path):
    barrier, errors, worked = threading.Barrier(8), [], []

    def start():
        output = folders.make_store(tmp_path / "run")
        barrier.wait()
        try:
            with output.locked():
                worked.append(output)
                folders.score(output)
                done.wait(10)
        except InputError as error:
            errors.append(str(error))
            if len(errors) == 7:
                done.set()

    done = threading.Event()
    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worked) == 1 and len(errors) == 7
    assert all("another run is working in" in error for error in errors)
    assert len(pipeline.read_run(tmp_path / "run").table.image_ids) == folders.NUM_IMAGES


@pytest.mark.parametrize("name", [".lock", "scores", "figures"])
def test_nothing_is_written_through_a_link_out_of_the_folder(tmp_path, name):
    target = tmp_path / "elsewhere"
    if name == ".lock":
        target.write_text("precious")
    else:
        target.mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(target)
    with pytest.raises(InputError, match=rf"{re.escape(name)} is a link or no"):
        folders.score(folders.make_store(tmp_path / "run"))
    assert target.read_text() == "precious" if name == ".lock" else not list(target.iterdir())


def test_a_pipe_named_lock_is_refused_and_hangs_nothing(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(InputError, match=r"\.lock is a link or no plain file"):
        folders.score(folders.make_store(tmp_path))


def test_leftovers_of_a_killed_write_go_and_a_users_file_stays(tmp_path):
    (tmp_path / "scores").mkdir()
    for name in (".0123456789abcdef.tmp", "scores/.part-00000.parquet.4711.tmp", ".mine.tmp"):
        (tmp_path / name).write_text("")
    folders.score(folders.make_store(tmp_path))
    assert [path.name for path in tmp_path.rglob(".*.tmp")] == [".mine.tmp"]
