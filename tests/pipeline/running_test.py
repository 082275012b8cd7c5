"""A study shared out among processes: their parts are those of one, and a folder that nobody began is refused."""

import dataclasses

import numpy as np
import pytest

from causal_iqa import InputError, pipeline


@pytest.fixture
def study(config, small_parts):
    return pipeline.prepare(config)


def _store(study, folder):
    return pipeline.Store(folder, study.config, study.provenance, study.details)


def _parts(folder):
    return {path.name: path.read_bytes() for path in (folder / "scores").iterdir()}


def test_shares_make_up_the_run(study, tmp_path, monkeypatch):
    pipeline.run(study, _store(study, tmp_path / "one"))
    first, second = _store(study, tmp_path / "two"), _store(study, tmp_path / "two")
    told = []
    with first.locked():
        with second.joined():
            pipeline.run_share(study, second, index=1, count=2, progress=lambda *done: told.append(done))
        assert set(_parts(tmp_path / "two")) == {"part-00001.parquet"}, "every second part"
        assert told[0] == (0, 4) and told[-1] == (4, 4), "of ten images in three parts"
        pipeline.run_share(study, first, index=0, count=2)
        made = []
        monkeypatch.setattr("causal_iqa.pipeline.study.rows.make_step", lambda *_: made.append(1))
        pipeline.run(study, first)
        assert made == [], "nothing is left to score"
    assert _parts(tmp_path / "one") == _parts(tmp_path / "two")
    with pytest.raises(ValueError, match="index: expected 0 to 1 of 2 processes, got 2"):
        pipeline.run_share(study, first, index=2, count=2)


def test_only_a_folder_that_holds_the_study_is_joined(study, tmp_path):
    with (
        pytest.raises(InputError, match="holds no run that the first process has begun"),
        _store(study, tmp_path).joined(),
    ):
        pass
    with _store(study, tmp_path).locked():
        pass
    parts = {**study.provenance.parts, "network mine": "other weights"}
    other = dataclasses.replace(study.provenance, fingerprint="other", parts=parts)
    store = pipeline.Store(tmp_path, study.config, other, study.details)
    with pytest.raises(InputError, match="holds another run: the network mine changed"), store.joined():
        pass


def test_a_store_of_smaller_parts_has_the_same_numbers_and_a_run_keeps_its_parts(study, tmp_path):
    whole = pipeline.run(study, _store(study, tmp_path / "whole"))
    options = study.config, study.provenance, study.details
    small = pipeline.Store(tmp_path / "small", *options, images_per_part=3)
    found = pipeline.run(study, small)
    assert sorted(_parts(tmp_path / "small")) == [f"part-0000{i}.parquet" for i in range(4)]
    assert found.image_ids == whole.image_ids
    for name, values in whole.columns.items():
        np.testing.assert_allclose(found.columns[name], values, rtol=1e-6, err_msg=name)
    asked, told = pipeline.Store(tmp_path / "small", *options, images_per_part=5), []
    pipeline.run(study, asked, progress=lambda *done: told.append(done))
    assert asked.images_per_part == 3 and told == [(10, 10)], "a run that has begun keeps its parts"
    assert pipeline.read_run(tmp_path / "small").table.image_ids == whole.image_ids
    with pytest.raises(ValueError, match="images_per_part: expected 1 or more, got 0"):
        pipeline.Store(tmp_path / "small", *options, images_per_part=0)
