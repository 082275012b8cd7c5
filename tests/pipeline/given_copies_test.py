"""Studies of images that are degraded already: trees of folders, arrays, and layouts that are none."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, copies, data, pipeline
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import copy_trees, given_copies

_DEGRADATIONS, _SEVERITIES = ("gaussian_noise", "contrast"), (2.0, 5.0)


@pytest.fixture
def tree(config, tmp_path):
    """The copies of the study's images."""
    wanted = copies.CopyConfig(
        images=config.dataset.removeprefix("folder:"),
        degradations=_DEGRADATIONS,
        severities=_SEVERITIES,
        parameters="cifar_c",
        clean=True,
    )
    copies.write(copies.prepare(wanted, tmp_path / "tree"), tmp_path / "tree")
    return tmp_path / "tree"


def _on(config, tree, **fields):
    there = copy_trees.open_tree(tree).conditions
    return dataclasses.replace(
        config, images=str(tree), degradations=(), severities=(), extra_conditions=tuple(map(str, there)), **fields
    )


def _table(config, folder):
    study = pipeline.prepare(config)
    return study, pipeline.run(study, pipeline.Store(folder, study.config, study.provenance, study.details))


def test_scores_are_those_of_degrading_in_the_study(config, tree, tmp_path, small_parts):
    config = dataclasses.replace(config, metrics=("entropy", "psnr"))
    here = dataclasses.replace(
        config, degradations=_DEGRADATIONS, severities=_SEVERITIES, family="cifar32", quantise="round"
    )
    _, expected = _table(here, tmp_path / "here")
    study, found = _table(_on(config, tree), tmp_path / "given")
    order = [list(map(str, expected.conditions)).index(str(condition)) for condition in found.conditions]
    assert found.image_ids == expected.image_ids and len(found.conditions) == 5
    for name, values in found.columns.items():
        np.testing.assert_allclose(values, expected.columns[name][order], rtol=2e-4, err_msg=name)
    told = study.details["degradations"]
    assert told["family"] == "cifar32" and told["manifest"]["config"]["seed"] == 0 and not told["remarks"]


def test_missing_and_broken_copies_are_named_and_lose_nothing_else(config, tree, tmp_path, small_parts):
    (gone, *_), (broken, *_) = (sorted((tree / place).rglob("*.png")) for place in ("contrast/5", "gaussian_noise/2"))
    gone.unlink()
    broken = broken.with_name(sorted(path.name for path in broken.parent.iterdir())[1])
    broken.write_bytes(b"")
    _, found = _table(_on(config, tree), tmp_path / "run")
    reasons = sorted(reason for _, reason in found.skipped)
    assert len(found.image_ids) == 8 and len(reasons) == 2
    assert reasons[0].startswith("its copy under gaussian_noise/2: ") and reasons[1] == "no copy under contrast/5"


def test_a_changed_tree_is_another_study(config, tree):
    before = pipeline.prepare(_on(config, tree)).fingerprint
    assert pipeline.prepare(_on(config, tree)).fingerprint == before
    path = next((tree / "contrast/5").rglob("*.png"))
    path.write_bytes(path.read_bytes() + b"\0")
    assert pipeline.prepare(_on(config, tree)).fingerprint != before


def test_copies_of_other_images_are_refused(config, tree, tmp_path):
    small = tmp_path / "small"
    for path in (tree / "clean/0").rglob("*.png"):
        (small / path.relative_to(tree / "clean/0")).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.open(path).resize((5, 5)).save(small / path.relative_to(tree / "clean/0"))
    study = pipeline.prepare(_on(dataclasses.replace(config, dataset=f"folder:{small}"), tree))
    with pytest.raises(InputError, match=r"pixels under contrast/2 and 5 x 5 clean"):
        assert study.copies is not None
        study.copies.framed(0, lambda image: image)
    for path in small.rglob("*.png"):
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(InputError, match=r"no copy of .* expected e\.g\. contrast/2/"):
        pipeline.prepare(_on(dataclasses.replace(config, dataset=f"folder:{small}"), tree))


class _Numbered:
    """Images of 32 pixels whose ids end in their number in the whole test set."""

    name, split, class_names, image_shape = "numbered", "test", ("a", "b"), (32, 32)

    def __len__(self):
        return 2

    def id(self, index):
        return f"test_{2 * index + 1:05d}"

    def label(self, index):
        return index

    def __getitem__(self, index):
        return data.Example(np.full((32, 32, 3), 2 * index + 1, np.uint8), index, self.id(index))


def test_arrays_of_cifar_10_c(arrays):
    tree = copy_trees.open_tree(arrays)
    assert [str(c) for c in tree.conditions] == [f"{n}/{s}" for n in ("contrast", "fog") for s in range(1, 6)]
    conditions = (Condition(), Condition("fog", 2.0), Condition("contrast", 5.0))
    joined = given_copies.join(_Numbered(), tree, conditions, np.arange(2))
    batch = next(data.batches(joined, [0, 1], batch_size=2, size=32))
    assert batch.images.shape == (2, 3, 32, 32, 3)
    np.testing.assert_array_equal(batch.images[..., 0, 0, 0], [[1, 5, 117], [3, 7, 119]])
    np.save(arrays / "labels.npy", np.tile([0, 1, 1, 1], 5))
    with pytest.raises(InputError, match=r"1 of 2 labels are not those of .*first that of 'test_00001': 0 here, 1"):
        given_copies.join(_Numbered(), copy_trees.open_tree(arrays), conditions, np.arange(2))


class _NumberedByClass(_Numbered):
    """Four images in the order of the rows, whose ids number the images of each class by themselves."""

    def __len__(self):
        return 4

    def id(self, index):
        return f"test_{'ab'[index // 2]}_{index % 2:04d}"

    def label(self, index):
        return index // 2

    def __getitem__(self, index):
        return data.Example(np.full((32, 32, 3), index, np.uint8), index // 2, self.id(index))


def test_rows_are_positions_where_ids_do_not_name_them(arrays):
    conditions, chosen = (Condition(), Condition("fog", 2.0), Condition("contrast", 5.0)), np.array([1, 2, 3])
    joined = given_copies.join(_NumberedByClass(), copy_trees.open_tree(arrays), conditions, chosen)
    batch = next(data.batches(joined, chosen, batch_size=3, size=32))
    np.testing.assert_array_equal(batch.images[..., 0, 0, 0], [[1, 5, 117], [2, 6, 118], [3, 7, 119]])
    assert any("is its position in the dataset" in one for one in given_copies.details(joined)["remarks"])
    np.save(arrays / "labels.npy", np.tile([0, 1, 1, 1], 5))
    with pytest.raises(InputError, match=r"'test_a_0001': 0 here, 1 in row 1, the position among the images; expected"):
        given_copies.join(_NumberedByClass(), copy_trees.open_tree(arrays), conditions, chosen)


def test_how_given_copies_were_made_is_not_chosen_again(config, tree):
    with pytest.raises(InputError, match="taken as they are"):
        _on(config, tree, quantise="round")
    told = json.loads((tree / "manifest.json").read_text())
    assert told["conditions"]["contrast/5"]["name"] == "contrast/5|family=cifar32"


def test_copies_of_imagenet_c_are_the_central_squares_of_larger_images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("n01/x", "n02/y"):
        clean = rng.integers(0, 256, (60, 90, 3), np.uint8)
        for folder, pixels in (("val", clean), ("c/fog/3", data.fit(clean, 40, crop_fraction=0.875))):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(pixels).save(path)
    source, tree = data.open_source(f"folder:{tmp_path / 'val'}"), copy_trees.open_tree(tmp_path / "c")
    conditions = (Condition.parse("clean"), *tree.conditions)
    joined = given_copies.join(source, tree, conditions, np.arange(2))
    (batch,) = data.batches(joined, range(2), batch_size=2, size=40)
    np.testing.assert_array_equal(batch.images[:, 0], batch.images[:, 1])
    assert "the central square of 0.875 of the shorter side" in given_copies.details(joined)["remarks"][-1]
    # Copies of the images' own size are framed as these are, and others are refused.
    PIL.Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8)).save(tmp_path / "c/fog/3/n02/y.png")
    with pytest.raises(InputError, match="has 30 x 30 pixels under fog/3 and 60 x 90 clean"):
        list(data.batches(joined, range(2), batch_size=2, size=40))
