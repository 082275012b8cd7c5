"""Every block of the documentation runs: Python as it stands, commands in a small setting; what they name exists."""

import ast
import configparser
import importlib
import itertools
import pathlib
from collections.abc import Iterable

import matplotlib
import pytest
from PIL import Image

from causal_iqa import cli, data, degradations
from tests import documents
from tests.experiments import binaries

# What makes a command small; the same flag in the page gives way, but for flags that repeat.
_SMALL = {
    "align": (
        "--num_images=6",
        "--num_anchors=30",
        "--num_resamples=5",
        "--metrics=mse,entropy",
        "--degradations=contrast",
        "--severities=3",
        "--num_devices=1",
    ),
    "degrade": ("--degradations=contrast", "--severities=3", "--num_processes=1"),
    "train": ("--steps=2", "--batch_size=8", "--num_images=16"),
    "sheet": ("--degradations=contrast",),
    "score": ("--metrics=entropy", "--backbone=none", "--num_devices=1"),
}
# Given where the page names none.
_DEFAULTS = {"align": ("--network=scene_cnn_a", "--backbone=scene_features")}


def _pages(language: str) -> list[pathlib.Path]:
    return [page for page in documents.PAGES if any(block.language == language for block in documents.blocks(page))]


def _name(page: pathlib.Path) -> str:
    return page.relative_to(documents.ROOT).as_posix()


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to work in, with photographs in class folders as a reader has them."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    for example in data.open_source("scenes").batch(range(12)):
        folder = tmp_path / "photos" / f"class_{example.label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(example.image).save(folder / f"{example.id.replace('/', '_')}.png")
    return tmp_path


@pytest.fixture(scope="module")
def ran():
    """Commands that ran already."""
    return set()


@pytest.mark.parametrize("page", documents.PAGES, ids=_name)
def test_every_block_says_its_language(page):
    for block in documents.blocks(page):
        assert block.language in documents.LANGUAGES, f"{_name(page)}:{block.line}: {block.language!r}"


@pytest.mark.parametrize("page", _pages("python"), ids=_name)
def test_python_blocks_run_in_order(page, workplace):
    names = {"__name__": "page"}
    for block in documents.blocks(page):
        if block.language == "python":
            # As many empty lines before it as the page has: a traceback then shows the line of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            _check_names(ast.parse(block.text), f"{_name(page)}:{block.line}")
            if not block.needs:
                exec(code, names)


def _check_names(tree: ast.AST, place: str) -> None:
    """Refuses names of this package that do not exist, also in blocks that cannot run here."""
    rooms = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "causal_iqa":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):  # A module of a package, then.
                    importlib.import_module(f"{node.module}.{alias.name}")
                rooms[alias.asname or alias.name] = getattr(module, alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
            assert hasattr(rooms[node.value.id], node.attr), f"{place}: {node.value.id} has no {node.attr}"


@pytest.mark.parametrize("page", _pages("sh"), ids=_name)
def test_shell_blocks_run_in_a_small_setting(page, workplace, ran):
    for block in documents.blocks(page):
        if block.language != "sh":
            continue
        for words in documents.commands(block.text):
            place = f"{_name(page)}:{block.line}"
            _check_command(words, place)
            if words[0] == "causal-iqa" and not block.needs:
                small = (words[1], *_small(words[1], words[2:]))
                if small not in ran:
                    binaries.run(*small)
                if not _flags(small) & {"--output_dir", "--output"}:
                    ran.add(small)  # Two pages may show one command.


def _small(command: str, given: list[str]) -> list[str]:
    small = _SMALL.get(command, ())
    replaced, named = _flags(small), _flags(given)
    rest = [flag for flag in _DEFAULTS.get(command, ()) if not _flags([flag]) & named]
    return [word for word in given if not _flags([word]) & replaced] + [*small, *rest]


def _flags(words: Iterable[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


@pytest.mark.parametrize("page", documents.PAGES, ids=_name)
def test_commands_in_the_text_exist(page):
    for words in documents.inline_commands(page):
        _check_command(words, _name(page))


def _check_command(words: list[str], place: str) -> None:
    if words[0] == "causal-iqa" and words[1] != "COMMAND" and not words[1].startswith("--"):
        assert words[1] in cli.COMMANDS, f"{place}: no command {words[1]}"
        if "--" in words:  # What follows are flags of Apache Beam.
            words = words[: words.index("--")]
        known = importlib.import_module(cli.module_name(words[1])).FLAGS.values
        for flag in (name.removeprefix("--") for name in _flags(words)):
            assert flag in known or flag.removeprefix("no") in known or flag == "help", f"{place}: no flag --{flag}"
        chosen = [word.partition("=")[2].split(",") for word in words if word.startswith("--degradations=")]
        for name in itertools.chain(*chosen):
            assert name in degradations.SETS or degradations.Condition.parse(f"{name}/1"), f"{place}: {name}"
    elif words[:2] == ["python", "-m"] and words[2].split(".")[0] in ("benchmarks", "experiments", "colabs"):
        assert (documents.ROOT / (words[2].replace(".", "/") + ".py")).exists(), f"{place}: no module {words[2]}"
    elif words[0] == "pytest":
        paths = [word for word in words[1:] if "/" in word]
        assert all((documents.ROOT / path.partition("::")[0]).exists() for path in paths), f"{place}: {words}"
    elif words[:2] == ["pip", "install"]:
        settings = configparser.ConfigParser()
        settings.read(documents.ROOT / "setup.cfg")
        extras = [extra for word in words if "[" in word for extra in word.partition("[")[2].rstrip("]").split(",")]
        assert set(extras) <= set(settings["options.extras_require"]), f"{place}: {extras}"
