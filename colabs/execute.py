"""Runs a notebook headless, in a fresh folder: python -m colabs.execute colabs/quickstart.ipynb

Cells tagged `install` are left out: what they install is what runs here. Prints the cell that fails and exits with 1.
"""

import pathlib
import sys
import tempfile

import nbclient
import nbformat


def main(paths: list[str]) -> None:
    """Executes every notebook given."""
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
        with tempfile.TemporaryDirectory() as folder:
            client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
            client.execute()
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        print(f"{pathlib.Path(path).name}: {len(cells)} code cells ran")


if __name__ == "__main__":
    main(sys.argv[1:])
