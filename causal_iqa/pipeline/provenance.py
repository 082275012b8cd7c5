"""The inputs on which the numbers of a study depend, as digests, and the differences of two such lists in words."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_DIGITS = 16
_IMAGES, _ANCHORS = "judged images", "anchor images"
# Parts of which both values are shown where they differ: they say something to a reader.
_VERSIONS = ("library", "version of JAX", "version of NumPy", "version of Pillow")


class Listing(NamedTuple):
    """Images that were chosen, in order: ids, labels, and stamps that change with their content."""

    ids: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    stamps: tuple[str, ...] = ()

    def digest(self) -> str:
        """Returns a digest of all three."""
        return digest(json.dumps([self.ids, self.labels, self.stamps]))


_NONE = Listing()


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Everything the numbers of a study depend on.

    Attributes:
      fingerprint: a name for all of it; equal names, equal numbers.
      parts: name -> digest or version, e.g. "flags", "library", "network NAME".
      images: the judged images; empty when they were not recorded.
      anchors: the anchor images.
    """

    fingerprint: str
    parts: Mapping[str, str]
    images: Listing = _NONE
    anchors: Listing = _NONE

    @classmethod
    def of(cls, parts: Mapping[str, str], images: Listing, anchors: Listing = _NONE) -> "Provenance":
        """Makes the provenance of its parts and of the images."""
        parts = {**parts, _IMAGES: images.digest(), _ANCHORS: anchors.digest()}
        whole = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return cls(whole, parts, images, anchors)

    @classmethod
    def named(cls, name: str) -> "Provenance":
        """Makes the provenance of a table that no study made: a name says all there is to say."""
        return cls(name, {"name": name})

    @property
    def records_images(self) -> bool:
        """Whether it says which images there must be."""
        return _IMAGES in self.parts

    @property
    def is_consistent(self) -> bool:
        """Whether the images it lists are those it says there must be."""
        told = (self.parts.get(_IMAGES), self.parts.get(_ANCHORS))
        return not self.records_images or told == (self.images.digest(), self.anchors.digest())


def digest(*pieces: bytes | str) -> str:
    """Returns the first 64 bits of a SHA-256 of the pieces, each with its length, in hexadecimal."""
    whole = hashlib.sha256()
    for piece in pieces:
        content = piece if isinstance(piece, bytes) else piece.encode("utf-8", "surrogatepass")
        whole.update(b"%d:" % len(content) + content)
    return whole.hexdigest()[:_DIGITS]


def digest_json(value: Any) -> str:
    """Returns a digest of JSON values; other values count by their `str`."""
    return digest(json.dumps(value, sort_keys=True, default=str))


def differences(
    there: Provenance, config_there: Mapping[str, Any], now: Provenance, config_now: Mapping[str, Any]
) -> list[str]:
    """Lists the differences between two studies, each in a few words.

    Args:
      there: provenance of the earlier study.
      config_there: its config, JSON values.
      now: provenance of the other.
      config_now: its config.

    Returns:
      Phrases such as "seed (0 there, 1 now)" and "the judged images changed: 40 added (first: x.png)"; empty when the
      fingerprints are equal.
    """
    if there.fingerprint == now.fingerprint:
        return []
    fields = {**config_there, **config_now}
    found = [
        f"{name} ({config_there.get(name)!r} there, {config_now.get(name)!r} now)"
        for name in fields
        if config_there.get(name) != config_now.get(name)
    ]
    for name in {**there.parts, **now.parts}:
        before, after = there.parts.get(name), now.parts.get(name)
        if before == after or name == "flags":
            continue
        if name in (_IMAGES, _ANCHORS):
            listings = (one.images if name == _IMAGES else one.anchors for one in (there, now))
            found.append(f"the {name} changed: {_listing_difference(*listings)}")
        elif before is None or after is None:
            found.append(f"the {name} {'is new' if before is None else 'is gone'}")
        elif name in _VERSIONS:
            found.append(f"the {name} changed ({before} there, {after} now)")
        else:
            found.append(f"the {name} changed")
    return found or ["what it depends on"]


def _listing_difference(there: Listing, now: Listing) -> str:
    before = {name: place for place, name in enumerate(there.ids)}
    after = {name: place for place, name in enumerate(now.ids)}
    both = [name for name in now.ids if name in before]
    kinds = {
        "added": [name for name in now.ids if name not in before],
        "gone": [name for name in there.ids if name not in after],
        "of another class": [name for name in both if there.labels[before[name]] != now.labels[after[name]]],
        "of other content": [name for name in both if there.stamps[before[name]] != now.stamps[after[name]]],
    }
    words = [f"{len(names)} {kind} (first: {names[0]})" for kind, names in kinds.items() if names]
    return ", ".join(words) or ("they come in another order" if there.ids else "they were not recorded")
