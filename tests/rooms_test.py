"""The front door: rooms by attribute, tables that answer an unknown name, functions in their rooms."""

import ast
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import causal_iqa
from causal_iqa import InputError, backbones, degradations, dependence, estimators, metrics, quality, tasks

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
        "causal_iqa/copies/worker.py",  # Moves the file that it wrote.
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


def test_csv_files_have_one_writer():
    """`_files.csv_text` writes no cell that a spreadsheet takes for a formula; other writers would."""
    root = pathlib.Path(__file__).parent.parent
    paths = [path for folder in ("causal_iqa", "benchmarks") for path in (root / folder).rglob("*.py")]
    written = {path.name for path in paths if re.search(r"csv\.(Dict)?[wW]riter\(", path.read_text())}
    assert written == {"_files.py"}


# What a room takes from modules of another past its face (`__init__.py`), and why. A name that others may need is
# exported by its room; a line here is for what is of use to these two alone.
_PAST_THE_FACE = {
    "weight files: metrics with learned parameters read and check them as networks do": {
        ("metrics", "backbones.layers.plain_cnn"),
        ("metrics", "backbones.text.tokenizers"),
        ("metrics", "backbones.weights.array_files"),
        ("metrics", "backbones.weights.budgets"),
        ("metrics", "backbones.weights.checkpoints"),
        ("metrics", "backbones.weights.pickles"),
        ("metrics", "backbones.zoo.alexnet"),
        ("metrics", "backbones.zoo.squeezenet"),
        ("metrics", "backbones.zoo.vgg"),
    },
    "weight files: training writes what the zoo reads": {
        ("cli", "backbones.weights.checkpoints"),
        ("training", "backbones.weights.array_files"),
        ("training", "backbones.weights.checkpoints"),
        ("training", "backbones.zoo.flax_modules"),
    },
    "what a run records of its networks: their files, code and vocabularies, and packages of weights": {
        ("cli", "backbones.weights.installed"),
        ("pipeline", "backbones.text.tokenizers"),
        ("pipeline", "backbones.user"),
        ("pipeline", "backbones.weights.installed"),
    },
    "one image file at its own size, and its name: copies and the runs that read them": {
        ("cli", "data.decoding"),
        ("copies", "data.decoding"),
        ("copies", "data.names"),
        ("pipeline", "data.decoding"),
        ("pipeline", "data.formats"),
        ("pipeline", "data.names"),
    },
    "which degradations share a compiled program": {("copies", "degradations.shared_sizes")},
    "the steps of a command, which it shares with the call of the same name": {
        ("causal_iqa", "analysis.calls"),
        ("cli", "analysis.calls"),
        ("cli", "analysis.findings"),
        ("cli", "metrics._niqe"),
        ("cli", "pipeline.copy_trees"),
        ("cli", "pipeline.provenance"),
        ("cli", "pipeline.scoring"),
        ("cli", "pipeline.scoring_store"),
        ("experiments", "cli.interrupts"),
    },
    "the files of a command: one module of `report` writes those of each": {
        ("_score", "report.dataset_files"),
        ("_score", "report.dataset_words"),
        ("cli", "report.audit"),
        ("cli", "report.dataset_files"),
        ("cli", "report.dataset_words"),
        ("cli", "report.record"),
        ("cli", "report.study"),
    },
    "findings as JSON and CSV: the forms in which reports keep them": {
        ("report", "alignment.intervals"),
        ("report", "analysis.by_degradation"),
        ("report", "analysis.findings"),
        ("report", "analysis.kept"),
        ("report", "analysis.measured_bounds"),
        ("report", "analysis.networks"),
        ("report", "analysis.parts"),
        ("report", "analysis.predictions"),
        ("report", "pipeline.inputs"),
        ("report", "pipeline.parts"),
    },
}


def _past_faces(root: pathlib.Path) -> Iterator[tuple[str, str]]:
    """(room, module of another room that is no face) of all imports; a package with `__all__` is a face."""
    package = root / "causal_iqa"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    faces = {
        ".".join(path.parent.relative_to(package).parts)
        for path in package.rglob("__init__.py")
        if re.search("^__all__ = ", path.read_text(), re.MULTILINE)
    }
    for path in [*package.rglob("*.py"), *(root / "experiments").rglob("*.py")]:
        parts = path.relative_to(root).with_suffix("").parts
        room = parts[0] if parts[0] != "causal_iqa" or parts[1] == "__init__" else parts[1]
        for node in ast.walk(ast.parse(path.read_text())):
            named = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                named = [f"{node.module}.{one}" for one in named]
            for name in named:
                module = name.removeprefix("causal_iqa.").split(".")
                if not name.startswith("causal_iqa.") or module[0] == room or module[0] not in rooms:
                    continue
                while module and not (package.joinpath(*module).is_dir() or _is_file(package.joinpath(*module))):
                    module.pop()  # Names that the module defines.
                if len(module) > 1 and ".".join(module) not in faces:
                    yield room, ".".join(module)


def _is_file(path: pathlib.Path) -> bool:
    return path.with_suffix(".py").is_file()


def test_rooms_import_by_the_faces_of_others():
    allowed = [one for listed in _PAST_THE_FACE.values() for one in listed]
    assert len(allowed) == len(set(allowed))
    assert set(_past_faces(pathlib.Path(__file__).parents[1])) == set(allowed)


def test_imports_past_a_face_are_found(tmp_path):
    files = {
        "causal_iqa/near/__init__.py": "",
        "causal_iqa/near/own.py": "from causal_iqa.far import face, inner\nfrom causal_iqa.far.part import shown\n",
        "causal_iqa/near/deep.py": "def f():\n    from causal_iqa.far.inner import a\n\nimport causal_iqa.far.other\n",
        "causal_iqa/far/__init__.py": "__all__ = ['face']\n",
        "causal_iqa/far/inner.py": "",
        "causal_iqa/far/other.py": "from causal_iqa.far import inner\n",
        "causal_iqa/far/part/__init__.py": "__all__ = ['shown']\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert set(_past_faces(tmp_path)) == {("near", "far.inner"), ("near", "far.other")}


def test_tests_import_no_benchmark():
    """Benchmarks use the oracles of the tests; the tests stand by themselves."""
    pattern = re.compile(r"^\s*(from benchmarks\b|import benchmarks\b)", re.MULTILINE)
    files = list(pathlib.Path(__file__).parent.rglob("*.py"))
    assert len(files) > 200
    assert [path.name for path in files if pattern.search(path.read_text())] == []
