"""Writes the tables of finished runs into a Markdown page, so that its numbers are those of the runs.

  python -m experiments.record --page=docs/study.md --study=cifar10=results/cifar10 --study=imagenet=results/imagenet

The page holds, for every run and table, a place `<!-- cifar10/alignment -->` ... `<!-- end -->`; what stands between
the two lines is replaced. Tables: settings, alignment, gains, anchors, accuracy; and of a run with an audit
desiderata, implications, carried, observational, transfer. Computes no score; run experiments.align first, and
experiments.audit for the latter.
"""

import pathlib

from absl import app, flags

from causal_iqa import InputError, _files
from causal_iqa.report import record
from experiments import common

_PAGE = flags.DEFINE_string("page", None, "The Markdown page, with a place for each table.")
_STUDY = flags.DEFINE_multi_string("study", [], "NAME=FOLDER of a finished run of experiments.align; repeat for more.")


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


if __name__ == "__main__":
    app.run(common.reporting_user_errors(main))
