"""What there is, as tables for people and as JSON: metrics, degradations, networks, estimators."""

import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from causal_iqa import backbones, degradations, estimators, metrics, quality
from causal_iqa.backbones.weights import installed

FORMATS = ("table", "json")
_READS = {
    "full_reference": "image, pristine image",
    "no_reference": "image",
    "label_free": "image, anchors",
    "task_guided": "image, label, anchors",
    "feature_reference": "image, pristine image",
}
# Metrics that read files: family, whether higher is better, description.
_FROM_FILES = {
    "niqe": ("no_reference", False, "NIQE with a pristine model of your own (causal-iqa fit-niqe makes one)."),
    "ilniqe": ("no_reference", False, "Integrated local NIQE with a pristine model from a file."),
    "brisque": ("no_reference", False, "BRISQUE with a support vector regression from a file."),
    "lpips_alex": ("full_reference", False, "LPIPS: distance of AlexNet's features, linearly weighted."),
    "lpips_vgg": ("full_reference", False, "LPIPS: distance of VGG16's features, linearly weighted."),
    "lpips_squeeze": ("full_reference", False, "LPIPS: distance of SqueezeNet's features, linearly weighted."),
    "dists": ("full_reference", False, "DISTS: structure and texture similarity of VGG16's features."),
    "clip_iqa": ("no_reference", True, 'CLIP-IQA: is the image nearer to "Good photo." than to "Bad photo."?'),
}


class Listing(NamedTuple):
    """What can be listed of one kind: the table's head, its rows of words, and JSON values by name."""

    head: tuple[str, ...]
    rows: Callable[[], Iterable[Sequence[str]]]
    values: Callable[[], dict[str, Any]]


def text(kind: str, form: str = "table") -> str:
    """Renders the list of a kind.

    Args:
      kind: a key of KINDS.
      form: "table", one line each, cut to the width of the terminal; or "json", the whole definition of each.

    Returns:
      The text, ending in a line break.
    """
    listing = KINDS[kind]
    if form == "json":
        return json.dumps(listing.values(), indent=1) + "\n"
    rows = [listing.head, *listing.rows()]
    widths = [max(len(row[place]) for row in rows) for place in range(len(listing.head) - 1)]
    lines = ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows]
    lines.insert(1, "-" * min(100, max(map(len, lines))))
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = [line if len(line) <= width else line[: width - 3] + "..." for line in lines]
    return "\n".join(lines) + "\n"


def _first_sentence(function: Callable[..., Any], otherwise: str) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    lines = (function.__doc__ or "").strip().splitlines()
    return lines[0] if lines else otherwise


def _better(higher: bool) -> str:
    return "higher" if higher else "lower"


def _metric_rows() -> Iterable[Sequence[str]]:
    for name, spec in metrics.TABLE.items():
        what = _first_sentence(spec.fn, spec.convention)
        yield name, spec.family, _READS[spec.family], _better(spec.higher_is_better), what
    for name, written in metrics.usage().items():
        family, higher, what = _FROM_FILES[name]
        yield f"{name}@...", family, _READS[family], _better(higher), f"{what} Written {written}."
    for name, ours in quality.TABLE.items():
        reads = _READS[ours.family]
        if ours.family == "feature_reference" and ours.witness != "none":
            reads += ", anchors"
        yield f"{name}@BACKBONE", ours.family, reads, _better(ours.higher_is_better), ours.convention


def _metric_values() -> dict[str, Any]:
    conventional = {name: spec.passport() for name, spec in metrics.TABLE.items()}
    from_files = {
        name: {"family": family, "higher_is_better": higher, "written": metrics.usage()[name], "convention": what}
        for name, (family, higher, what) in _FROM_FILES.items()
    }
    return conventional | from_files | {f"{name}@BACKBONE": spec.passport() for name, spec in quality.TABLE.items()}


def _degradation_rows() -> Iterable[Sequence[str]]:
    sets = {name: degradations.named_set(name) for name in degradations.SETS if name != "all"}
    for name, spec in degradations.TABLE.items():
        member = ", ".join(one for one, names in sets.items() if name in names)
        drawn = "random" if spec.stochastic else "fixed"
        yield name, spec.group, member, drawn, _first_sentence(spec.fn, spec.convention)


def _network_rows() -> Iterable[Sequence[str]]:
    where = dict.fromkeys(installed.own(), "with the library") | dict.fromkeys(installed.PACKAGES, "extra imagenet")
    for name, spec in backbones.TABLE.items():
        yield name, spec.kind, where.get(name, f"{name}=FILE"), spec.reference


def _estimator_rows() -> Iterable[Sequence[str]]:
    for name, spec in estimators.TABLE.items():
        yield name, spec.level, ", ".join(spec.needs), _better(spec.higher_is_better), spec.convention


KINDS = {
    "metrics": Listing(("metric", "family", "reads", "better", "what it is"), _metric_rows, _metric_values),
    "degradations": Listing(
        ("degradation", "group", "sets", "drawn", "what it does"),
        _degradation_rows,
        lambda: {name: spec.passport() for name, spec in degradations.TABLE.items()},
    ),
    "networks": Listing(
        ("architecture", "kind", "weights", "reference"),
        _network_rows,
        lambda: {name: {"kind": spec.kind, "reference": spec.reference} for name, spec in backbones.TABLE.items()},
    ),
    "estimators": Listing(
        ("estimator", "level", "reads, of the judged network", "better", "what it is"),
        _estimator_rows,
        lambda: {
            name: {"level": spec.level, "needs": list(spec.needs), "convention": spec.convention}
            for name, spec in estimators.TABLE.items()
        },
    ),
}
