"""Writes degraded copies of a dataset: the same as `causal-iqa degrade`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("degrade")
