"""Identifiers of what a score or an accuracy estimate reads in addition to the judged image, and their words.

Specs hold the identifiers; reports print the words. No code parses the words.
"""

import types
from collections.abc import Iterable, Mapping

# Identifier -> (letter for narrow tables, words).
_WORDS = {
    "clean_image": ("r", "pristine reference of each judged image"),
    "clean_regions": ("b", "boxes or mask of each clean image"),
    "image_label": ("y", "label of each judged image"),
    "anchor_labels": ("a", "class labels of the clean anchors"),
    "class_vectors": ("v", "class vectors of the backbone's classifier"),
    "class_names": ("n", "names of the classes"),
    "own_outputs": ("o", "outputs of the judged network"),
    "second_outputs": ("s", "outputs of another network of the task"),
    "clean_labels": ("c", "labels of clean images"),
    "class_shares": ("h", "class shares of the clean images"),
    "other_performance": ("m", "performance under the other degradations"),
}
READS: Mapping[str, str] = types.MappingProxyType({name: words for name, (_, words) in _WORDS.items()})
# What the anchors of a study are made of, by their kind.
OF_ANCHORS: Mapping[str, str] = types.MappingProxyType(
    {"images": "anchor_labels", "head": "class_vectors", "text": "class_names"}
)
# What a score of a family reads where nothing more exact is recorded.
OF_FAMILY: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        "full_reference": ("clean_image",),
        "no_reference": (),
        "label_free": ("anchor_labels",),
        "task_guided": ("image_label", "anchor_labels"),
        "feature_reference": ("clean_image",),
        "network_output": ("own_outputs",),
    }
)


def ordered(reads: Iterable[str]) -> tuple[str, ...]:
    """Returns the identifiers once each, in the order of READS.

    Raises:
      ValueError: for an unknown identifier.
    """
    found = set(reads)
    if unknown := sorted(found - set(READS)):
        raise ValueError(f"reads: expected identifiers among {', '.join(READS)}, got {', '.join(unknown)}")
    return tuple(name for name in READS if name in found)


def in_words(reads: Iterable[str]) -> str:
    """Returns the inputs in words; "nothing more" for none beside the judged image."""
    return "; ".join(READS[name] for name in ordered(reads)) or "nothing more"


def in_letters(reads: Iterable[str]) -> str:
    """The same for a narrow column, one letter each; "-" for nothing. `legend` explains them."""
    return "".join(_WORDS[name][0] for name in ordered(reads)) or "-"


def legend(reads: Iterable[str]) -> str:
    """Explains the letters of these identifiers, a line each."""
    return "".join(f"{_WORDS[name][0]}: {READS[name]}\n" for name in ordered(reads))
