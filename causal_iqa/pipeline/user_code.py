"""The source text behind a user's function: its file, and the user's other modules that it imports."""

import ast
import hashlib
import importlib.util
import pathlib
import sys
import sysconfig
import types

_INSTALLED = tuple(
    pathlib.Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def digest_code(reference: str) -> str:
    """Returns a digest of the code behind a network that `backbones.open_network` has loaded.

    Args:
      reference: "package.module:function" or "path/to/file.py:function".

    Returns:
      A digest of the text of the function's module and of every module that its text imports, directly or not, but for
      installed packages: of those the versions count.
    """
    place, _, function = reference.rpartition(":")
    pieces, seen = [function], set()
    if place.endswith(".py"):
        _gather(pathlib.Path(place), None, pieces, seen)
    else:
        module = sys.modules.get(place) or importlib.import_module(place)
        _gather(_file_of(module), module, pieces, seen)
    return hashlib.sha256("\n".join(pieces).encode()).hexdigest()


def _file_of(module: types.ModuleType) -> pathlib.Path | None:
    file = getattr(module, "__file__", None)
    return pathlib.Path(file) if file else None


def _is_installed(path: pathlib.Path) -> bool:
    path = path.resolve()
    return any(path.is_relative_to(folder) for folder in _INSTALLED) or "site-packages" in path.parts


def _gather(path: pathlib.Path | None, module: types.ModuleType | None, pieces: list[str], seen: set[str]) -> None:
    if path is None or str(path.resolve()) in seen:
        return
    seen.add(str(path.resolve()))
    try:
        text = path.read_bytes()
    except OSError as error:
        pieces.append(f"{path.name}: {type(error).__name__}")
        return
    pieces += [path.name, hashlib.sha256(text).hexdigest()]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # A compiled module.
    names = {name.rsplit(".", depth)[0] for name in _imported(tree, module) for depth in range(name.count(".") + 1)}
    for name in sorted(names):
        other = sys.modules.get(name)
        if other is None or name.partition(".")[0] == __name__.partition(".")[0]:
            continue
        file = _file_of(other)
        if file is None or _is_installed(file):
            pieces.append(f"{name} {getattr(other, '__version__', '')}")
        else:
            _gather(file, other, pieces, seen)


def _imported(tree: ast.AST, module: types.ModuleType | None) -> set[str]:
    """Names of modules that a text imports anywhere, and of the members that it imports, which may be modules."""
    package = getattr(module, "__package__", None) or ""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package) if package else ""
            if base:
                found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found
