"""What a tree of copies holds."""

import pathlib


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """Path -> content of the files of a tree, without links and the parts of its record."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".parts" not in path.parts
    }
