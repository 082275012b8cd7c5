"""`python -m causal_iqa COMMAND`: the command `causal-iqa` where its script is not on the path."""

from causal_iqa.cli import main

if __name__ == "__main__":
    main()
