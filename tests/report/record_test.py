"""The record's tables say what the summaries say, and only what stands between the marks is replaced."""

import json

import pytest

from causal_iqa._checks import InputError
from causal_iqa.report import record


def _interval(rho, low=None, high=None):
    return {"rho": rho, "low": low, "high": high}


def _entry(family, *rhos):
    numbers = dict(zip(("between", "within", "pooled"), rhos, strict=True))
    return {"family": family, "alignment": {"all": numbers}}


def _predicted(error, low, high, *reads):
    return {"all": {"mean_absolute": error, "low": low, "high": high, "reads": list(reads)}}


_SUMMARY = {
    "num_images": 12,
    "conditions": ["clean/0", "fog/1", "fog/2"],
    "networks": {"net": {"clean_accuracy": 0.915}},
    "metrics": {
        "ssim": _entry("full_reference", _interval(0.5, 0.4, 0.6), _interval(0.1), _interval(None)),
        "stages_free@b": _entry("label_free", _interval(0.91234, 0.9, 0.93), _interval(0.3), _interval(0.4)),
        "stages_free@b[m=10]": _entry("label_free", _interval(0.7), _interval(0.2), _interval(0.25)),
    },
    "predicted_accuracy": {
        "ssim": _predicted(0.08, 0.07, 0.095, "clean_image", "other_performance"),
        "gde": _predicted(0.05, None, None, "own_outputs", "second_outputs"),
    },
}
_CONFIG = {"dataset": "d", "backbones": [{"name": "b"}], "anchors": "images", "num_anchors": 50, "seed": 0} | {
    "num_resamples": 9
}


def _page(*names):
    return "before\n" + "".join(f"<!-- run/{name} -->\nold\n<!-- end -->\nkept {name}\n" for name in names) + "after"


def test_tables_hold_the_numbers_and_the_rest_stays():
    page = record.fill(
        _page("alignment", "anchors", "accuracy", "settings"), {"run": record.Recorded(_SUMMARY, _CONFIG)}
    )
    assert "old" not in page and page.startswith("before\n") and page.endswith("kept settings\nafter")
    lines = page.splitlines()
    ours = lines.index("| `stages_free@b` | label free | 0.912 [0.90, 0.93] | 0.300 | 0.400 |")
    assert lines[ours + 1] == "| `ssim` | full reference | 0.500 [0.40, 0.60] | 0.100 | - |"
    assert "| `stages_free@b` | 10 | 0.700 | 0.200 | 0.250 |" in lines
    assert "| `stages_free@b` | 50 | 0.912 [0.90, 0.93] | 0.300 | 0.400 |" in lines
    accuracy = lines.index(
        "| `gde` | network output | outputs of the judged network; outputs of another network of the task | 5.0 |"
    )
    reads = "pristine reference of each judged image; performance under the other degradations"
    assert lines[accuracy + 1] == f"| `ssim` | full reference | {reads} | 8.0 [7.0, 9.5] |"
    assert any("12 images" in line and "net (91.5 % clean)" in line for line in lines)
    assert record.fill(page, {"run": record.Recorded(_SUMMARY, _CONFIG)}) == page


def test_places_without_a_run_stay_and_mistakes_are_named(tmp_path):
    other = _page("alignment").replace("run/", "elsewhere/")
    both = _page("alignment") + other
    assert "<!-- elsewhere/alignment -->\nold" in record.fill(both, {"run": record.Recorded(_SUMMARY, _CONFIG)})
    with pytest.raises(InputError, match="no place for run run"):
        record.fill(other, {"run": record.Recorded(_SUMMARY, _CONFIG)})
    with pytest.raises(InputError, match="unknown table 'nonsense'"):
        record.fill(_page("nonsense"), {"run": record.Recorded(_SUMMARY, _CONFIG)})
    (tmp_path / "summary.json").write_text(json.dumps(_SUMMARY))
    with pytest.raises(InputError, match="no finished run"):
        record.read(tmp_path)
