"""Modules have test files of their own name: `degradations/_blur.py` has `tests/degradations/blur_test.py`."""

import pathlib
import re

_ROOT = pathlib.Path(__file__).parents[1]
# Modules without a test of their name, and why. Files of tests are relative to `tests`.
_WITHOUT_TEST = {
    "_errors.py": "one class without a method",
    "_score.py": "tested as the command by cli/score_test.py and cli/score_map_test.py",
    "alignment/_sweep.py": "sums, compared with the direct ones by alignment/resampling_test.py",
    "analysis/audit/observational_records.py": "named tuples alone",
    "beam/worker.py": "the program of a worker, which beam/running_test.py starts",
    "cli/running.py": "tested by cli/help_test.py, cli/interrupts_test.py and experiments/bad_input_test.py",
    "data/box_files.py": "tested by data/annotated_test.py and copies/annotations_test.py",
    "diagnosis/_colours.py": "statistics of one vector, compared as a whole by diagnosis/fitting_test.py",
    "diagnosis/_local.py": "statistics of one vector, compared as a whole by diagnosis/fitting_test.py",
    "diagnosis/features.py": "joins the statistics, compared as a whole by diagnosis/fitting_test.py",
    "diagnosis/model.py": "tested with its fit by diagnosis/fitting_test.py",
    "metrics/_piqe.py": "compared with its original by metrics/natural_scene_test.py",
    "metrics/feature_similarity.py": "compared with the direct formulas by metrics/similarity_test.py",
    "metrics/gradient_similarity.py": "compared with the direct formulas by metrics/similarity_test.py",
    "metrics/haar.py": "compared with the direct formulas by metrics/similarity_test.py",
    "metrics/learned/_lpips.py": "compared with its original by metrics/learned/files_test.py",
    "metrics/learned/packaged.py": "tested by metrics/niqe_test.py",
    "metrics/saliency_similarity.py": "compared with the direct formulas by metrics/similarity_test.py",
    "pipeline/degraded.py": "compared with the program by pipeline/performance_test.py",
    "pipeline/judged_images.py": "tested by pipeline/study_test.py and experiments/images_test.py",
    "pipeline/like_run.py": "tested as score --map by cli/score_map_test.py",
    "pipeline/regions.py": "tested by pipeline/tasks_test.py",
    "pipeline/scoring_store.py": "tested by beam/scoring_test.py and cli/score_test.py",
    "pipeline/task_outputs.py": "tested by pipeline/tasks_test.py",
    "rivals.py": "a former name, which rooms_test.py imports",
}


def _modules() -> dict[str, bool]:
    """Module -> whether there is a test file of its name."""
    found = {}
    for path in sorted((_ROOT / "causal_iqa").rglob("*.py")):
        module = path.relative_to(_ROOT / "causal_iqa")
        if not module.stem.startswith("__"):
            mirrored = _ROOT / "tests" / module.parent / f"{module.stem.lstrip('_')}_test.py"
            found[module.as_posix()] = mirrored.exists()
    return found


def test_every_module_has_a_test_of_its_name_or_a_reason():
    without = {name for name, tested in _modules().items() if not tested}
    assert without - _WITHOUT_TEST.keys() == set(), "a new module needs a test of its name"
    assert _WITHOUT_TEST.keys() - without == set(), "these have a test, or are gone, and need no reason any more"


def test_the_tests_that_reasons_name_are_there():
    for reason in _WITHOUT_TEST.values():
        for name in re.findall(r"[\w/]+_test\.py", reason):
            assert (_ROOT / "tests" / name).exists(), name
