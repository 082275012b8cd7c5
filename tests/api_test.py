"""The style, executable: walks the public functions, tables and exports of every room."""

import collections
import inspect
import json
import pathlib
import pkgutil
import re
import tokenize
import types
import typing
from collections.abc import Iterator, Mapping

import jax
import pytest

import causal_iqa
from causal_iqa import _tables

_ROOT = pathlib.Path(__file__).parents[1]
_ROOMS = {
    name: getattr(causal_iqa, name)
    for name in dir(causal_iqa)
    if hasattr(getattr(causal_iqa, name), "__path__") and hasattr(getattr(causal_iqa, name), "__all__")
}
_EXPORTS = [(room, name) for room, module in _ROOMS.items() for name in module.__all__]


def _functions() -> Iterator[tuple[str, types.FunctionType]]:
    for room, name in _EXPORTS:
        found = getattr(_ROOMS[room], name)
        if inspect.isfunction(found):
            yield f"{room}.{name}", found


_FUNCTIONS = dict(_functions())


def _words(path: pathlib.Path) -> collections.Counter[str]:
    with path.open(encoding="utf-8") as file:
        return collections.Counter(t.string for t in tokenize.generate_tokens(file.readline) if t.type == tokenize.NAME)


@pytest.fixture(scope="module")
def words() -> dict[str, collections.Counter[str]]:
    """Module or page -> the names that its code uses, and how often."""
    code = [path for folder in ("causal_iqa", "experiments", "benchmarks") for path in (_ROOT / folder).rglob("*.py")]
    found = {".".join(path.relative_to(_ROOT).with_suffix("").parts): _words(path) for path in code}
    for page in [_ROOT / "README.md", *(_ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        blocks += re.findall(r"`([^`\n]*\([^`\n]*\)[^`\n]*)`", text)  # A call within a sentence.
        found[page.name] = collections.Counter(re.findall(r"[^\W\d]\w*", " ".join(blocks)))
    for notebook in (_ROOT / "colabs").glob("*.ipynb"):
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        found[notebook.name] = collections.Counter(re.findall(r"[^\W\d]\w*", lines))
    return found


def _mentioned(annotation: object) -> Iterator[object]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from _mentioned(part)


def _hints(public: object) -> dict[str, object]:
    try:
        return typing.get_type_hints(public)
    except (NameError, TypeError):  # A class of another library.
        return {}


def test_no_export_is_a_module():
    assert len(_EXPORTS) > 500
    assert [one for one in _EXPORTS if inspect.ismodule(getattr(_ROOMS[one[0]], one[1]))] == []


def test_no_export_has_the_name_of_a_module_of_its_room():
    """The function would stand in the way of the module: `from causal_iqa.room import name` gives one or the other."""
    modules = {room: {found.name for found in pkgutil.iter_modules(module.__path__)} for room, module in _ROOMS.items()}
    assert [one for one in _EXPORTS if one[1] in modules[one[0]]] == []


@pytest.mark.parametrize("room", _ROOMS)
def test_exports_are_listed_once_and_are_there(room):
    names = _ROOMS[room].__all__
    assert len(names) == len(set(names))
    assert all(hasattr(_ROOMS[room], name) for name in names)


def test_keys_come_first_and_are_called_key():
    wrong = []
    for name, function in _FUNCTIONS.items():
        parameters = list(inspect.signature(function).parameters)
        keys = [p for p in parameters if re.fullmatch(r"(\w+_)?(key|rng|prng)", p)]
        if keys and (keys[0] != "key" or parameters[0] != "key") and not _reads_no_randomness(function, keys):
            wrong.append(name)
    assert wrong == []


def _reads_no_randomness(function: types.FunctionType, keys: list[str]) -> bool:
    """Whether what is called a key is no key of random numbers."""
    hints = typing.get_type_hints(function)
    return all(hints.get(key) is not jax.Array for key in keys)


def test_defaults_are_keyword_only():
    wrong = {
        name: [p.name for p in inspect.signature(function).parameters.values() if _is_positional_default(p)]
        for name, function in _FUNCTIONS.items()
    }
    assert {name: found for name, found in wrong.items() if found} == {}


def _is_positional_default(parameter: inspect.Parameter) -> bool:
    # Data that may be left out stands by position like other data; numbers, words and flags do not.
    default = parameter.default
    is_option = isinstance(default, bool | int | float | str) or (type(default) is tuple and default != ())
    return parameter.kind is parameter.POSITIONAL_OR_KEYWORD and is_option


def test_annotations_are_complete():
    wrong = []
    for name, function in _FUNCTIONS.items():
        hints = typing.get_type_hints(function)
        missing = [p for p in [*inspect.signature(function).parameters, "return"] if p not in hints]
        wrong += [(name, missing)] if missing else []
    assert wrong == []


def test_functions_say_what_they_do():
    assert [name for name, function in _FUNCTIONS.items() if not (function.__doc__ or "").strip()] == []


# Exported functions whose examples are shown and not run, and why.
_NOT_RUN = {
    "packages that the test extra does not install": ("backbones.tflite_runner", "backbones.torch_network"),
    "published weights": ("metrics.dists", "metrics.lpips"),
    "a dataset that TFDS prepared": ("data.open_tfds",),
    "Apache Beam, which has an environment of its own": ("beam.options", "beam.score_sets", "beam.write_copies"),
}


def test_functions_show_how_they_are_called():
    without, not_run = [], set()
    for room, name in _EXPORTS:
        function = inspect.unwrap(getattr(_ROOMS[room], name))
        if not inspect.isfunction(function):
            continue
        lines = re.findall(r">>> .*", function.__doc__ or "")
        calls = [line for line in lines if f"{name}(" in line or f"{name}," in line or f"{name})" in line]
        if not lines:
            without.append(f"{room}.{name}")
        elif all("doctest: +SKIP" in line for line in calls or lines):
            not_run.add(f"{room}.{name}")
    assert without == []
    assert not_run == {name for names in _NOT_RUN.values() for name in names}


def _rows() -> Iterator[tuple[str, str, object]]:
    for room, name in _EXPORTS:
        table = getattr(_ROOMS[room], name)
        if isinstance(table, _tables.Table):
            yield from ((f"{room}.{name}", key, row) for key, row in table.items())


def _function_of(row: object) -> object:
    found = getattr(row, "fn", None) or getattr(row, "score", None)
    while (inner := getattr(found, "func", None)) is not None:
        found = inner
    return found


def test_every_row_of_a_table_is_a_function_of_its_room():
    rows = [(table, key, _function_of(row)) for table, key, row in _rows()]
    assert len(rows) > 150
    exported = {id(function) for function in _FUNCTIONS.values()}
    missing = [
        f"{table}[{key!r}]"
        for table, key, function in rows
        if inspect.isfunction(function) and id(function) not in exported and not _adapts(function)
    ]
    assert missing == []


def _adapts(function: types.FunctionType) -> bool:
    """Whether it only brings other functions to the form of the rows, without a name that anyone would call."""
    return function.__name__ == "<lambda>" or (function.__name__.startswith("_") and "table" in function.__module__)


def test_every_export_is_used(words):
    rows = {id(one) for _, _, row in _rows() for one in (_function_of(row), type(row))}
    mentioned = {
        id(one)
        for public in (getattr(_ROOMS[room], name) for room, name in _EXPORTS)
        if inspect.isfunction(public) or inspect.isclass(public)
        for hint in _hints(public).values()
        for one in _mentioned(hint)
    }
    unused = []
    for room, name in _EXPORTS:
        found = getattr(_ROOMS[room], name)
        home = getattr(found, "__module__", None)
        face = f"{_ROOMS[room].__name__}.__init__"
        if id(found) in rows | mentioned or isinstance(found, _tables.Table | Mapping | tuple | str | int | float):
            continue
        if name in "".join(re.findall(r">>> .*", getattr(found, "__doc__", None) or "")):
            continue
        # In the module that defines it, once more than its definition.
        if not any(used[name] > (place == home) for place, used in words.items() if place != face):
            unused.append(f"{room}.{name}")
    assert unused == []


# What takes names of metrics, columns or conditions apart, and why; everywhere else fields say what they mean.
_NAMES_APART = {
    "pipeline/former_names.py",  # Of runs that recorded no fields.
    "pipeline/inputs.py",  # What a user types, `niqe@FILE`.
    "pipeline/scored_sets.py",  # Kept features of a part that is read back.
    "report/audit_figures.py",  # The effects of an audit are kept by the names of conditions.
    "report/record.py",  # summary.json says the number of anchors in the name alone.
}
_APART = re.compile(r"""partition\("[@/]"\)|split\("[@/]"|re\.compile\(r"\\\[m=|_METRIC = re""")


def test_names_are_taken_apart_nowhere_else():
    root = pathlib.Path(causal_iqa.__file__).parent
    files = [path for room in ("analysis", "pipeline", "report") for path in sorted((root / room).rglob("*.py"))]
    found = {path.relative_to(root).as_posix() for path in files if _APART.search(path.read_text())}
    assert found == _NAMES_APART
