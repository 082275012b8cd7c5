"""Fixtures of the pipeline's tests: small parts, and a finished run made in milliseconds."""

import numpy as np
import pytest

from causal_iqa import pipeline
from causal_iqa.pipeline import store
from tests.pipeline import folders


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of four images."""
    monkeypatch.setattr(store, "PART_IMAGES", folders.PART_IMAGES)


@pytest.fixture
def finished(small_parts, tmp_path):
    """The folder of a finished run, and what its files hold."""
    folder = tmp_path / "run"
    folders.score(folders.make_store(folder))
    return folder, folders.content(folder)


@pytest.fixture
def config(tmp_path):
    """A study of ten images and a user's network, which takes milliseconds to prepare."""
    folders.write_images(tmp_path / "images", "ab", range(5))
    (tmp_path / "mine.py").write_text(folders.NETWORK.format(imported=""))
    return pipeline.StudyConfig(
        dataset=f"folder:{tmp_path / 'images'}",
        num_images=None,
        networks=(pipeline.NetworkChoice("mine", f"{tmp_path / 'mine.py'}:make"),),
        degradations=("brightness",),
        severities=(3.0,),
        metrics=("entropy",),
    )


@pytest.fixture
def arrays(tmp_path):
    """A tree like CIFAR-10-C's: four images, five severities of two conditions."""
    values = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    np.save(tmp_path / "fog.npy", values)
    np.save(tmp_path / "contrast.npy", values + 100)
    np.save(tmp_path / "labels.npy", np.tile([0, 0, 1, 1], 5))
    return tmp_path
