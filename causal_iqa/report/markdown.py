"""Markdown in which no name that a user gave is anything but text: escapes, code spans and tables."""

import html
import re
from collections.abc import Iterable, Sequence

# Characters that a code span shows unchanged, in a table, too.
_PLAIN = re.compile(r"[\w@.,:;+\-/=\[\]()>% ]*")
# Everything that CommonMark or GitHub's tables give a meaning to; an underscore within a word has none.
_SPECIAL = re.compile(r"([\\`*{}\[\]()#+\-.!|~$^:@]|(?<!\w)_|_(?!\w))")


def escaped(text: str) -> str:
    """Returns text in which neither HTML nor Markdown is left: on one line, tags as entities, signs behind backslashes.

    Args:
      text: anything.

    Examples:
      >>> escaped("<b>_x_|")
      '&lt;b&gt;\\\\_x\\\\_\\\\|'
    """
    one_line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", html.escape(one_line, quote=False))


def name(text: str) -> str:
    """Returns a name as a code span, or escaped where it holds signs that a code span would not keep.

    Args:
      text: name of a metric, network, graph, node or file.

    Examples:
      >>> name("clean_cosine@mobilenet_v2"), name("<script>")
      ('`clean_cosine@mobilenet_v2`', '&lt;script&gt;')
    """
    # "<" alone opens a tag; ">" in "C -> X" does not.
    return f"`{text}`" if text.strip() and _PLAIN.fullmatch(text) else escaped(text)


def names(texts: Iterable[str]) -> str:
    """Returns names with commas between them."""
    return ", ".join(map(name, texts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table.

    Args:
      head: cells of the first line, Markdown: texts of users pass through `name` or `escaped` before.
      rows: cells of the others.
    """
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_cell, row)) + " |" for row in cells]


def _cell(text: str) -> str:
    """A bar that is not behind a backslash would end the cell."""
    return re.sub(r"(?<!\\)\|", r"\\|", text.replace("\n", " "))
