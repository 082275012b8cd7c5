"""The files of scored sets: scores.parquet, summary.json, report.html and the paths below the threshold."""

import io
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import pyarrow as pa

from causal_iqa import _checks, _files, data, pipeline
from causal_iqa.analysis import datasets
from causal_iqa.pipeline import inputs, parts
from causal_iqa.report import datasets as dataset_page
from causal_iqa.report import html
from causal_iqa.report.dataset_words import number, percent

SCORES, SUMMARY, PAGE, BELOW = "scores.parquet", "summary.json", "report.html", "below_threshold.txt"
_THUMBNAIL = 160
_LAST = ("cause", "cause_severity", "cause_probability", "undefined")
_INNER = ("position", "look_across", "look_down", "one_colour")


def final_table(scored: pipeline.Scored, derived: Mapping[str, pa.Array]) -> pa.Table:
    """Returns the table of scores.parquet.

    Args:
      scored: the sets.
      derived: columns of `datasets.analyse`.

    Returns:
      A row per image: image_id, set, group, label (null where unknown), width, height, format, odd, every score and
      judged network, quality, percentile, percentile_in_reference, expected_correct, cause, cause_severity,
      cause_probability, undefined.
    """
    table = scored.table
    inner = {*_INNER, *_LAST, *(name for name in table.column_names if name.startswith(pipeline.CAUSE_IS))}
    names = [name for name in table.column_names if name not in inner]
    columns = {name: table[name] for name in names}
    labels = table["label"].to_numpy()
    columns["label"] = pa.array(labels, mask=labels < 0)
    first = [name for name in ("image_id", "set", "group", "label", "width", "height", "format") if name in columns]
    rest = [name for name in names if name not in first]
    ordered = {name: columns[name] for name in first} | {"odd": derived["odd"]}
    ordered |= {name: columns[name] for name in rest}
    ordered |= {name: values for name, values in derived.items() if name != "odd"}
    return pa.table(ordered | {name: table[name] for name in _LAST})


def parquet_bytes(scored: pipeline.Scored, table: pa.Table) -> bytes:
    """Returns scores.parquet, with the passports of its columns and a digest of its content."""
    metadata = {
        "columns": {column.name: column.record() for column in scored.columns},
        "skipped": [[name, image_id, reason] for name, image_id, reason in scored.skipped],
        "library": inputs.of_library(),
    }
    return parts.sealed_parquet(table, metadata)


def csv_text(table: pa.Table) -> str:
    """Returns a table as CSV; an image whose name begins with = + - @ has "./" before it.

    Args:
      table: result of `final_table`.
    """
    ids = [f"./{name}" if name[:1] in "=+-@" else name for name in table["image_id"].to_pylist()]
    columns = [ids, *(table[name].to_pylist() for name in table.column_names[1:])]
    return _files.csv_text([table.column_names, *zip(*columns, strict=True)])


def below(
    scored: pipeline.Scored, sets: Sequence[data.ImageSet], found: datasets.DatasetFindings, quality: np.ndarray
) -> list[str]:
    """Returns the absolute paths of the images below the threshold, the worst first; ids where images are no files.

    Args:
      scored: the sets.
      sets: where the images are.
      found: the findings.
      quality: [n].
    """
    if not math.isfinite(found.cut.score):
        return []
    rows = np.flatnonzero(quality < found.cut.score)
    rows = rows[np.argsort(quality[rows], kind="stable")]
    chosen = scored.table.select(["set", "image_id", "position"]).take(pa.array(rows))
    by_name = {one.name: one.source for one in sets}
    lines = []
    for name, image_id, position in zip(*(chosen[column].to_pylist() for column in chosen.column_names), strict=True):
        file = getattr(by_name.get(name), "file", None)
        lines.append(image_id if file is None else str(pathlib.Path(file(position)).absolute()))
    return lines


def write(
    folder: pathlib.Path,
    scored: pipeline.Scored,
    sets: Sequence[data.ImageSet],
    found: datasets.Found,
    *,
    settings: Mapping[str, object],
) -> list[str]:
    """Writes everything.

    Args:
      folder: exists.
      scored: the sets.
      sets: where the images are, for the pictures; empty: no pictures.
      found: the findings.
      settings: JSON values that are shown on the page.

    Returns:
      Names of the files that were written.
    """
    findings = found.findings
    table = final_table(scored, found.derived)
    _files.write_atomically(folder / SCORES, parquet_bytes(scored, table), root=folder)
    quality = table["quality"].to_numpy().astype(np.float64)
    paths = below(scored, sets, findings, quality)
    text = "".join(f"{path}\n" for path in paths)
    _files.write_text(folder / BELOW, text, root=folder)
    summary = {
        **findings.to_json(),
        "skipped": [{"set": a, "image_id": b, "reason": c} for a, b, c in scored.skipped],
        "num_below_threshold": len(paths),
    }
    _files.write_json(folder / SUMMARY, summary, root=folder, sealed=True)
    title = f"Quality of {_listed([one.name for one in findings.sets])}"
    page = dataset_page.page(
        findings,
        title=title,
        picture=pictures(scored, sets, quality, table) if sets else None,
        skipped=scored.skipped,
        settings=settings,
    )
    _files.write_text(folder / PAGE, page, root=folder)
    return [PAGE, SCORES, SUMMARY, BELOW]


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def pictures(
    scored: pipeline.Scored, sets: Sequence[data.ImageSet], quality: np.ndarray, table: pa.Table
) -> dataset_page.PictureOf:
    """Returns a function that gives the small picture of a row, with its score, cause and path below.

    Args:
      scored: the sets.
      sets: where the images are.
      quality: [n].
      table: result of `final_table`.
    """
    by_name = {one.name: one.source for one in sets}

    def picture(row: int, begin: str) -> html.Picture:
        one = {name: scored.table[name][row].as_py() for name in ("set", "image_id", "position", "width", "height")}
        said = [begin] if begin else []
        said.append(f"quality {number(quality[row])}")
        percentile, expected = table["percentile"][row].as_py(), table["expected_correct"][row].as_py()
        if expected is not None:
            said.append(f"expected {percent(expected, 0)}")
        elif percentile is not None:
            said.append(f"percentile {percentile:.0f}")
        cause = scored.table["cause"][row].as_py()
        if cause not in (None, "none", "other"):
            said.append(cause.replace("_", " "))
        said.append(f"{one['width']} x {one['height']}")
        caption = f"{', '.join(said)}: {one['image_id']}"
        image, width, height = _thumbnail(by_name[one["set"]], one["position"])
        return html.Picture(image, caption, width, height)

    return picture


def _thumbnail(source: data.Source, position: int) -> tuple[bytes | None, int, int]:
    """A JPEG of at most 160 pixels a side, never enlarged."""
    try:
        pixels = source[position].image
    except data.UnreadableImage:  # It was readable when it was scored.
        return None, 0, 0
    image = PIL.Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL, _THUMBNAIL), PIL.Image.Resampling.BOX, reducing_gap=2.0)
    out = io.BytesIO()
    if max(image.size) < 48:
        image.save(out, format="PNG", optimize=True)  # Few pixels: each counts.
    else:
        image.save(out, format="JPEG", quality=82)
    return out.getvalue(), *image.size


def check_output(path: pathlib.Path) -> None:
    """Raises InputError unless the file's ending is .csv or .parquet."""
    if path.suffix not in (".csv", ".parquet"):
        raise _checks.InputError(f"output: expected a file ending in .csv or .parquet, got {str(path)!r}")
