"""One HTML page that needs nothing but itself: figures are embedded, text is escaped, a little script sorts tables.

The parts of a page are values: words, headline sentences, definitions, tables that can be sorted and copied, figures,
rows of figures, galleries of small pictures, and parts that are folded away. It reads on a phone and prints on paper.
"""

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

_STYLE = (
    ":root{color-scheme:light}body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;"
    "max-width:72rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}h1,h2,h3{line-height:1.2}"
    "h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}"
    "pre{overflow-x:auto;background:#f5f5f3;padding:1rem;font:13px/1.45 ui-monospace,monospace}"
    "figure{margin:1rem 0}img{max-width:100%;height:auto}figcaption{color:#555;font-size:.9rem}"
    ".headline{font-size:1.15rem;padding:.2rem 0 .2rem 1rem;border-left:4px solid #3b6ea5;margin:1rem 0}"
    ".headline p{margin:.5rem 0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1rem 0}"
    "dt{font-weight:600}dd{margin:0}.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));"
    "gap:1rem}.grid figure{margin:0}.table{overflow-x:auto;margin:1rem 0}"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;color:#555;padding-bottom:.3rem}"
    "th,td{padding:.25rem .6rem;border-bottom:1px solid #e5e5e5;"
    "text-align:left;vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}td.n.name{white-space:normal}"
    "th[role=button]{cursor:pointer}th[aria-sort=ascending]::after{content:' \\2191'}"
    "th[aria-sort=descending]::after{content:' \\2193'}thead th{background:#f5f5f3}"
    "td:first-child{min-width:7rem;overflow-wrap:anywhere}button{font:inherit;font-size:.85rem;margin:.2rem 0}"
    ".gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.75rem;margin:1rem 0}"
    ".gallery figure{margin:0;font-size:.8rem}.gallery img{max-height:10rem;display:block}"
    ".gallery figcaption{overflow-wrap:anywhere;font-size:.8rem}details{margin:1rem 0}summary{cursor:pointer}"
    "@media(max-width:480px){body{margin:1rem auto;padding:0 .75rem}dl{grid-template-columns:1fr}dd{margin:0 0 .5rem}"
    "th,td{padding:.25rem .4rem}.grid{grid-template-columns:1fr}"
    ".gallery{grid-template-columns:repeat(auto-fill,minmax(7.5rem,1fr))}}"
    "@media print{body{max-width:none;margin:0;font-size:11px}button{display:none}.table{overflow:visible}"
    "table{font-size:9px}section,figure,tr{break-inside:avoid-page}section.long{break-inside:auto}"
    "details{display:none}pre{white-space:pre-wrap}h2{break-after:avoid}}"
)
# Sorts a table by the column whose head is clicked, and copies a table as lines of cells with tabs between them.
_SCRIPT = (
    "document.querySelectorAll('table').forEach(t=>{const b=t.tBodies[0];"
    "t.querySelectorAll('th[role=button]').forEach((h,i)=>{const s=()=>{"
    "const d=h.getAttribute('aria-sort')==='descending'?1:-1;"
    "t.querySelectorAll('th').forEach(o=>o.removeAttribute('aria-sort'));"
    "h.setAttribute('aria-sort',d>0?'ascending':'descending');"
    "const k=r=>{const c=r.cells[i],v=c.dataset.v;return v===undefined?c.textContent:v===''?NaN:+v};"
    "[...b.rows].sort((x,y)=>{const a=k(x),c=k(y);"
    "if(typeof a==='string'||typeof c==='string')return d*String(a).localeCompare(String(c),undefined,{numeric:true});"
    "return isNaN(a)?isNaN(c)?0:1:isNaN(c)?-1:d*(a-c)}).forEach(r=>b.append(r))};"
    "h.onclick=s;h.onkeydown=e=>{if(e.key==='Enter'||e.key===' '){e.preventDefault();s()}}})});"
    "document.querySelectorAll('button.copy').forEach(k=>k.onclick=()=>{"
    "const t=k.parentElement.querySelector('table'),w=[...t.rows].map(r=>[...r.cells].map(c=>c.textContent.trim())"
    ".join('\\t')).join('\\n'),done=()=>{k.textContent='copied'};"
    "if(navigator.clipboard)navigator.clipboard.writeText(w).then(done);else{"
    "const a=document.createElement('textarea');"
    "a.value=w;document.body.append(a);a.select();document.execCommand('copy');a.remove();done()}});"
)
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


class Text(NamedTuple):
    """Words on the page; `fixed` keeps line breaks and columns."""

    text: str
    fixed: bool = False


class Headline(NamedTuple):
    """Sentences that say the main thing, the first first."""

    sentences: Sequence[str]


class Definitions(NamedTuple):
    """Words and their meanings, a line each."""

    items: Sequence[tuple[str, str]]


class Figure(NamedTuple):
    """A PNG with its caption, which is also read to those who cannot see it."""

    png: bytes
    caption: str


class Cell(NamedTuple):
    """A number in a table: its text, and its key of sorting; NaN or None comes last."""

    text: str
    value: float | None


class Table(NamedTuple):
    """Rows of text and of numbers, sorted by a click on a head, copied by a button.

    Attributes:
      caption: says what it shows.
      head: head of the columns.
      rows: rows of the cells; a column of Cells is of numbers and stands to the right.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]


class Picture(NamedTuple):
    """A small picture, JPEG or PNG at its own size, with what stands below; without bytes only that."""

    image: bytes | None
    caption: str
    width: int = 0
    height: int = 0


class Gallery(NamedTuple):
    """Small pictures side by side under a heading; none is enlarged."""

    title: str
    pictures: Sequence[Picture]


class Grid(NamedTuple):
    """Figures side by side where there is room."""

    figures: Sequence[Figure]


class Folded(NamedTuple):
    """What is seen only when asked for."""

    title: str
    parts: Sequence["Part"]


Part: TypeAlias = Text | Headline | Definitions | Figure | Table | Gallery | Grid | Folded


class Section(NamedTuple):
    """A heading and the parts under it."""

    title: str
    parts: Sequence[Part]


def page(title: str, sections: Sequence[Section]) -> str:
    """Renders a self-contained page.

    Args:
      title: title of the page.
      sections: sections of the page, in order.

    Returns:
      HTML text, the same for the same arguments. Only a page with tables has a script.

    Raises:
      TypeError: for a part that is none of `Part`.
      ValueError: for a figure that is not a PNG, or a picture that is neither PNG nor JPEG.

    Examples:
      >>> section = report.Section("Results", (report.Text("Three metrics."),))
      >>> text = report.page("A study", [section])
      >>> "Three metrics." in text
      True
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f'<section class="long"><h2>{html.escape(section.title)}</h2>')
        body.extend(_render(part) for part in section.parts)
        body.append("</section>")
    content = "\n".join(body)
    script = f"<script>{_SCRIPT}</script>\n" if "<table" in content else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{content}\n{script}"
        "</body></html>\n"
    )


def _render(part: Part) -> str:
    if isinstance(part, Figure):
        if _kind(part.png) != "png":
            raise ValueError(f"png: expected the bytes of a PNG file, got {part.png[:8]!r}")
        caption = html.escape(part.caption)
        return f'<figure><img src="{_source(part.png)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    if isinstance(part, Text):
        tag = "pre" if part.fixed else "p"
        return f"<{tag}>{html.escape(part.text)}</{tag}>"
    if isinstance(part, Headline):
        return f'<div class="headline">{"".join(f"<p>{html.escape(one)}</p>" for one in part.sentences)}</div>'
    if isinstance(part, Definitions):
        items = "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(text)}</dd>" for word, text in part.items)
        return f"<dl>{items}</dl>"
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Grid):
        return f'<div class="grid">{"".join(map(_render, part.figures))}</div>'
    if isinstance(part, Gallery):
        pictures = "".join(map(_picture, part.pictures))
        return f'<h3>{html.escape(part.title)}</h3><div class="gallery">{pictures}</div>'
    if isinstance(part, Folded):
        inner = "".join(map(_render, part.parts))
        return f"<details><summary>{html.escape(part.title)}</summary>{inner}</details>"
    raise TypeError(f"parts: expected Text or Figure, or another of html.Part, got {type(part).__name__}")


def _kind(content: bytes) -> str | None:
    return next((kind for mark, kind in _SIGNATURES.items() if content.startswith(mark)), None)


def _source(content: bytes) -> str:
    return f"data:image/{_kind(content)};base64,{base64.b64encode(content).decode()}"


def _picture(picture: Picture) -> str:
    caption = html.escape(picture.caption)
    if picture.image is None:
        return f"<figure><figcaption>{caption}</figcaption></figure>"
    if _kind(picture.image) is None:
        raise ValueError(f"image: expected the bytes of a PNG or JPEG file, got {picture.image[:8]!r}")
    size = f' width="{picture.width}" height="{picture.height}"' if picture.width else ""
    image = f'<img loading="lazy" src="{_source(picture.image)}" alt="{caption}"{size}>'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _table(table: Table) -> str:
    numbers = [any(isinstance(row[i], Cell) for row in table.rows if i < len(row)) for i in range(len(table.head))]
    head = "".join(
        f'<th scope="col" role="button" tabindex="0"{" class=n" if number else ""}>{html.escape(name)}</th>'
        for name, number in zip(table.head, numbers, strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    return (
        '<div class="table"><button class="copy" type="button">copy table</button>'
        f"<table><caption>{html.escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{html.escape(cell)}</td>"
    known = cell.value is not None and cell.value == cell.value
    return f'<td class="n" data-v="{cell.value if known else ""}">{html.escape(cell.text)}</td>'
