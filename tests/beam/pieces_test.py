"""What the workers of a pipeline do, without Beam: parts scored apart are those of one process, twice done is once."""

import dataclasses
import json
import os
import pickle
import sys

import PIL.Image
import pytest

from causal_iqa import InputError, _score, beam, copies, pipeline
from causal_iqa.beam import copying, running, scoring
from causal_iqa.pipeline import scored
from tests.experiments.binaries import error_of, run

_EXECUTION = pipeline.Execution(num_devices=1)
_SETTINGS = {"map": None, "diagnosis": "all causes"}


@pytest.fixture
def no_diagnosis(monkeypatch):
    """Causes are not looked for: their program takes long to compile."""
    monkeypatch.setattr(_score, "diagnosis", lambda num_devices=None: None)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for i in range(9):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (32, 32), (i, 9 * i, 255 - i)).save(folder / "ab"[i % 2] / f"{i}.png")
    (folder / "a" / "broken.png").write_bytes(b"nothing")
    return folder


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


def test_copies_written_by_workers_are_those_of_one_process(images, tmp_path, monkeypatch):
    monkeypatch.setattr("causal_iqa.copies.jobs._TASK_IMAGES", 4)
    config = copies.CopyConfig(str(images), degradations=("contrast",), severities=(3.0,), parameters="cifar_c")
    copies.write(copies.prepare(config, tmp_path / "alone"), tmp_path / "alone")
    prepared = copies.prepare(config, tmp_path / "out")
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
