"""Fits NIQE's pristine model: the same as `causal-iqa fit-niqe`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("fit-niqe")
