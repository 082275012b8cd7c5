"""How far each degradation moves what a picture shows: python -m benchmarks.displacement --json=PATH

`tests.copies.displacement` measures it. Of all degradations those that move boxes and masks.
"""

import argparse
import json

from causal_iqa import _files, copies, degradations
from tests.copies.displacement import displacement


def main() -> None:
    """Measures and prints all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.only or degradations.TABLE:
        median, largest = displacement(name)
        found[name] = {"median": round(median, 2), "largest": round(largest, 2), "moves": name in copies.GEOMETRIC}
        print(name, found[name], flush=True)
    if arguments.json:
        _files.write_text(arguments.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
