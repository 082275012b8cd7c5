"""The files of scored sets: complete, harmless to a spreadsheet, and a page that says first what matters."""

import csv
import io
import json
import re

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, _files, data
from causal_iqa.analysis import datasets
from causal_iqa.report import dataset_files, dataset_words, html
from tests.analysis.datasets.scored import scored_sets

_NAMES = (
    "=HYPERLINK(1).png",
    "+1.png",
    "-1.png",
    "@SUM.png",
    b"caf\xe9.png".decode("utf-8", "surrogateescape"),
    "a.png",
)


def _renamed(scored, names):
    place = scored.table.schema.get_field_index("image_id")
    ids = pa.array([_files.readable(name) for name in names], pa.string())
    return scored._replace(table=scored.table.set_column(place, "image_id", ids))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    images = [np.full((40, 60, 3), i, np.uint8) for i in range(60)]
    rng = np.random.default_rng(0)
    scored = scored_sets({"old": rng.normal(size=60), "new <b>": rng.normal(-1, 1, 60)}, correct=True)
    positions = pa.array(np.tile(np.arange(60), 2))
    place = scored.table.schema.get_field_index("position")
    scored = scored._replace(table=scored.table.set_column(place, "position", positions))
    sets = [data.ImageSet(name, data.open_arrays(images)) for name in scored.names]
    found = datasets.analyse(scored, datasets.Request())
    dataset_files.write(folder, scored, sets, found, settings={"a": 1})
    return folder, scored, found


def test_no_cell_is_a_formula():
    scored = _renamed(scored_sets({"a": np.asarray([-0.1, 1.5, np.nan, 3.0, 7.25, 0.0])}), _NAMES)
    found = datasets.analyse(scored, datasets.Request())
    rows = list(csv.DictReader(io.StringIO(dataset_files.csv_text(dataset_files.final_table(scored, found.derived)))))
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())
    assert [row["image_id"].removeprefix("./") for row in rows] == [_files.readable(name) for name in _NAMES]
    assert [row["quality"] for row in rows][1:3] == ["1.5", ""]
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        dataset_files.check_output(dataset_files.pathlib.Path("scores.xls"))


def test_parquet_is_sealed_and_carries_passports(written):
    folder = written[0]
    assert _files.is_whole((folder / "scores.parquet").read_bytes())
    table = pq.read_table(folder / "scores.parquet")
    assert table.num_rows == 120 and table["set"].to_pylist()[0] == "old"
    metadata = json.loads(table.schema.metadata[b"causal_iqa"])
    assert metadata["columns"]["noise_sigma"]["higher_is_better"] is False and "version of JAX" in metadata["library"]
    assert not set(dataset_files._INNER) & set(table.column_names)


def test_summary_and_paths_below_the_threshold(written):
    folder, scored, found = written
    summary = _files.read_json(folder / "summary.json")
    assert [one["name"] for one in summary["sets"]] == ["old", "new <b>"] and summary["cut"]["matters"]
    assert datasets.DatasetFindings.from_json(summary).to_json() == found.findings.to_json()
    quality = scored.table["free@b"].to_numpy()
    below = np.flatnonzero(quality < found.findings.cut.score)
    lines = (folder / "below_threshold.txt").read_text().splitlines()
    ids = scored.table["image_id"].to_pylist()
    assert lines == [ids[i] for i in sorted(below, key=lambda i: quality[i])]
    assert summary["num_below_threshold"] == len(lines) > 3


def test_the_page_needs_nothing_else_and_shows_every_part(written):
    page = (written[0] / "report.html").read_text()
    assert "new &lt;b&gt;" in page and "<b>" not in re.sub(r"<script>.*?</script>", "", page)
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    titles = ("What the scores say", "Distribution of quality", "Accuracy, and the effect of leaving out")
    titles += ("Against old", "Groups", "Worst, typical and best images", "Every statistic", "How it was made")
    for title in titles:
        assert f"<h2>{title}</h2>" in page, title
    pictures = re.findall(r'src="data:image/jpeg;base64,[^"]+" alt="[^"]*" width="(\d+)" height="(\d+)"', page)
    assert len(pictures) >= 2 * 36 and set(pictures) == {("60", "40")}, "none is enlarged"
    assert page.index("headline") < page.index("<table")


def test_sentences_say_what_there_is(written):
    lines = dataset_words.headline(written[2].findings)
    assert lines[0].startswith("old: 60 images: free@b of half of them is below ")
    assert any("the worst 5 % of the reference set old are below" in line for line in lines)
    assert any(
        line.startswith("new <b> against old: the distributions of features of b differ (p = 0.001)") for line in lines
    )
    assert dataset_words.WITHOUT_MAP in lines and dataset_words.HARDLY not in lines
    alone = datasets.analyse(scored_sets({"a": np.arange(40.0)}), datasets.Request(quality="noise_sigma")).findings
    assert dataset_words.HARDLY in dataset_words.headline(alone)
    assert "below the threshold" not in dataset_words.headline(alone)[0], "the worst 5 % of one set is no finding"
    nothing = datasets.analyse(scored_sets({"a": np.full(3, np.nan)}), datasets.Request()).findings
    assert dataset_words.headline(nothing)[0] == "a: 3 images; none has a score."


def test_components_render_and_refuse():
    table = html.Table("cap", ("name", "n"), [("<a>", html.Cell("12 %", 0.12)), ("b", html.Cell("-", float("nan")))])
    text = html.page("t", [html.Section("s", [table, html.Folded("more", [html.Text("x")])])])
    assert '<td class="n" data-v="0.12">12 %</td>' in text and '<td class="n" data-v="">-</td>' in text
    assert "<td>&lt;a&gt;</td>" in text and text.count("<script>") == 1 and "<details><summary>more" in text
    assert "<script" not in html.page("t", [html.Section("s", [html.Headline(["a"]), html.Definitions([("w", "m")])])])
    out = io.BytesIO()
    PIL.Image.new("RGB", (3, 2)).save(out, format="JPEG")
    picture = html.Gallery("g", [html.Picture(out.getvalue(), "c", 3, 2), html.Picture(None, "gone")])
    assert 'width="3" height="2"' in html.page("t", [html.Section("s", [picture])])
    with pytest.raises(ValueError, match="PNG or JPEG"):
        html.page("t", [html.Section("s", [html.Gallery("g", [html.Picture(b"GIF89a", "c")])])])
