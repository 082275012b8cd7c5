"""Thin binaries: `python -m experiments.NAME` in a checkout is `causal-iqa NAME`."""

import sys

from causal_iqa.cli import interrupts

if sys.argv[0] == "-m":  # A binary is being started, not imported by somebody's program.
    interrupts.quiet_until_main()
