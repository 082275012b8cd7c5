"""A worker: killed in the middle, on a full disk, before other images."""

import pathlib

import pytest

from causal_iqa import InputError, copies
from causal_iqa.copies import manifest, worker
from tests.copies import trees


def test_a_killed_run_goes_on_and_gives_the_same_files(tree, config, tmp_path, monkeypatch):
    out = tmp_path / "tree"
    job = copies.prepare(config, out)
    stored = worker.Worker._write
    count = 0

    def dies(self, path, content):
        nonlocal count
        count += 1
        if count == 12:
            raise KeyboardInterrupt
        stored(self, path, content)

    with monkeypatch.context() as patch:
        patch.setattr(worker.Worker, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            copies.write(job, out)
    assert not (out / manifest.PARQUET).exists()
    done = []
    copies.write(copies.prepare(config, out), out, progress=lambda done_, total: done.append((done_, total)))
    assert 0 < done[0][0] < done[0][1] == done[-1][0]
    assert trees.contents(out) == trees.contents(tree)


def test_disk_errors_end_in_one_line(config, tmp_path, monkeypatch):
    job = copies.prepare(config, tmp_path / "tree")

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); written files are kept"):
        copies.write(job, tmp_path / "tree")
    assert not list((tmp_path / "tree").rglob(".*.tmp"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output_dir: .* cannot be made or written"):
        copies.write(job, tmp_path / "file" / "tree")


def test_a_worker_knows_what_is_done_and_its_images(config, tree, tmp_path):
    job = copies.prepare(config, tree)
    there = copies.Worker.opening(config, tree)
    assert all(map(there.has_done, job.tasks))
    assert there.ids(job.tasks[0]) == [job.source.id(index) for index in job.tasks[0].indices]
    assert there.ids(job.tasks[0]._replace(indices=(0, 5))) is None
    empty = copies.Worker.opening(config, tmp_path)
    assert not empty.has_done(job.tasks[0])


def test_a_task_is_given_up_when_told(config, tmp_path):
    job = copies.prepare(config, tmp_path / "tree")
    folder = copies.begin(job, tmp_path / "tree")
    with pytest.raises(InputError, match="stopped"):
        copies.Worker.opening(config, folder).do(job.tasks[0], lambda: True)
    assert not manifest.part_path(folder, job.tasks[0].number).exists()
