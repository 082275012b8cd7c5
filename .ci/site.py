"""What MkDocs builds besides the written pages: the reference, the tutorials, and a check of both."""

import base64
import importlib
import importlib.util
import inspect
import json
import pathlib
import pkgutil
import re
import sys
import zlib
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

_ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))
# The commands explain themselves (causal-iqa COMMAND --help); the others are former names.
_NOT_SHOWN = ("cli", "rivals")

_TUTORIALS = ("quickstart", "photographs_and_pytorch", "paper_claims", "unlabelled_dataset")  # First, in this order.


def _rooms() -> list[str]:
    package = importlib.import_module("causal_iqa")
    names = [one.name for one in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if not name.startswith("_") and name not in _NOT_SHOWN]


def _modules(room: str) -> dict[str, list[str]]:
    """The public names of a room, by the module to be read for them: its own, and those of its public modules."""
    module = importlib.import_module(f"causal_iqa.{room}")
    names = {module.__name__: sorted(getattr(module, "__all__", []))}
    if not names[module.__name__]:
        own = [n for n, v in vars(module).items() if not n.startswith("_") and _is_of(v, module.__name__)]
        names[module.__name__] = own
    return names


def _is_of(value: Any, module: str) -> bool:
    return (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module


def _place(module: str, member: str) -> str:
    """The path of a member; through the module that defines it where a module of the room has its name."""
    found = importlib.import_module(module)
    if not hasattr(found, "__path__") or importlib.util.find_spec(f"{module}.{member}") is None:
        return f"{module}.{member}"
    return f"{getattr(found, member).__module__}.{member}"


_HEADING = "show_root_heading: true, show_root_toc_entry: true, show_root_full_path: false"


def _entries(room: str) -> str:
    module = importlib.import_module(f"causal_iqa.{room}")
    lines = [f"# `causal_iqa.{room}`", "", (inspect.getdoc(module) or "").strip(), ""]
    for name, members in _modules(room).items():
        for member in members:
            value = getattr(importlib.import_module(name), member)
            is_table = isinstance(value, importlib.import_module("causal_iqa._tables").Table)
            shown = "show_attribute_values: false, " if is_table else ""
            lines += [
                f"::: {_place(name, member)}",
                f"    options: {{{shown}{_HEADING}}}",
                "",
            ]
            if not (inspect.isroutine(value) or inspect.isclass(value)):
                lines += [_comment(module, member), ""]
            if is_table:
                lines += ["Rows: " + ", ".join(f"`{row}`" for row in value) + ".", ""]
    return "\n".join(lines)


def _comment(room: Any, member: str) -> str:
    """The comment above the definition of a constant, which has no docstring."""
    place = pathlib.Path(room.__file__)
    for path in sorted(place.parent.rglob("*.py")) if place.name == "__init__.py" else [place]:
        found = re.search(rf"^((?:#[^\n]*\n)*){member}\b[^=\n]*=", path.read_text("utf-8"), re.MULTILINE)
        if found:
            return " ".join(line.lstrip("# ") for line in found[1].splitlines())
    return ""


def _overview() -> str:
    lines = [
        "# Reference",
        "",
        "Every public name, generated from its docstring. Examples assume `import jax`, `import jax.numpy as jnp`, "
        "`import numpy as np` and the import of the packages that they name, such as `from causal_iqa import metrics`.",
        "",
        "| package | what it holds |",
        "|---|---|",
    ]
    for room in _rooms():
        summary = (inspect.getdoc(importlib.import_module(f"causal_iqa.{room}")) or "").partition("\n")[0]
        lines.append(f"| [`causal_iqa.{room}`]({room}.md) | {summary} |")
    lines += ["", "## Calls of the package itself", ""]
    for module, name in _calls():
        lines += [
            f"::: {module}.{name}",
            "    options: {show_root_heading: true, show_root_full_path: false, heading_level: 3}",
            "",
        ]
    return "\n".join(lines) + "\n"


def _calls() -> list[tuple[str, str]]:
    """The functions of the package itself, such as `causal_iqa.align`, with the modules that hold them."""
    package = importlib.import_module("causal_iqa")
    return [(f"causal_iqa.{module}", name) for name, module in package._CALLS.items()]


def notebook_page(path: pathlib.Path) -> tuple[str, dict[str, bytes]]:
    """Turns a notebook with its stored outputs into Markdown, and the pictures that it shows."""
    lines, pictures = [], {}
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            badge = source.partition("[![Open in Colab]")
            lines += [badge[0] + badge[2].partition("\n")[2] if badge[1] else source, ""]
            continue
        lines += ["```python", source, "```", ""]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                lines += [f"![What the cell above shows]({name})", ""]
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                lines += ["```text", text.rstrip(), "```", ""] if text.strip() else []
    return "\n".join(lines), pictures


def on_config(config: Any) -> Any:
    """Lists the generated pages in the navigation."""
    for entry in config.nav:
        if "Reference" in entry:
            entry["Reference"] += [{f"causal_iqa.{room}": f"reference/{room}.md"} for room in _rooms()]
        if "Tutorials" in entry:
            entry["Tutorials"] = [f"tutorials/{path.stem}.md" for path in _notebooks()]
    return config


def _notebooks() -> list[pathlib.Path]:
    found = (_ROOT / "colabs").glob("*.ipynb")
    return sorted(found, key=lambda path: (*(path.stem != one for one in _TUTORIALS), path.stem))


def on_files(files: Files, config: Any) -> Files:
    """Adds the reference and the tutorials."""
    files.append(File.generated(config, "reference/index.md", content=_overview()))
    for room in _rooms():
        files.append(File.generated(config, f"reference/{room}.md", content=_entries(room)))
    for path in _notebooks():
        text, pictures = notebook_page(path)
        files.append(File.generated(config, f"tutorials/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=content))
    return files


# Two intervals in a row, such as [.95, .98] [.90, .99], which Markdown would take for a link and its target.
_INTERVALS = re.compile(r"(\[[-+.\d, ]+\]) (?=\[[-+.\d])")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Escapes the second of two intervals."""
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [_INTERVALS.sub(r"\1 \\", part) for part in parts[::2]]
    return "".join(parts)


def on_post_build(config: Any) -> None:
    """Refuses a site whose reference lacks a public name, or whose pages fetch anything from elsewhere."""
    site = pathlib.Path(config.site_dir)
    packed = (site / "objects.inv").read_bytes()
    known = {line.split(" ", 1)[0] for line in zlib.decompress(packed.split(b"\n", 4)[4]).decode().splitlines()}
    wanted = {_place(name, one) for room in _rooms() for name, members in _modules(room).items() for one in members}
    wanted |= {f"{module}.{name}" for module, name in _calls()}
    if missing := sorted(wanted - known):
        raise PluginError(f"{len(missing)} public names are not in the reference: {', '.join(missing)}")
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        for start in ('src="http', '<link rel="stylesheet" href="http', 'src="//', "@import url(http"):
            if start in text:
                raise PluginError(f"{page.relative_to(site)} fetches from elsewhere: {start}")
