"""One HTML page that needs nothing but itself: figures are embedded, text is escaped, no script runs."""

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}h1,h2{line-height:1.2}pre{overflow-x:auto;background:#f5f5f3;padding:1rem;"
    "font:13px/1.45 ui-monospace,monospace}figure{margin:1rem 0}img{max-width:100%;height:auto}"
    "figcaption{color:#555;font-size:.9rem}"
)


class Text(NamedTuple):
    """Words on the page; `fixed` keeps line breaks and columns, as a table needs."""

    text: str
    fixed: bool = False


class Figure(NamedTuple):
    """A PNG with its caption, which is also read to those who cannot see it."""

    png: bytes
    caption: str


class Section(NamedTuple):
    """A heading and what stands under it."""

    title: str
    parts: Sequence[Text | Figure]


def page(title: str, sections: Sequence[Section]) -> str:
    """Renders a self-contained page.

    Args:
      title: of the page.
      sections: in order.

    Returns:
      HTML text, the same for the same arguments.

    Raises:
      TypeError: for a part that is neither Text nor Figure.
      ValueError: for a figure that is not a PNG.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<section><h2>{html.escape(section.title)}</h2>")
        body.extend(_render(part) for part in section.parts)
        body.append("</section>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n"
        "</body></html>\n"
    )


def _render(part: Text | Figure) -> str:
    if isinstance(part, Figure):
        if not part.png.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError(f"png: expected the bytes of a PNG file, got {part.png[:8]!r}")
        caption, data = html.escape(part.caption), base64.b64encode(part.png).decode()
        image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    if isinstance(part, Text):
        tag = "pre" if part.fixed else "p"
        return f"<{tag}>{html.escape(part.text)}</{tag}>"
    raise TypeError(f"parts: expected Text or Figure, got {type(part).__name__}")
