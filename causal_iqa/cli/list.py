"""Lists the metrics, degradations, networks or estimators, one line each.

  causal-iqa list metrics
  causal-iqa list degradations --format=json

An estimator predicts accuracy from the outputs of the judged network itself.
"""

import sys

from causal_iqa import InputError, _checks
from causal_iqa.cli import flagset, listing

FLAGS = flagset.FlagSet("Flags")
TAKES_ARGUMENTS = True
# Names of the release before -> names now.
_FORMER = {"rivals": "estimators"}

_FORMAT = FLAGS.choice("format", "table", list(listing.FORMATS), "One line each, or the whole definition of each.")


def main(argv: list[str]) -> None:
    """Words and flags -> tables on stdout."""
    kinds = argv[1:]
    if not kinds:
        raise InputError(f"expected what to list: {', '.join(listing.KINDS)}")
    for kind, name in _FORMER.items():
        if kind in kinds:
            print(f"list {kind} is called list {name} now; the former name goes with the next release", file=sys.stderr)
    kinds = [_FORMER.get(kind, kind) for kind in kinds]
    for kind in kinds:
        if kind not in listing.KINDS:
            raise InputError(f"unknown list {kind!r}: {_checks.closest(kind, listing.KINDS)}")
    print("\n".join(listing.text(kind, _FORMAT.value) for kind in kinds), end="")
