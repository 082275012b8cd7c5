"""Writes the tables of finished runs into Markdown pages, so that their numbers are those of the runs.

  causal-iqa record --page=docs/study.md --page=docs/record/cifar10.md \\
    --study=cifar10=results/cifar10 --study=imagenet=results/imagenet

Pages hold, for every run and table, a place `<!-- cifar10/alignment -->` ... `<!-- end -->`; what stands between the
two lines is replaced. Tables: settings, headline, best, alignment, gains, anchors, accuracy; and of a run with an audit
desiderata, implications, carried, observational, transfer. It computes no score; run causal-iqa align first, and
causal-iqa audit for the tables of an audit.
"""

import pathlib

from causal_iqa import InputError, _files
from causal_iqa.cli import common, flagset
from causal_iqa.report import record

FLAGS = flagset.FlagSet()

_PAGE = FLAGS.repeated("page", "A Markdown page with a place for each table; repeat for more.")
_STUDY = FLAGS.repeated("study", "NAME=FOLDER of a finished study; repeat for more.")


def main(_: list[str]) -> None:
    """Flags -> finished runs -> tables in the page."""
    if not _PAGE.value or not _STUDY.value:
        raise InputError("--page, --study: expected a page and at least one NAME=FOLDER")
    runs = {}
    for text in _STUDY.value:
        name, _separator, folder = text.partition("=")
        if not name or not folder:
            raise InputError(f"--study: expected NAME=FOLDER, got {text!r}")
        runs[name] = record.read(pathlib.Path(folder))
    pages = {}
    for given in _PAGE.value:
        page = pathlib.Path(given)
        common.check_writable(str(page), "page")
        try:
            pages[page] = page.read_text("utf-8")
        except OSError as error:
            raise InputError(f"page: {page} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise InputError(f"page: {page} is not text in UTF-8") from error
    filled = record.fill_pages(pages, runs)
    for page, text in filled.items():
        _files.write_text(page, text)
    print(f"tables of {', '.join(runs)} written to {', '.join(map(str, filled))}")
