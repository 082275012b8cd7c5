"""The config refuses what it cannot be, whether it comes from flags, a program or a damaged file."""

import dataclasses
import json

import pytest

from causal_iqa import InputError, pipeline

_CONFIG = pipeline.StudyConfig(networks=(pipeline.NetworkChoice("scene_cnn_a", "scene_cnn_a"),))


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"num_images": 2.0}, "num_images: expected int | None, got 2.0"),
        ({"num_images": True}, "num_images: expected int | None, got True"),
        ({"num_images": "300"}, "num_images: expected int | None, got '300'"),
        ({"seed": None}, "seed: expected int, got None"),
        ({"level": float("nan")}, "level: expected float, got nan"),
        ({"dataset": 5}, "dataset: expected str, got 5"),
        ({"severities": [1.0]}, r"severities: expected tuple\[float, ...\], got \[1.0\]"),
        ({"severities": (float("inf"),)}, "severities: expected tuple"),
        ({"metrics": (None,)}, "metrics: expected tuple"),
        ({"networks": ("scene_cnn_a",)}, "networks: expected tuple"),
        ({"networks": (pipeline.NetworkChoice("caf\udce9", "scene_cnn_a"),)}, "networks: .* cannot be a name"),
        ({"networks": (pipeline.NetworkChoice("a\nb", "scene_cnn_a"),)}, "networks: .* cannot be a name"),
        ({"num_resamples": 10**12}, "num_resamples: expected at most 100000, got 1000000000000"),
        ({"stability_views": 10**6}, "stability_views: expected at most 1000, got 1000000"),
        ({"degradations": ("fog",) * 20_000}, "degradations: fog given twice"),
    ],
)
def test_fields_of_another_type_and_endless_work_are_refused(changes, expected):
    with pytest.raises(InputError, match=expected):
        dataclasses.replace(_CONFIG, **changes)


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, [1], [None], {"a": 1}, [[]], [{"name": 5}], 1.5, True])
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(_CONFIG)])
def test_no_json_value_in_any_field_is_a_traceback(name, value):
    values = {**_CONFIG.to_json(), name: value}
    try:
        found = pipeline.StudyConfig.from_json(values)
    except InputError as error:
        assert name.removeprefix("anchor_") in str(error) or name in ("degradations", "severities"), error
    else:
        assert json.loads(json.dumps(found.to_json())) == values


def test_whole_numbers_serve_as_floats():
    config = dataclasses.replace(_CONFIG, severities=(1, 2.5), crop_fraction=1)
    assert pipeline.StudyConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
