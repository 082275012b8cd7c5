"""Runs notebooks headless, each in a fresh folder, in a small setting: python -m colabs.execute colabs/*.ipynb

Cells tagged `install` are left out: what they install is what runs here. Prints the cell that fails and exits with 1.
With --store the notebooks are run as a reader would run them and written back with their outputs, without warnings,
times and progress.
"""

import os
import pathlib
import sys
import tempfile
import time

import nbclient
import nbformat

# Pictures above this many bytes of base64 do not belong into a repository.
_MOST_OUTPUT = 200_000


def main(arguments: list[str]) -> None:
    """Executes every notebook given."""
    store = "--store" in arguments
    if not store:
        os.environ["CAUSAL_IQA_SMALL"] = "1"
    for path in (argument for argument in arguments if argument != "--store"):
        began = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        run = nbformat.NotebookNode(notebook)
        run.cells = [cell for cell in notebook.cells if not _installs(cell)]
        with tempfile.TemporaryDirectory() as folder:
            nbclient.NotebookClient(run, timeout=600, resources={"metadata": {"path": folder}}).execute()
        cells = [cell for cell in run.cells if cell.cell_type == "code"]
        print(f"{pathlib.Path(path).name}: {len(cells)} code cells ran in {time.monotonic() - began:.0f} s", flush=True)
        if store:
            for cell in cells:
                cell.outputs = [_light(output) for output in cell.outputs if output.get("name") != "stderr"]
                cell.metadata.pop("execution", None)
            nbformat.write(notebook, path)


def _installs(cell: nbformat.NotebookNode) -> bool:
    return "install" in cell.metadata.get("tags", [])


def _light(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Checks that an output is small enough to be kept."""
    size = len(nbformat.v4.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])))
    if size > _MOST_OUTPUT:
        sys.exit(f"an output of {size} bytes is too large to be stored; draw a smaller picture")
    return output


if __name__ == "__main__":
    main(sys.argv[1:])
