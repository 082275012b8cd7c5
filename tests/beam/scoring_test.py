"""What the workers of a pipeline do, without Beam: parts scored apart are those of one process, twice done is once."""

import dataclasses
import json
import os
import pickle
import sys

import pytest

from causal_iqa import InputError, beam, pipeline
from causal_iqa.beam import running, scoring
from causal_iqa.pipeline import scored
from tests.experiments.binaries import error_of, run

_EXECUTION = pipeline.Execution(num_devices=1)
_SETTINGS = {"map": None, "diagnosis": "all causes"}


@pytest.fixture
def begun(images, tmp_path, monkeypatch, no_diagnosis):
    """A scoring that the workers are to do: its store, its parts with their stamps, and the job."""
    monkeypatch.setattr(scored, "PART_IMAGES", 4)
    config = pipeline.ScoringConfig(images=(str(images),), metrics=("entropy",))
    work = pipeline.prepare_scoring(config, _EXECUTION)
    store = pipeline.ScoringStore(tmp_path / "out", work, _SETTINGS)
    parts = {part: pipeline.stamp_of(work.sets[0], part) for part in pipeline.parts_of(work.sets)}
    job = scoring.Job(
        config,
        None,
        _EXECUTION,
        str(store.folder),
        json.dumps(_SETTINGS),
        json.dumps(store.provenance),
        running.Surroundings.here(),
    )
    return store, parts, job


def _sent(value):
    return pickle.loads(pickle.dumps(value))


def _kept(folder):
    return {path.name: path.read_bytes() for path in (folder / "scores").iterdir()}


def test_parts_scored_by_workers_are_those_of_one_process(begun, tmp_path):
    store, parts, job = begun
    alone = pipeline.ScoringStore(tmp_path / "alone", store.work, _SETTINGS)
    with alone.locked():
        stamps = pipeline.score_sets(store.work, alone, _EXECUTION)
    assert stamps == parts and len(parts) == 3
    with store.locked():
        # Out of order, through pickles as an engine sends them, and one of them twice.
        order = [*reversed(parts.items()), *parts.items()][:4]
        found = [
            pickle.loads(pickle.dumps(scoring.score_part(element, pickle.loads(pickle.dumps(job)))))
            for element in order
        ]
        assert found[3] == found[2], "what an engine does again gives the same"
    assert _kept(store.folder) == _kept(alone.folder)
    merged = pipeline.merge_totals(found[:3])
    assert merged == pipeline.total_parts(store.work, alone, stamps)
    assert merged.sets["images"].images == 9 and merged.sets["images"].unreadable == 1
    scoring.write_totals(merged, job, tuple(stamps.values()))
    assert pipeline.Totals.read(store.folder) == merged.of_run(store.provenance, stamps.values())


def test_a_worker_that_sees_other_images_or_another_library_is_refused(begun, images):
    store, parts, job = begun
    other = json.loads(job.provenance) | {"version of NumPy": "0.9"}
    with store.locked():
        element = next(iter(parts.items()))
        with pytest.raises(InputError, match=r"would score otherwise than the command: version of NumPy \(0\.9 there"):
            scoring.score_part(element, dataclasses.replace(job, provenance=json.dumps(other)))
        os.utime(images / "a" / "0.png", (0, 0))
        with pytest.raises(InputError, match=r"sees other images from a/0\.png on than the command did"):
            scoring.score_part(element, job)
        with pytest.raises(InputError, match="sees fewer images"):
            scoring.score_part((pipeline.Part(0, 9, 40, 44), "stamp"), job)
    assert _kept(store.folder) == {}


def test_a_worker_without_the_folder_is_refused(begun, tmp_path):
    _, parts, job = begun
    surroundings = dataclasses.replace(job.surroundings, working_directory=str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match=r"a worker does not see .*elsewhere .*the same paths on all machines"):
        scoring.score_part(next(iter(parts.items())), dataclasses.replace(job, surroundings=surroundings))


def test_totals_take_the_place_of_the_report(images, tmp_path, capsys, no_diagnosis):
    flags = (f"--images={images}", "--metrics=entropy", "--backbone=none", "--num_devices=1")
    run("score", *flags, f"--output_dir={tmp_path / 'out'}", "--noreport")
    said = capsys.readouterr().out
    assert "images: 9 images, 1 unreadable; entropy 0 on average, half of the images above 0" in said
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_file()} == {
        ".lock",
        "config.json",
        "totals.json",
    }
    run("score", *flags, f"--output_dir={tmp_path / 'out'}")
    assert (tmp_path / "out" / "scores.parquet").exists(), "the report can follow"


def test_without_beam_the_extra_is_named(images, tmp_path, capsys, monkeypatch, no_diagnosis):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    words = "runner: Apache Beam is not installed (pip install 'causal-iqa[beam]', in an environment of its own)"
    flags = (f"--images={images}", f"--output_dir={tmp_path / 'out'}", "--runner=DirectRunner")
    assert error_of(capsys, "degrade", *flags, "--degradations=contrast", "--parameters=cifar_c") == f"error: {words}"
    assert error_of(capsys, "score", *flags, "--metrics=entropy", "--backbone=none") == f"error: {words}"
    with pytest.raises(InputError, match="Apache Beam is not installed"):
        beam.write_copies(None, tmp_path, runner="DirectRunner")  # pyright: ignore[reportArgumentType]


def test_flags_of_beam_need_a_runner(capsys):
    for command, given in (("score", "--images=x"), ("degrade", "--images=x")):
        flags = [given, *(["--output_dir=y"] if command == "degrade" else [])]
        said = error_of(capsys, command, *flags, "--", "--direct_num_workers=2")
        assert said.startswith("error: unexpected argument '--direct_num_workers=2'") and "--runner=NAME" in said
        assert "unexpected argument 'photos'" in error_of(capsys, command, *flags, "--runner=DirectRunner", "photos")
    said = error_of(capsys, "degrade", "--images=x", "--output_dir=y", "--runner=DirectRunner", "--num_processes=2")
    assert "num_processes: with --runner the runner decides how many workers it has" in said
