"""Writes the tables of finished runs into a Markdown page, so that its numbers are those of the runs.

  causal-iqa record --page=docs/study.md --study=cifar10=results/cifar10 --study=imagenet=results/imagenet

The page holds, for every run and table, a place `<!-- cifar10/alignment -->` ... `<!-- end -->`; what stands between
the two lines is replaced. Tables: settings, headline, alignment, gains, anchors, accuracy; and of a run with an audit
desiderata, implications, carried, observational, transfer. Computes no score; run causal-iqa align first,
and causal-iqa audit for the latter.
"""

import pathlib

from causal_iqa import InputError, _files
from causal_iqa.cli import common, flagset
from causal_iqa.report import record

FLAGS = flagset.FlagSet()

_PAGE = FLAGS.string("page", None, "The Markdown page, with a place for each table.")
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
    page = pathlib.Path(_PAGE.value)
    common.check_writable(str(page), "page")
    try:
        text = page.read_text("utf-8")
    except OSError as error:
        raise InputError(f"page: {page} cannot be read ({error.strerror})") from error
    _files.write_text(page, record.fill(text, runs))
    print(f"tables of {', '.join(runs)} written to {page}")
