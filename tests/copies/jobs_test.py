"""Jobs: checked, and shared out in tasks."""

import collections
import dataclasses

import pytest

from causal_iqa import InputError, copies, data
from causal_iqa.copies import jobs


def test_copies_among_the_images_are_refused(config, photos):
    with pytest.raises(InputError, match="lies in the folder of the images"):
        copies.prepare(config, photos / "copies")


def test_geometric_conditions_are_named(config, tmp_path):
    turned = dataclasses.replace(config, degradations=("rotation", "contrast"))
    (remark,) = [line for line in copies.prepare(turned, tmp_path).remarks if "boxes and masks" in line]
    assert remark.startswith("rotation: ")
    assert not [line for line in copies.prepare(config, tmp_path).remarks if "boxes and masks" in line]


def test_tasks_hold_every_image_of_a_condition_once(config, tmp_path):
    job = copies.prepare(config, tmp_path, images_per_task=2)
    assert [task.number for task in job.tasks] == list(range(len(job.tasks)))
    images = collections.defaultdict(list)
    for task in job.tasks:
        assert len(task.indices) <= 2 and {one.structure for one in task.conditions} == {task.structure}
        for condition in task.conditions:
            images[condition] += task.indices
    assert set(images) == set(config.conditions)
    assert all(sorted(own) == list(range(len(job.source))) for own in images.values())
    assert job.num_copies == len(config.conditions) * len(job.source)


def test_sizes_are_read_from_the_headers(config, tmp_path):
    source = copies.prepare(config, tmp_path).source
    sizes = {source.id(i): jobs.size_of(source, i) for i in range(len(source))}
    assert sizes == {
        "a.png": (13, 21),
        "broken.png": (0, 0),
        "c.bmp": (13, 21),
        "c.png": (5, 5),
        "deep/er/b.jpg": (20, 8),
    }
    assert isinstance(source, data.FolderSource)
    gone = dataclasses.replace(source, paths=("nowhere.png",), labels=(data.UNLABELLED,))
    assert jobs.size_of(gone, 0) == (0, 0)
    assert jobs._stamp(gone, 0) == "unreadable"


def test_missing_textures_are_found_before_the_work(config, tmp_path):
    textured = dataclasses.replace(
        config,
        degradations=(),
        extra_conditions=(f"frost[textures={tmp_path / 'none'}]/2|family=cifar32",),
        clean=False,
    )
    with pytest.raises(InputError, match="none"):
        copies.prepare(textured, tmp_path)


def test_a_tree_keeps_its_number_of_images(config, tmp_path):
    copies.begin(copies.prepare(config, tmp_path / "tree", images_per_task=2), tmp_path / "tree")
    with pytest.raises(InputError, match=r"made otherwise: images_per_task \(2 there, null now\)"):
        copies.begin(copies.prepare(config, tmp_path / "tree"), tmp_path / "tree")
    assert "images_per_task" not in copies.prepare(config, tmp_path / "tree").origin
    with pytest.raises(ValueError, match="images_per_task: expected 1 or more, got 0"):
        copies.prepare(config, tmp_path / "tree", images_per_task=0)
