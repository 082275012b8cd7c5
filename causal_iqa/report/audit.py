"""Writes what an audit found: audit.json, audit.md and figures."""

import pathlib
from collections.abc import Mapping
from typing import Any

from causal_iqa import _files
from causal_iqa.analysis import findings
from causal_iqa.report import audit_figures, audit_markdown


def write(folder: pathlib.Path, audited: Mapping[str, Any], found: findings.Findings) -> None:
    """Writes audit.json, audit.md and figures/audit_*.png into the folder of a run.

    Args:
      folder: of the run.
      audited: what `audit` gave.
      found: what `findings.analyse_images` gave.
    """
    drawn = audit_figures.render(audited, found)
    (folder / "figures").mkdir(exist_ok=True)
    for name, png in drawn.items():
        _files.write_atomically(folder / "figures" / f"{name}.png", png, root=folder)
    _files.write_json(folder / "audit.json", audited, root=folder, sealed=True)
    text = audit_markdown.markdown(audited, [f"figures/{name}.png" for name in drawn])
    _files.write_text(folder / "audit.md", text, root=folder)
