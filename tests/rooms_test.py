"""The front door: rooms by attribute, tables that answer an unknown name, functions in their rooms."""

import pathlib
import pickle
import re
import subprocess
import sys
import types

import pytest

import causal_iqa
from causal_iqa import InputError, _tables, backbones, degradations, dependence, estimators, metrics, quality, tasks

_TABLES = {
    "metric": metrics.TABLE,
    "degradation": degradations.TABLE,
    "quality metric": quality.TABLE,
    "dataset metric": quality.DATASET_TABLE,
    "dependence measure": dependence.TABLE,
    "independence test": dependence.TESTS,
    "conditional independence test": dependence.CONDITIONAL_TESTS,
    "kernel": dependence.KERNELS,
    "task performance": tasks.TABLE,
    "estimator": estimators.TABLE,
    "architecture": backbones.TABLE,
}


def test_rooms_are_attributes_of_the_package():
    program = (
        "import sys, causal_iqa\n"
        "assert 'jax' not in sys.modules\n"
        "assert {'metrics', 'data', 'InputError', '__version__'} <= set(dir(causal_iqa))\n"
        "assert causal_iqa.metrics.TABLE['ssim'].fn is causal_iqa.metrics.ssim\n"
        "assert 'causal_iqa.pipeline' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match=r"no attribute 'metrcs'; its rooms are .*metrics"):
        causal_iqa.metrcs  # noqa: B018
    for name in ("_private", "__wrapped__"):
        assert not hasattr(causal_iqa, name)


@pytest.mark.parametrize("kind", _TABLES)
def test_tables_answer_unknown_names_with_close_ones(kind):
    table = _TABLES[kind]
    name = next(iter(table))
    with pytest.raises(InputError, match=rf"^unknown {kind} '{name}x': did you mean .*{name}"):
        table[f"{name}x"]
    assert f"{name}x" not in table and table.get(f"{name}x") is None
    assert table[name].name == name and len(table) == len(list(table)) == len(dict(table))
    with pytest.raises(TypeError):
        table[name] = table[name]


def test_table_of_rows():
    row = types.SimpleNamespace(name="a")
    table = _tables.Table("row", [row, types.SimpleNamespace(name="b")])
    assert list(table) == ["a", "b"] and table["a"] is row
    assert repr(table) == "Table('row', 2 rows: a, b)"
    with pytest.raises(ValueError, match="row 'a' is in the table twice"):
        _tables.Table("row", [row, row])
    with pytest.raises(KeyError):
        table["c"]
    for wrong in (1, None, ("a",)):
        with pytest.raises(InputError, match="unknown row"):
            table[wrong]
    assert str(pickle.loads(pickle.dumps(_tables.UnknownName("no such row")))) == "no such row"


def test_every_condition_is_a_function_of_its_room():
    for name, row in degradations.TABLE.items():
        assert getattr(degradations, name) is row.fn
        assert name in degradations.__all__


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("from causal_iqa.rivals import TABLE as found", "from causal_iqa.estimators import TABLE as found"),
        (
            "from causal_iqa.backbones import checkpoints as found",
            "from causal_iqa.backbones.weights import checkpoints as found",
        ),
        ("from causal_iqa.backbones import geometry as found", "from causal_iqa.backbones import to_input as found"),
        ("from causal_iqa.causal import RIVALS as found", "from causal_iqa.causal import ALTERNATIVES as found"),
    ],
)
def test_former_names_work_and_say_the_new_one(former, now, monkeypatch):
    monkeypatch.delitem(sys.modules, "causal_iqa.rivals", raising=False)
    old, new = {}, {}
    with pytest.warns(DeprecationWarning, match="the former name goes with the next release"):
        exec(former, old)
    exec(now, new)
    assert old["found"] is new["found"]


def test_files_are_written_whole():
    """A file that is written in place is damaged by a kill or a full disk: `_files` writes beside it and moves."""
    root = pathlib.Path(__file__).parent.parent
    in_place = re.compile(
        r"""(?<!_files)\.write_(text|bytes)\(|open\([^)]*["'][wax]b?["']|np\.savez?(_compressed)?\("""
    )
    allowed = {
        "causal_iqa/_files.py",
        "causal_iqa/copies/writing.py",  # Moves the file that it wrote.
        "causal_iqa/cli/fit_niqe.py",  # Into memory.
        "benchmarks/harness.py",  # Into memory.
        "benchmarks/interruptions.py",  # Damages files on purpose.
        "benchmarks/degrade.py",  # The peer's copies.
        "benchmarks/corruption_accuracy.py",  # Moves the file that it wrote.
    }
    found = []
    for folder in ("causal_iqa", "experiments", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            code = "\n".join(line for line in path.read_text().splitlines() if ">>>" not in line and "..." not in line)
            name = path.relative_to(root).as_posix()
            if name not in allowed and in_place.search(code):
                found.append(name)
    assert not found
