"""Fixtures of the pipeline's tests: small parts, and a finished run made in milliseconds."""

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
