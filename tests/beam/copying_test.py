"""Copies that workers write, without Beam: those of one process, and twice done is once."""

import pickle

import pytest

from causal_iqa import InputError, copies
from causal_iqa.beam import copying, running


def _sent(value):
    return pickle.loads(pickle.dumps(value))


def test_copies_written_by_workers_are_those_of_one_process(images, tmp_path):
    config = copies.CopyConfig(str(images), degradations=("contrast",), severities=(3.0,), parameters="cifar_c")
    copies.write(copies.prepare(config, tmp_path / "alone", images_per_task=4), tmp_path / "alone")
    prepared = copies.prepare(config, tmp_path / "out", images_per_task=4)
    tasks = [(task, [prepared.source.id(i) for i in task.indices]) for task in prepared.tasks]
    assert len(tasks) == 4
    folder = copies.begin(prepared, tmp_path / "out")
    job = copying.Job(config, str(folder), running.Surroundings.here())
    for element in [*reversed(tasks), tasks[0]]:
        assert copying.do_task(_sent(element), job) == element[0].number
    (folder / ".parts" / "000001.json").unlink()
    with pytest.raises(InputError, match=r"1 of 4 parts of .* are missing or damaged"):
        copies.finish(prepared, folder)
    copying.do_task(tasks[1], job)
    assert len(copies.finish(prepared, folder)) == 4
    for name in ("manifest.parquet", "manifest.json", "contrast/3/b/1.png"):
        assert (folder / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    with pytest.raises(InputError, match="sees other images than the command did when it began, from gone on"):
        copying.do_task((tasks[0][0], ["gone", *tasks[0][1][1:]]), job)
