"""Judges the metrics of a finished study: the same as `causal-iqa audit`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("audit")
