"""The pages of the documentation: their code blocks, and the commands that their text names."""

import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LANGUAGES = ("python", "sh", "text", "toml", "yaml", "json", "bibtex")
_FENCE = re.compile(
    r"^(?:<!-- (?:needs: (?P<needs>.+?)|(?P<run>run)) -->\n+)?"
    r"(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"(?<!`)`(?P<text>(?:causal-iqa|python -m|pytest|pip install) [^`]+)`")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
      language: what stands behind the fence.
      text: the code.
      line: where it begins in the page.
      needs: why it does not run with its page, where a comment before it says so: `<!-- needs: ... -->`, what a machine
        may lack, or `<!-- run -->`, a test of its own runs it.
    """

    language: str
    text: str
    line: int
    needs: str | None


def blocks(page: pathlib.Path) -> list[Block]:
    """Returns the fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(m["language"], m["text"], text.count("\n", 0, m.start("text")) + 1, m["needs"] or m["run"])
        for m in _FENCE.finditer(text)
    ]


def commands(shell: str) -> list[list[str]]:
    """Returns the words of every command of a shell block: lines joined, comments dropped, split at && too."""
    lines = shell.replace("\\\n", " ").splitlines()
    every = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    return [words for words in every if words]


def inline_commands(page: pathlib.Path) -> list[list[str]]:
    """Returns the words of every command that stands in the text of a page."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return [words for m in _INLINE.finditer(text) for words in commands(" ".join(m["text"].split()))]
