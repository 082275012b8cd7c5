"""Writes the tables of finished studies into a page: the same as `causal-iqa record`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("record")
