"""Writes the tables of finished runs into Markdown pages, so that their numbers are those of the runs.

  causal-iqa record --page=docs/study.md --page=docs/record/cifar10.md \\
    --run=cifar10=results/cifar10 --run=imagenet=results/imagenet

A page holds a place for each table, the two lines `<!-- cifar10/alignment -->` and `<!-- end -->`: the command replaces
what stands between them. Tables: settings, best, alignment, headline, gains, anchors, by_network, accuracy,
by_degradation, bounds; and of a run with an audit desiderata, implications, carried, observational, transfer. It
computes no score; run causal-iqa align first, and causal-iqa audit for the tables of an audit.
"""

import pathlib

from causal_iqa import InputError, _files
from causal_iqa.cli import common, flagset
from causal_iqa.report import record

FLAGS = flagset.FlagSet()

_PAGE = FLAGS.repeated("page", "A Markdown page with a place for each table; repeat for more.", required=True)
_RUN = FLAGS.repeated(
    "run",
    "NAME=FOLDER: the output folder of a finished study (causal-iqa align) under the name that the pages use; repeat "
    "for more.",
    required=True,
)
FLAGS.former("study", "run")


def main(_: list[str]) -> None:
    """Flags -> finished runs -> tables in the page."""
    runs = {}
    for text in _RUN.value:
        name, _separator, folder = text.partition("=")
        if not name or not folder:
            raise InputError(f"--run: expected NAME=FOLDER, got {text!r}")
        if name in runs:
            raise InputError(f"--run: two runs are called {name!r}")
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
