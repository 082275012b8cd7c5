"""Modules have test files of their own name: `degradations/_blur.py` has `tests/degradations/blur_test.py`."""

import collections
import pathlib

_ROOT = pathlib.Path(__file__).parents[1]
# Modules without a test of their name, and why.
_WITHOUT_TEST = {
    "_errors.py": "one class without a method",
    "analysis/audit/observational_records.py": "named tuples alone",
    "rivals.py": "a former name, which tests/rooms_test.py imports",
}
# Room -> its further modules without one, at most; a number here may only fall.
_WITHOUT = {
    "alignment": 1,
    "beam": 4,
    "causal": 2,
    "causal_iqa": 1,
    "cli": 7,
    "copies": 6,
    "data": 5,
    "degradations": 3,
    "dependence": 4,
    "diagnosis": 4,
    "metrics": 8,
    "pipeline": 12,
    "report": 13,
}


def _without_test() -> dict[str, list[str]]:
    """Room -> its modules without a test file of their name; what stands in no room by itself."""
    found = collections.defaultdict(list)
    for path in sorted((_ROOT / "causal_iqa").rglob("*.py")):
        module = path.relative_to(_ROOT / "causal_iqa")
        mirrored = _ROOT / "tests" / module.parent / f"{module.stem.lstrip('_')}_test.py"
        if module.as_posix() in _WITHOUT_TEST:
            assert not mirrored.exists(), f"{module} has a test: it needs no reason any more"
        elif not module.stem.startswith("__") and not mirrored.exists():
            found[module.parts[0] if len(module.parts) > 1 else "causal_iqa"].append(module.as_posix())
    return found


def test_no_more_modules_are_without_a_test_of_their_name():
    found = _without_test()
    assert {room: names for room, names in found.items() if len(names) > _WITHOUT.get(room, 0)} == {}
