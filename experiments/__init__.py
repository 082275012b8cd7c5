"""Thin binaries: flags -> frozen config -> library call."""

import sys

from experiments import interrupts

if sys.argv[0] == "-m":  # A binary is being started, not imported by somebody's program.
    interrupts.quiet_until_main()
