"""Writes what an audit found: audit.json, audit.md and figures."""

import pathlib

from causal_iqa import InputError, _files
from causal_iqa.analysis import audit, findings
from causal_iqa.report import audit_figures, audit_markdown

FILE = "audit.json"


def write(folder: pathlib.Path, audited: audit.Audit, found: findings.Findings) -> None:
    """Writes audit.json, audit.md and figures/audit_*.png into the folder of a run.

    Args:
      folder: folder of the run.
      audited: result of `audit.audit`.
      found: result of `findings.analyse_images`.
    """
    drawn = audit_figures.render(audited, found.doses)
    (folder / "figures").mkdir(exist_ok=True)
    for name, png in drawn.items():
        _files.write_atomically(folder / "figures" / f"{name}.png", png, root=folder)
    _files.write_json(folder / FILE, audited.to_json(), root=folder, sealed=True)
    text = audit_markdown.markdown(audited, [f"figures/{name}.png" for name in drawn])
    _files.write_text(folder / "audit.md", text, root=folder)


def read(folder: pathlib.Path) -> audit.Audit | None:
    """Reads the audit of a run.

    Args:
      folder: folder of the run.

    Returns:
      The audit; None where none was made.

    Raises:
      InputError: for a file that is damaged or of another version.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return audit.Audit.from_json(_files.read_json(path))
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"audit: {path} cannot be read ({error})") from error
