"""Tasks in several processes."""

from causal_iqa import copies
from causal_iqa.copies import processes
from tests.copies import trees


def test_several_processes_give_the_same_files(tree, config, tmp_path):
    copies.write(copies.prepare(config, tmp_path / "tree"), tmp_path / "tree", num_processes=2)
    assert trees.contents(tmp_path / "tree") == trees.contents(tree)


def test_bundles_hold_every_task_once_and_one_program_each(config, tmp_path):
    (task, *_) = copies.prepare(config, tmp_path).tasks
    tasks = [task._replace(number=i, canvas=(8 * (i % 3 + 1), 8)) for i in range(40)]
    for num_processes in (1, 2, 100):
        bundles = processes._bundles(tasks, num_processes)
        assert sorted(one.number for bundle in bundles for one in bundle) == list(range(40))
        assert all(len({one.canvas for one in bundle}) == 1 for bundle in bundles)
    assert len(processes._bundles(tasks, 100)) == 40, "as many as there are tasks, for more processes than those"
    assert processes._bundles([], 2) == []
