"""The steps of `align`: a backbone that was chosen for the user never stops a study, and shares wait for each other."""

import contextlib
import types
from typing import Any

import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.cli import running_study

_CONFIG = pipeline.StudyConfig(
    networks=(pipeline.NetworkChoice("net", "scene_cnn_a"),), backbones=(pipeline.NetworkChoice("eye", "scene_cnn_b"),)
)


@pytest.fixture
def prepared(monkeypatch):
    """Configs that were prepared; those with a backbone are refused."""
    found = []

    def prepare(config, execution, *, progress):
        found.append(config)
        if config.backbones:
            raise InputError("backbone: lost")
        return "study"

    monkeypatch.setattr(pipeline, "prepare", prepare)
    return found


def test_a_chosen_backbone_is_left_out_where_it_fails(prepared):
    study, remark = running_study.prepare(_CONFIG, pipeline.Execution(), "chosen for you")
    assert study == "study" and [bool(config.backbones) for config in prepared] == [True, False]
    assert remark == "no --backbone given, and the new metrics are left out (backbone: lost)"


def test_a_given_backbone_is_not(prepared):
    with pytest.raises(InputError, match="backbone: lost"):
        running_study.prepare(_CONFIG, pipeline.Execution(), "")
    assert len(prepared) == 1


def test_the_first_look_is_left_out_where_nothing_is_to_be_scored(monkeypatch, capsys):
    def look(study, execution):
        raise AssertionError("looked")

    monkeypatch.setattr(pipeline, "first_look", look)
    done: Any = types.SimpleNamespace(has_part=lambda number: True, num_parts=lambda images: 3)
    study: Any = types.SimpleNamespace(networks=("a",), indices=range(9))
    running_study.print_first_look(study, done, pipeline.Execution())
    open_: Any = types.SimpleNamespace(has_part=lambda number: number != 2, num_parts=lambda images: 3)
    none: Any = types.SimpleNamespace(networks=(), indices=range(9))
    running_study.print_first_look(none, open_, pipeline.Execution())
    with pytest.raises(AssertionError, match="looked"):
        running_study.print_first_look(study, open_, pipeline.Execution())


def test_a_share_is_scored_between_the_places_where_processes_meet(monkeypatch):
    events = []
    team: Any = types.SimpleNamespace(index=1, count=2, wait=events.append)

    @contextlib.contextmanager
    def joined():
        events.append("joined")
        yield
        events.append("left")

    def run_share(study, output, execution, *, index, count, progress):
        events.append(f"{index} of {count}")

    monkeypatch.setattr(pipeline, "run_share", run_share)
    study: Any = types.SimpleNamespace(config=_CONFIG)
    store: Any = types.SimpleNamespace(joined=joined)
    running_study.score_share(study, store, pipeline.Execution(), team)
    assert events == ["begun", "joined", "1 of 2", "left", "scored", "reported"]
