"""Which scores there are: by the witnesses at hand and the families asked for."""

import dataclasses

import pytest

from causal_iqa import InputError, backbones, metrics, pipeline, quality
from causal_iqa.pipeline import columns, scorers

_NETWORK = backbones.load_packaged("scene_features")
_VIEW = pipeline.View(48, ("n",), {"b": 48})
_WITNESSES = {columns.witness_key(kind, "b", _VIEW.name): None for kind in ("plain", "regularised")}


def _names(**named):
    found = scorers.of_backbone(_VIEW, "b", {"b": _NETWORK}, {"num_anchors": 9}, _WITNESSES, **named)
    return {scorer.column.name for scorer in found}


def test_a_score_needs_its_witness():
    readable = {name for name, spec in quality.TABLE.items() if spec.witness in ("none", "plain", "regularised")}
    assert _names() == {f"{name}@b" for name in readable} and "stages_free@b" not in _names()


def test_families_and_suffixes():
    free = {name for name, spec in quality.TABLE.items() if spec.family == "label_free"}
    assert _names(families=("label_free",), is_one_of_several=True) == {
        f"{name}@b@48px" for name in free if f"{name}@b" in _names()
    }


def test_fewer_anchors_have_columns_of_their_own():
    key = columns.witness_key("stages", "b", _VIEW.name, columns.count_variant(4))
    found = scorers.of_backbone(_VIEW, "b", {"b": _NETWORK}, {"num_anchors": 9}, {key: None}, counts=(4,))
    own = {
        scorer.column.name: scorer.column.passport["num_anchors"] for scorer in found if "[m=4]" in scorer.column.name
    }
    assert own == dict.fromkeys(("stages_free@b[m=4]", "stages_guided@b[m=4]"), 4)


def test_a_metric_whose_name_cannot_be_printed_is_refused(monkeypatch):
    spec = dataclasses.replace(metrics.TABLE["entropy"], name="niqe@caf\udce9")
    monkeypatch.setattr(metrics, "resolve", lambda name: spec)
    with pytest.raises(InputError, match="cannot be the name of a column; rename the file"):
        scorers.resolve_metrics(["entropy"])
