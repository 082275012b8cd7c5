"""The dataset specification of the command line."""

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data


@pytest.fixture
def root(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "cat").mkdir(parents=True)
        PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / part / "cat" / "a.png")
    return tmp_path


def test_folder(root):
    source = data.open_source(f"folder:{root}", split="train", classes=["dog", "cat"])
    assert (source.name, source.split, source.label(0)) == (f"folder:{root}", "train", 1)


def test_tfds_passes_version_and_options_through(monkeypatch):
    seen = {}
    monkeypatch.setattr("causal_iqa.data.open.tfds_source.open_tfds", lambda name, **rest: seen.update(rest, name=name))
    data.open_source("tfds:cifar10:3.0.2", split="train", data_dir="somewhere", download=True, max_pixels=99)
    expected = {"name": "cifar10:3.0.2", "split": "train", "data_dir": "somewhere", "download": True, "max_pixels": 99}
    assert seen == expected


@pytest.mark.parametrize("split", [None, "train"])
def test_scenes_go_through_the_batcher(split):
    source = data.open_source("scenes", split=split, seed=3)
    assert isinstance(source, data.Source)
    assert source.split == (split or "test")
    indices = data.choose(source, 5, seed=0)
    (batch,) = data.batches(source, indices, batch_size=8, size=source.image_shape[0])
    assert batch.valid.tolist() == [True] * 5 + [False] * 3
    for image, index in zip(batch.images, indices, strict=False):
        np.testing.assert_array_equal(image, source[int(index)].image)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("fodler:x", "unknown kind 'fodler', .*did you mean folder"),
        ("cifar10", "unknown kind 'cifar10', .*expected scenes, tfds:NAME or folder:PATH"),
        ("", "unknown kind ''"),
        ("tfds:", "names nothing"),
        ("folder", "names nothing"),
        ("scenes:train", "choose the part by the split"),
    ],
)
def test_bad_specification(spec, said):
    with pytest.raises(InputError, match=said):
        data.open_source(spec)
