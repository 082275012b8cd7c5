"""The record's tables say what the summaries say, and only what stands between the marks is replaced."""

import json
import pathlib

import pytest

from causal_iqa._checks import InputError
from causal_iqa.report import record, tables


def _interval(rho, low=None, high=None):
    return {"rho": rho, "low": low, "high": high}


def _entry(family, between, within, pooled, *, corrected=None, like_these=None):
    numbers = {"between": between, "corrected": corrected or _interval(None), "within": within, "pooled": pooled}
    return {"family": family, "alignment": {"all": numbers}, "alignment_like_these": {"all": like_these or {}}}


def _gained(value, best=None):
    one = {"difference": value, "low": value - 0.1, "high": value + 0.1, "p_value": 0.01, "best": best}
    return one | {"like_these": {"low": value - 0.3, "high": value + 0.2, "p_value": 0.2}}


def _predicted(error, low, high, *reads):
    return {"all": {"mean_absolute": error, "low": low, "high": high, "reads": list(reads)}}


SUMMARY = {
    "num_images": 12,
    "conditions": ["clean/0", "fog/1", "fog/2"],
    "networks": {"net": {"clean_accuracy": 0.915}},
    "metrics": {
        "ssim": _entry("full_reference", _interval(0.5, 0.4, 0.6), _interval(0.1), _interval(None)),
        "stages_free@b": _entry(
            "label_free",
            _interval(0.91234, 0.9, 0.93),
            _interval(0.3),
            _interval(0.4),
            corrected=_interval(0.93, 0.92, 0.95),
            like_these={"between": _interval(0.91234, 0.7, 0.97), "corrected": _interval(0.93, 0.72, 0.98)},
        )
        | {
            "gains": {
                "mean_conventional": {number: _gained(0.6) for number in ("corrected", "within", "pooled")},
                "best_conventional": {number: _gained(0.2, "ssim") for number in ("corrected", "within", "pooled")},
            }
        },
        "stages_free@b[m=10]": _entry("label_free", _interval(0.7), _interval(0.2), _interval(0.25)),
    },
    "notes": ["between is not corrected: 9 images are too few (ssim)"],
    "predicted_accuracy": {
        "ssim": _predicted(0.08, 0.07, 0.095, "clean_image", "other_performance"),
        "gde": _predicted(0.05, None, None, "own_outputs", "second_outputs"),
    },
}
CONFIG = {"dataset": "d", "backbones": [{"name": "b"}], "anchors": "images", "num_anchors": 50, "seed": 0} | {
    "num_resamples": 9
}


def _page(*names):
    return "before\n" + "".join(f"<!-- run/{name} -->\nold\n<!-- end -->\nkept {name}\n" for name in names) + "after"


def test_no_network_is_judged_by_a_backbone_of_its_family():
    def entry(family, *networks):
        found = {name: {"between": _interval(0.5 + 0.1 * i, 0.4, 0.9)} for i, name in enumerate(networks)}
        return {"family": family, "alignment": found, "alignment_like_these": found}

    every = ("one", "two", "all")
    metrics = {"stages_free@b": entry("label_free", *every), "stages_free@b+c": entry("label_free", *every)}
    metrics |= {"confidence": entry("network_output", *every), "gen_free@b": entry("label_free", *every)}
    networks = [{"name": "one", "architecture": "small_vit"}, {"name": "two", "architecture": "cifar_resnet20"}]
    backbones = [{"name": "b", "architecture": "small_resnet8"}, {"name": "c", "architecture": "mobilenet_v2"}]
    summary = {**SUMMARY, "metrics": metrics, "networks": {name: {"clean_accuracy": 0.9} for name in ("one", "two")}}
    run = record.Recorded.of(summary, {**CONFIG, "networks": networks, "backbones": backbones})
    rows = [line for line in record.fill(_page("by_network"), {"run": run}).splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| `confidence`", "`one`", "ViT"],
        ["| `confidence`", "`two`", "ResNet"],
        ["| `stages_free@b`", "`one`", "ViT"],
        ["| `stages_free@b+c`", "`one`", "ViT"],
    ]
    assert "0.500 [0.40, 0.90] [0.40, 0.90]" in rows[2]


def test_tables_hold_the_numbers_and_the_rest_stays():
    page = record.fill(
        _page("headline", "alignment", "gains", "anchors", "accuracy", "settings"),
        {"run": record.Recorded.of(SUMMARY, CONFIG)},
    )
    assert "old" not in page and page.startswith("before\n") and page.endswith("kept settings\nafter")
    lines = page.splitlines()
    between = "0.912 [0.90, 0.93] [0.70, 0.97] | 0.930 [0.92, 0.95] [0.72, 0.98]"
    ours = lines.index(f"| `stages_free@b` | label free | {between} | 0.300 | 0.400 |")
    assert lines[ours + 1] == "| `ssim` | full reference | 0.500 [0.40, 0.60] | - | 0.100 | - |"
    # Which interval is which, what the numbers are and what is missing stand beside the table.
    assert any(tables.BOTH in line and "without image noise" in line for line in lines)
    head = lines.index(
        "| corrected between, gain over | best conventional | mean full reference | mean absolute conventional | "
        "mean conventional |"
    )
    assert lines[head + 2] == (
        "| `stages_free@b` | +0.20 [+0.10, +0.30] [-0.10, +0.40] `ssim` | - | - | +0.60 [+0.50, +0.70] [+0.30, +0.80] |"
    )
    assert "- between is not corrected\\: 9 images are too few \\(ssim\\)" in lines
    assert "| `stages_free@b` | 10 | 0.700 | - | 0.200 | 0.250 |" in lines
    assert f"| `stages_free@b` | 50 | {between} | 0.300 | 0.400 |" in lines
    # The hardest yardstick leads.
    gained = lines.index(
        "| `stages_free@b` | best conventional | "
        + " | ".join(["+0.20 [+0.10, +0.30] [-0.10, +0.40] `ssim`"] * 3)
        + " |"
    )
    assert lines[gained + 3].startswith("| `stages_free@b` | mean conventional | +0.60 [+0.50, +0.70] [+0.30, +0.80] |")
    accuracy = lines.index(
        "| `gde` | network output | outputs of the judged network; outputs of another network of the task | 5.0 |"
    )
    reads = "pristine reference of each judged image; performance under the other degradations"
    assert lines[accuracy + 1] == f"| `ssim` | full reference | {reads} | 8.0 [7.0, 9.5] |"
    assert any("12 images" in line and "`net` (91.5 % clean)" in line for line in lines)
    assert record.fill(page, {"run": record.Recorded.of(SUMMARY, CONFIG)}) == page


_FILES = {
    "by_degradation.csv": [
        {"metric": metric, "degradation": "fog", "spearman_over_severities": rho, "predicted_less_true": bias,
         "severity": "", "spearman_over_degradations": ""}
        for metric, rho, bias in (("ssim", "0.5", "-0.031"), ("stages_free@b", "1.0", ""))
    ] + [
        {"metric": metric, "degradation": "", "spearman_over_severities": "", "predicted_less_true": "",
         "severity": "2.0", "spearman_over_degradations": rho}
        for metric, rho in (("ssim", ""), ("stages_free@b", "0.75"))
    ],
    "bounds.csv": [
        {"metric": "ssim", "family": "full_reference", "between": "0.5", "between_expected": "", "tau": "0.4",
         "tau_at_most": "0.8", "between_at_most": "0.9", "contradicted_pairs": "3", "proven_pairs": "20",
         "all_pairs": "45", "share_q": "0.64", "share_m": "0.25", "between_pearson": "0.5", "within_pearson": "0.1",
         "pooled_pearson": "0.252", "within_at_most": "0.2", "largest_error": "0.225", "tau_at_least": "-0.81"},
    ],
}  # fmt: skip


def test_degradations_and_bounds_stand_beside_what_was_measured():
    run = record.Recorded.of(SUMMARY, CONFIG, files=_FILES)
    lines = record.fill(_page("by_degradation", "bounds"), {"run": run}).splitlines()
    head = lines.index("| degradation | `stages_free@b` | `ssim` |")
    assert lines[head + 2] == "| fog | 1.00 (-) | 0.50 (-3) |"
    assert lines[head + 3] == "| over degradations, severity 2 | 0.75 | - |"
    # The terms of proposition 2: .5 sqrt(.64 .25) and .1 sqrt(.36 .75).
    row = "| `ssim` | full reference | 0.500 (-) | 0.400 (0.800) | 3 of 20 | 0.100 (0.200) | 0.252 = 0.200 + 0.052 | "
    row += "22.5 (-0.81) |"
    assert row in lines


def test_runs_without_these_files_are_refused():
    old = {"by_degradation.csv": [{"metric": "ssim", "degradation": "fog", "spearman_over_severities": "0.5"}]}
    for name, files in (("bounds", {}), ("by_degradation", old)):
        with pytest.raises(InputError, match=f"{name}.csv of this version; run causal-iqa align"):
            record.fill(_page(name), {"run": record.Recorded.of(SUMMARY, CONFIG, files=files)})


def test_places_without_a_run_stay_and_mistakes_are_named(tmp_path):
    other = _page("alignment").replace("run/", "elsewhere/")
    both = _page("alignment") + other
    assert "<!-- elsewhere/alignment -->\nold" in record.fill(both, {"run": record.Recorded.of(SUMMARY, CONFIG)})
    with pytest.raises(InputError, match="no place for run run"):
        record.fill(other, {"run": record.Recorded.of(SUMMARY, CONFIG)})
    with pytest.raises(InputError, match="unknown table 'nonsense'"):
        record.fill(_page("nonsense"), {"run": record.Recorded.of(SUMMARY, CONFIG)})
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    with pytest.raises(InputError, match="no finished run"):
        record.read(tmp_path)


def test_the_short_table_holds_the_best_of_every_family():
    full = {
        f"ssim{i}": _entry("full_reference", _interval(0.1 * i), _interval(None), _interval(None)) for i in range(6)
    }
    ours = {
        f"stages_free@b{i}": _entry("label_free", _interval(0.1 * i), _interval(None), _interval(None))
        for i in range(6)
    }
    run = record.Recorded.of(SUMMARY | {"metrics": full | ours}, CONFIG)
    rows = [line.split(" | ")[0] for line in record.fill(_page("best"), {"run": run}).splitlines() if "`" in line]
    expected = ["stages_free@b5", "ssim5", "stages_free@b4", "ssim4", "stages_free@b3", "ssim3", "stages_free@b2"]
    assert sorted(rows) == sorted(f"| `{name}`" for name in expected)


def test_several_pages_share_the_runs():
    run = record.Recorded.of(SUMMARY, CONFIG)
    pages = {pathlib.Path("a.md"): _page("settings"), pathlib.Path("b.md"): "no place"}
    filled = record.fill_pages(pages, {"run": run})
    assert filled[pathlib.Path("b.md")] == "no place"
    assert "old" not in filled[pathlib.Path("a.md")]
