"""Tables of the calibration studies' figures: python -m benchmarks.calibration_tables JSON [JSON ...] > PATH

Takes what `benchmarks.calibration` and `benchmarks.calibration_conditional` wrote, in any number of parts.
"""

import json
import pathlib
import sys
from collections.abc import Sequence


def read(paths: Sequence[str]) -> dict[tuple[str, str], dict[int, tuple[float, bool]]]:
    """Returns by test and null, for each n, the share rejected and whether it is within the bounds of the null."""
    found: dict[tuple[str, str], dict[int, tuple[float, bool]]] = {}
    for path in paths:
        for row in json.loads(pathlib.Path(path).read_text())["rows"]:
            share = row["rate"] if "rate" in row else row["rejected"]
            held = row["within"] if "within" in row else row["held"]
            found.setdefault((row["test"], row["scenario"]), {})[row["n"]] = share, held
    return found


def table(found: dict[tuple[str, str], dict[int, tuple[float, bool]]]) -> str:
    """Returns one line a test and null, a column for every n; bold where out of bounds."""
    sizes = sorted({n for cells in found.values() for n in cells})
    lines = ["| test | null | " + " | ".join(f"n = {n}" for n in sizes) + " |", "|---|---|" + "---|" * len(sizes)]
    for (test, null), cells in found.items():
        shown = []
        for n in sizes:
            share, held = cells.get(n, (None, True))
            text = "" if share is None else f"{share:.4f}"[1:]
            shown.append(text if held else f"**{text}**")
        lines.append(f"| {test} | {null} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def summary(found: dict[tuple[str, str], dict[int, tuple[float, bool]]]) -> str:
    """Returns one line a test: the least and the greatest share over all nulls and sizes, and how many cells miss."""
    lines = ["| test | cells | least | greatest | out of bounds |", "|---|---|---|---|---|"]
    for test in dict.fromkeys(test for test, _ in found):
        cells = [cell for (name, _), row in found.items() if name == test for cell in row.values()]
        shares = [share for share, _ in cells]
        missed = sum(not held for _, held in cells)
        lines.append(f"| {test} | {len(cells)} | {min(shares):.4f} | {max(shares):.4f} | {missed} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    everything = read(sys.argv[1:])
    sys.stdout.write(summary(everything) + "\n" + table(everything))
