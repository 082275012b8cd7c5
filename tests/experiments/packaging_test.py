"""What is installed: one package and one command, every import declared, every dependency imported by something."""

import ast
import configparser
import importlib.metadata
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

from causal_iqa import cli

_ROOT = pathlib.Path(__file__).parents[2]
# The packages that the project is built on.
_BUILT_ON = ("jax", "flax", "optax", "tensorflow-datasets", "dm-pix", "numpy", "scipy", "absl-py")
# Distributions whose modules have other names.
_MODULES = {
    "absl-py": "absl",
    "ai-edge-litert": "ai_edge_litert",
    "causal-learn": "causallearn",
    "dm-pix": "dm_pix",
    "opencv-python-headless": "cv2",
    "open_clip_torch": "open_clip",
    "orbax-checkpoint": "orbax",
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "tensorflow-datasets": "tensorflow_datasets",
}
# Imported by tensorflow_datasets where it reads prepared data, which does not declare them on every system.
_FOR_TFDS = ("array_record", "importlib_resources")
# Modules that a caller brings: a PyTorch module to wrap, or weights that stand where open_clip keeps them.
_OF_CALLERS = ("open_clip", "torch")
# Extras of programs that are run, not imported.
_PROGRAMS = ("docs", "release")
_IMPORTING = ("import_module", "find_spec", "importorskip")
# With which JAX compresses the programs that it keeps, where it is installed.
_OF_JAX = ("zstandard",)


def _settings() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(_ROOT / "setup.cfg")
    return found


def _names(lines: str) -> list[str]:
    return [re.split(r"[<>=!~;\s\[]", line)[0] for line in lines.strip().splitlines()]


def _modules(lines: str) -> set[str]:
    return {_MODULES.get(name, name.replace("-", "_")) for name in _names(lines)}


def _required() -> set[str]:
    return _modules(_settings()["options"]["install_requires"])


def _imports(*folders: str) -> tuple[set[str], set[str]]:
    """Modules of others that importing the code of folders imports, and those imported when something needs them."""
    always, later = set(), set()
    for path in (path for folder in folders or ("causal_iqa",) for path in (_ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _IMPORTING:
                names = [ast.literal_eval(one) for one in node.args[:1] if isinstance(one, ast.Constant)]
            (always if node in tree.body else later).update(name.split(".")[0] for name in names)
    ours = set(sys.stdlib_module_names) | {"causal_iqa", "benchmarks", "colabs", "experiments", "tests"}
    return always - ours, later - ours


def test_what_importing_the_package_needs_is_required():
    always, _ = _imports()
    assert always <= _required()


def test_what_is_imported_later_is_required_or_in_an_extra():
    _, later = _imports()
    settings = _settings()
    extras = {name: _modules(lines) for name, lines in settings["options.extras_require"].items()}
    assert {"text", "imagenet", "hub", "onnx", "formats"} <= set(extras)
    optional = set().union(*(modules for name, modules in extras.items() if name not in ("test", "bench")))
    assert later <= _required() | optional | set(_OF_CALLERS + _OF_JAX)


def test_every_requirement_is_imported_by_something():
    always, later = _imports()
    assert _required() == (always | later) & _required() | set(_FOR_TFDS)
    spec = importlib.util.find_spec("tensorflow_datasets")
    assert spec is not None and spec.origin is not None
    place = pathlib.Path(spec.origin).parent
    source = (place / "core" / "dataset_builder.py").read_text() + (
        place / "core" / "utils" / "lazy_imports_utils.py"
    ).read_text()
    assert all(f"import {name}" in source or f"from {name}" in source for name in _FOR_TFDS)


def test_every_package_of_an_extra_is_named_by_the_code_that_needs_it():
    source = "".join(path.read_text("utf-8") for path in (_ROOT / "causal_iqa").rglob("*.py"))
    for extra, lines in _settings()["options.extras_require"].items():
        if extra not in (*_PROGRAMS, "test", "bench"):
            for module in _modules(lines):
                # Three packages of one form are imported by a name that is put together.
                named = re.sub(r"lite\d_", "lite{i}_", module)
                assert re.search(rf"\b{re.escape(named)}\b", source), (extra, module)


def test_the_quickstart_lists_every_extra():
    page = (_ROOT / "docs" / "quickstart.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", page, re.MULTILINE)) >= set(
        _settings()["options.extras_require"]
    )


def test_what_the_tests_and_benchmarks_import_is_declared():
    always, later = _imports("benchmarks", "colabs", "experiments", "tests")
    extras = [_modules(lines) for lines in _settings()["options.extras_require"].values()]
    declared = _required().union(*extras)
    assert always | later <= declared | set(_OF_CALLERS), sorted((always | later) - declared)


@pytest.mark.parametrize("name", _BUILT_ON)
def test_the_packages_that_the_project_is_built_on_are_used(name):
    always, later = _imports()
    assert name in _names(_settings()["options"]["install_requires"])
    assert _MODULES.get(name, name) in always | later


def test_one_package_and_one_command_are_installed():
    settings = _settings()
    assert settings["options.packages.find"]["include"].split() == ["causal_iqa*"]
    assert settings["options.entry_points"]["console_scripts"].split() == ["causal-iqa", "=", "causal_iqa.cli:main"]
    assert callable(cli.main)
    described = settings["metadata"]
    assert all(described[field].strip() for field in ("author", "url", "project_urls", "keywords", "classifiers"))


def test_a_checkout_has_a_module_for_every_command():
    modules = {path.stem for path in (_ROOT / "experiments").glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in cli.COMMANDS}
    for name in modules:
        source = (_ROOT / "experiments" / f"{name}.py").read_text("utf-8")
        assert f'cli.run("{name.replace("_", "-")}")' in source and len(source.splitlines()) < 10


def test_extras_of_installed_metadata_are_those_of_the_file():
    try:
        installed = importlib.metadata.metadata("causal-iqa")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed here, only on the path")
    assert set(installed.get_all("Provides-Extra") or []) == set(_settings()["options.extras_require"])


def test_types_and_paths_are_there_for_editors():
    assert (_ROOT / "causal_iqa" / "py.typed").is_file()
    assert "py.typed" in _settings()["options.package_data"]["causal_iqa"]
    assert _settings()["editable_wheel"]["mode"] == "compat"


def test_hooks_come_from_the_index_with_the_versions_of_the_test_extra():
    hooks = (_ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"- repo: (\S+)", hooks) == ["local"]
    wanted = [line for line in _settings()["options.extras_require"]["test"].split() if line.startswith("ruff")]
    assert set(re.findall(r"ruff[~=][^\]]+", hooks)) == set(wanted)


def test_the_address_is_one_placeholder_in_the_files_that_contributors_are_told_of():
    tracked = subprocess.run(["git", "ls-files"], cwd=_ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a checkout")
    texts = {name: (_ROOT / name).read_bytes() for name in tracked.stdout.splitlines() if (_ROOT / name).is_file()}
    found = {name for name, text in texts.items() if b"OWNER/causal_iqa" in text}
    notebooks = {name for name in texts if name.startswith("colabs/") and name.endswith(".ipynb")}
    own = pathlib.Path(__file__).relative_to(_ROOT).as_posix()
    assert found == {"setup.cfg", "docs/contributing.md", own} | notebooks
    assert {name for name, text in texts.items() if b"example.org" in text} == {"setup.cfg", own}
