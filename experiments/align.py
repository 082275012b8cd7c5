"""Runs a study of quality metrics and networks: the same as `causal-iqa align`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("align")
