"""Shows what there is: the same as `causal-iqa list`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("list")
