"""Shows every degradation as pictures: the same as `causal-iqa sheet`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("sheet")
