"""Scores the quality of images: the same as `causal-iqa score`, from a checkout."""

from causal_iqa import cli

if __name__ == "__main__":
    cli.run("score")
