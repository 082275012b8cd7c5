"""Trains a small network: the same as `causal-iqa train`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("train")
