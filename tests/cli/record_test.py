"""The command that writes tables into pages: every page that it was given, or none."""

import json
import pathlib
import re

import pytest

from causal_iqa.cli import record as command
from causal_iqa.report import record
from tests.experiments import binaries
from tests.report import record_test

_AUDIT = pathlib.Path(__file__).parents[1] / "golden" / "audit.json"


@pytest.fixture
def run(tmp_path):
    """Output folder of a finished study."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(record_test.SUMMARY))
    (folder / "config.json").write_text(json.dumps({"config": record_test.CONFIG}))
    return folder


def _page(path, *places):
    path.write_text("# Ärger\n" + "".join(f"<!-- {place} -->\nold\n<!-- end -->\n" for place in places), "utf-8")
    return path


def test_the_tables_of_a_run_stand_in_every_page(run, tmp_path, capsys):
    pages = [_page(tmp_path / "a.md", "mine/alignment", "other/best"), _page(tmp_path / "b.md", "mine/settings")]
    before = [page.read_text("utf-8") for page in pages]
    binaries.run("record", *(f"--page={page}" for page in pages), f"--run=mine={run}")
    assert capsys.readouterr().out == f"tables of mine written to {pages[0]}, {pages[1]}\n"
    found = {"mine": record.read(run)}
    assert [page.read_text("utf-8") for page in pages] == [record.fill(text, found) for text in before]
    assert pages[0].read_text("utf-8").count("\nold\n") == 1  # The place of a run that was not given.
    assert "| `ssim` |" in pages[0].read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "b.md", "results"]


def test_several_runs_and_the_tables_of_an_audit(run, tmp_path):
    (run / "audit.json").write_bytes(_AUDIT.read_bytes())
    page = _page(tmp_path / "page.md", "one/settings", "two/desiderata")
    binaries.run("record", f"--page={page}", f"--run=one={run}", f"--run=two={run}")
    text = page.read_text("utf-8")
    assert "\nold\n" not in text and "12 images" in text.split("two/desiderata")[0]
    assert "| metric | family | D1 sensitive |" in text.split("two/desiderata")[1]


def test_the_former_name_of_the_flag_works_and_says_so(run, tmp_path, capsys):
    page = _page(tmp_path / "page.md", "mine/settings")
    binaries.run("record", f"--page={page}", f"--study=mine={run}")
    assert "old" not in page.read_text("utf-8")
    assert capsys.readouterr().err == (
        "warning: --study is called --run now; the former name goes with the next release\n"
    )


@pytest.mark.parametrize(
    ("places", "given", "message"),
    [
        (["mine/settings"], "results", "--run: expected NAME=FOLDER, got 'results'"),
        (["mine/settings"], "=results", "--run: expected NAME=FOLDER, got '=results'"),
        (["mine/settings"], "mine=", "--run: expected NAME=FOLDER, got 'mine='"),
        (["mine/settings"], "mine=elsewhere", "run: elsewhere holds no finished run"),
        (["mine/setings"], "mine=results", "unknown table 'setings' in <!-- mine/setings -->"),
        (["mine/settings", "mine/transfer"], "mine=results", "run causal-iqa audit on mine first"),
        (["other/settings"], "mine=results", "no place for run mine: expected <!-- mine/TABLE -->"),
    ],
)
def test_a_mistake_is_named_and_no_page_changes(run, tmp_path, monkeypatch, capsys, places, given, message):
    monkeypatch.chdir(tmp_path)
    good, bad = _page(tmp_path / "good.md", "fine/settings"), _page(tmp_path / "bad.md", *places)
    before = [page.read_bytes() for page in (good, bad)]
    line = binaries.error_of(
        capsys, "record", "--page=good.md", "--page=bad.md", "--run=fine=results", f"--run={given}"
    )
    assert message in line
    assert [page.read_bytes() for page in (good, bad)] == before


def test_two_runs_of_one_name_are_refused(run, tmp_path, capsys):
    page = _page(tmp_path / "page.md", "mine/settings")
    line = binaries.error_of(capsys, "record", f"--page={page}", f"--run=mine={run}", f"--run=mine={run}")
    assert "--run: two runs are called 'mine'" in line


def test_pages_that_are_no_text_are_refused(run, tmp_path, capsys):
    missing, binary = tmp_path / "missing.md", tmp_path / "binary.md"
    binary.write_bytes(b"\xff\xfe\x00")
    for page, message in ((missing, "cannot be read"), (binary, "is not text in UTF-8"), (run, "cannot be read")):
        line = binaries.error_of(capsys, "record", f"--page={page}", f"--run=mine={run}")
        assert line.startswith("error: page: ") and message in line
    assert not missing.exists()


def test_the_help_names_every_table():
    listed = re.search(r"Tables: (.*)\. It computes", " ".join((command.__doc__ or "").split()))
    assert listed is not None
    names = listed[1].replace("; and of a run with an audit ", ", ").split(", ")
    assert sorted(names) == sorted((*record._TABLES, *record._AUDIT_TABLES))


@pytest.mark.parametrize("given", [["--page=page.md"], ["--run=mine=results"]])
def test_both_flags_must_be_given(given):
    with pytest.raises(binaries.FlagError, match=r"must have a value"):
        binaries.run("record", *given)
