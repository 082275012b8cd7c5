"""The examples in docstrings run and print what they say."""

import ast
import doctest
import importlib
import pathlib
import pkgutil
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import causal_iqa

# What an example need not import: reference pages say so once.
_ROOMS = [one.name for one in pkgutil.iter_modules(causal_iqa.__path__) if not one.name.startswith("_")]
_ROOMS = [name for name in _ROOMS if name not in ("cli", "rivals")]


def _modules(room: str) -> list[str]:
    module = importlib.import_module(f"causal_iqa.{room}")
    below = pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}.")
    return [module.__name__, *(one.name for one in below)]


def _before(text: str) -> str | None:
    """The function whose example comes first: "After the example of `fit_detectors`:"."""
    found = re.search(r"After the example of `(\w+)`:", text)
    return found and found[1]


def _docstrings(path: pathlib.Path) -> Iterator[tuple[str, str, int]]:
    """Name, docstring and line of all that is defined in a file; read as text, for compiled functions hide theirs."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)) and ">>>" in text:
            yield node.name, text, node.lineno


@pytest.mark.parametrize("room", _ROOMS)
def test_examples_of_a_room_run(room):
    given = {"jax": jax, "jnp": jnp, "np": np, "causal_iqa": causal_iqa}
    given |= {one: getattr(causal_iqa, one) for one in _ROOMS}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    texts = {
        defined: text
        for name in _modules(room)
        for defined, text, _ in _docstrings(pathlib.Path(str(importlib.import_module(name).__file__)))
    }
    for name in _modules(room):
        module = importlib.import_module(name)
        for defined, text, line in _docstrings(pathlib.Path(module.__file__ or "")):
            bare = re.search(rf"(?<![\w.]){defined}\(", text)  # Called without its package: as in its module.
            names = {**given, **vars(module)} if bare else dict(given)
            if (before := _before(text)) is not None:
                for one in doctest.DocTestParser().get_examples(texts[before]):
                    exec(compile(one.source, f"example of {before}", "single"), names)
            example = doctest.DocTestParser().get_doctest(text, names, f"{name}.{defined}", module.__file__, line)
            runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_an_example_that_does_not_run_says_what_it_needs():
    for path in pathlib.Path(causal_iqa.__file__).parent.rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert "+SKIP" not in line or re.search(r"  # needs [^#]+  # doctest: \+SKIP$", line), (path, line)
