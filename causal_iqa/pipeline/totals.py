"""What of scored images can be added up: counts, exact sums and histograms of every score, merged in any order.

A set that is too large for the memory of one machine is known by its totals. Merging is exact, so they do not depend
on how the images were shared out, nor on the order in which shares are merged.
"""

import collections
import fractions
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from causal_iqa import _checks, _files
from causal_iqa.pipeline import provenance, scored, scoring

# Bits of a float32 that a bin of the histogram leaves open: bins are 1/1024 of their values wide, at most.
_OPEN_BITS = 13
FILE = "totals.json"
# Totals that are merged in one go: each merge copies what it has so far.
_AT_ONCE = 256
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Spread(NamedTuple):
    """How one score is spread over images.

    Attributes:
      defined: images that have it.
      undefined: images that lack it.
      total: its sum, exact.
      lowest: smallest value, NaN without any.
      highest: largest value, NaN without any.
      bins: number of a bin -> images in it; numbers grow with the values.
    """

    defined: int
    undefined: int
    total: fractions.Fraction
    lowest: float
    highest: float
    bins: Mapping[int, int]

    @classmethod
    def of(cls, values: np.ndarray) -> "Spread":
        """Makes the spread of the scores of some images, float32 [n], not finite where undefined."""
        own = np.asarray(values, np.float32)
        own = own[np.isfinite(own)]
        numbers, counts = np.unique(_bins(own), return_counts=True)
        return cls(
            defined=own.size,
            undefined=len(values) - own.size,
            total=fractions.Fraction(math.fsum(own.tolist())),
            lowest=float(own.min(initial=math.inf)) if own.size else math.nan,
            highest=float(own.max(initial=-math.inf)) if own.size else math.nan,
            bins=dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
        )

    @property
    def mean(self) -> float:
        """Mean of the images that have the score, NaN without any."""
        return float(self.total / self.defined) if self.defined else math.nan

    def quantile(self, level: float) -> float:
        """Returns a value that the share `level` of the images does not exceed, within 1/1024 of it; NaN without any.

        Args:
          level: between 0 and 1.
        """
        if not self.defined:
            return math.nan
        reached = 0
        for number in sorted(self.bins):
            reached += self.bins[number]
            if reached >= level * self.defined:
                return float(np.clip(_edge(number), self.lowest, self.highest)) + 0.0  # No -0.
        raise AssertionError("the bins hold every image that has the score")

    def _to_json(self) -> dict[str, Any]:
        numbers = {"mean": self.mean, "lowest": self.lowest, "highest": self.highest}
        numbers |= {f"quantile {level:g}": self.quantile(level) for level in _QUANTILES}
        return {
            "defined": self.defined,
            "undefined": self.undefined,
            **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
            "exact_sum": str(self.total),
            "bins": [[number, self.bins[number]] for number in sorted(self.bins)],
        }

    @classmethod
    def _from_json(cls, value: Mapping[str, Any]) -> "Spread":
        lowest, highest = (math.nan if value[name] is None else float(value[name]) for name in ("lowest", "highest"))
        bins = {int(number): int(count) for number, count in value["bins"]}
        return cls(value["defined"], value["undefined"], fractions.Fraction(value["exact_sum"]), lowest, highest, bins)


def _bins(values: np.ndarray) -> np.ndarray:
    """Numbers of the bins of finite float32 values: their bits, in the order of the values."""
    bits = (values + np.float32(0)).view(np.int32).astype(np.int64)  # -0 becomes 0.
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF)) >> _OPEN_BITS


def _edge(number: int) -> float:
    """The largest value of a bin."""
    last = ((number + 1) << _OPEN_BITS) - 1
    size = np.int64(abs(last)).astype(np.int32).view(np.float32)
    return float(size if last >= 0 else -size)


class SetTotals(NamedTuple):
    """Totals of one set.

    Attributes:
      images: images that were read.
      unreadable: images that were not.
      scores: column -> how it is spread.
    """

    images: int
    unreadable: int
    scores: Mapping[str, Spread]


class Totals(NamedTuple):
    """Totals of scored sets of images; `merge_totals` merges them.

    Attributes:
      sets: name of a set -> its totals.
      way: digest of what the scores depend on beside the images; empty where it is not known.
      runs: digests of the images of each run that is in the totals; empty where they are not known.
    """

    sets: Mapping[str, SetTotals]
    way: str = ""
    runs: frozenset[str] = frozenset()

    def of_run(self, way: Mapping[str, str], stamps: Iterable[str]) -> "Totals":
        """Returns the totals with what tells them from those of other runs, as `merge_totals` checks it.

        Args:
          way: what the scores depend on, of `ScoringStore.provenance`.
          stamps: stamps of all parts of the run.
        """
        return self._replace(way=provenance.digest_json(dict(way)), runs=frozenset([provenance.digest(*stamps)]))

    def to_json(self) -> dict[str, Any]:
        """Returns the totals as JSON values, with means and quantiles for readers."""
        return {
            name: {
                "images": own.images,
                "unreadable": own.unreadable,
                "scores": {column: spread._to_json() for column, spread in own.scores.items()},
            }
            for name, own in self.sets.items()
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Writes totals.json into a folder that exists."""
        _files.write_json(
            pathlib.Path(folder) / FILE,
            {"sets": self.to_json(), "way": self.way, "runs": sorted(self.runs)},
            sealed=True,
        )

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Totals":
        """Reads the totals.json of a folder; InputError where there is none or it is damaged."""
        path = pathlib.Path(folder) / FILE
        try:
            value = _files.read_json(path)
            return cls.from_json(value["sets"])._replace(way=str(value["way"]), runs=frozenset(value["runs"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _checks.InputError(f"folder: {path} cannot be read ({error})") from error

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Totals":
        """Reads the result of `to_json`, `sets` of totals.json.

        Args:
          value: JSON values.

        Raises:
          InputError: when they are no totals.
        """
        try:
            return cls(
                {
                    name: SetTotals(
                        int(own["images"]),
                        int(own["unreadable"]),
                        {column: Spread._from_json(one) for column, one in own["scores"].items()},
                    )
                    for name, own in value.items()
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise _checks.InputError(f"totals: expected what Totals.to_json gives ({error!r})") from error


def part_totals(work: scoring.Scoring, part: scored.Part, table: pa.Table, num_skipped: int) -> Totals:
    """Adds up one part.

    Args:
      work: what was scored.
      part: which part it is.
      table: its rows.
      num_skipped: its unreadable images.

    Returns:
      Totals of one set: scores, correctness and confidence of judged networks, and the probability of every cause,
      whose mean is the share of the cause before `diagnosis` corrects it.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for i in range(3):
      ...         Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)).save(f"{folder}/{i}.png")
      ...     work = pipeline.prepare_scoring(pipeline.ScoringConfig(images=(f"all={folder}",), metrics=("entropy",)))
      ...     keeper = pipeline.InMemory()
      ...     stamps = pipeline.score_sets(work, keeper, pipeline.Execution(num_devices=1))
      >>> (part, stamp), *_ = stamps.items()
      >>> table, skipped = keeper.read(part, stamp)
      >>> pipeline.part_totals(work, part, table, len(skipped)).sets["all"].images
      3
    """
    columns = [scorer.column.name for scorer in work.work.scorers]
    columns += [f"{name}/{field}" for name in work.work.networks for field in scored.NETWORK_FIELDS]
    columns += [name for name in table.column_names if name.startswith(scored.CAUSE_IS)]
    values = {
        name: table[name].to_numpy(zero_copy_only=False).astype(np.float32)
        for name in columns
        if name in table.column_names
    }
    found = SetTotals(table.num_rows, num_skipped, {name: Spread.of(own) for name, own in values.items()})
    return Totals({work.sets[part.place].name: found})


def total_parts(work: scoring.Scoring, keeper: scored.Keeper, stamps: Mapping[scored.Part, str]) -> Totals:
    """Adds up what `score_sets` kept, a part at a time.

    Args:
      work: result of `prepare_scoring`.
      keeper: that holds every part.
      stamps: result of `score_sets`.

    Returns:
      The totals of every set.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for i in range(3):
      ...         Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)).save(f"{folder}/{i}.png")
      ...     work = pipeline.prepare_scoring(pipeline.ScoringConfig(images=(f"all={folder}",), metrics=("entropy",)))
      ...     keeper = pipeline.InMemory()
      ...     stamps = pipeline.score_sets(work, keeper, pipeline.Execution(num_devices=1))
      >>> pipeline.total_parts(work, keeper, stamps).sets["all"].scores["entropy"].mean  # of images of one colour
      0.0
    """
    return merge_totals(_totals(work, keeper, stamps))


def _totals(work: scoring.Scoring, keeper: scored.Keeper, stamps: Mapping[scored.Part, str]) -> Iterable[Totals]:
    for part, stamp in stamps.items():
        table, skipped = keeper.read(part, stamp)
        yield part_totals(work, part, table, len(skipped))


def merge_totals(several: Iterable[Totals]) -> Totals:
    """Merges totals; the order changes nothing.

    Args:
      several: totals of images that were scored in the same way, for instance of several runs.

    Returns:
      The totals of all images.

    Raises:
      InputError: when sets of one name have other scores, runs were scored in different ways, or one comes twice.

    Examples:
      >>> import numpy as np
      >>> spreads = [Spread.of(np.array(values, np.float32)) for values in ([1, 2], [6])]
      >>> halves = [Totals({"photos": SetTotals(spread.defined, 0, {"piqe": spread})}) for spread in spreads]
      >>> merge_totals(halves).sets["photos"].scores["piqe"].mean
      3.0
    """
    sets: dict[str, list[SetTotals]] = {}
    ways: set[str] = set()
    runs: set[str] = set()
    for totals in several:
        ways |= {totals.way} - {""}
        if len(ways) > 1:
            raise _checks.InputError(
                "totals: expected runs that were scored in one way, got some that differ in flags, weights, anchors, "
                "size of the images or version"
            )
        if runs & totals.runs:
            raise _checks.InputError("totals: expected each run once, got one with the same images twice")
        runs |= totals.runs
        for name, own in totals.sets.items():
            sets.setdefault(name, []).append(own)
            if len(sets[name]) == _AT_ONCE:
                sets[name] = [_merged(name, sets[name])]
    merged = {name: _merged(name, own) for name, own in sets.items()}
    return Totals(merged, way="".join(ways), runs=frozenset(runs))


def _merged(name: str, several: Sequence[SetTotals]) -> SetTotals:
    # A part without a readable image has no columns.
    with_scores = [own.scores for own in several if own.scores]
    for scores in with_scores[1:]:
        differ = sorted(set(scores) ^ set(with_scores[0]))
        if differ:
            raise _checks.InputError(
                f"totals: the set {name!r} was scored otherwise in some of them: {', '.join(differ[:5])}"
            )
    names = with_scores[0] if with_scores else ()
    return SetTotals(
        sum(own.images for own in several),
        sum(own.unreadable for own in several),
        {column: _joined([scores[column] for scores in with_scores]) for column in names},
    )


def _joined(spreads: Sequence[Spread]) -> Spread:
    bins: collections.Counter[int] = collections.Counter()
    for spread in spreads:
        bins.update(spread.bins)
    with_values = [spread for spread in spreads if spread.defined]
    return Spread(
        defined=sum(spread.defined for spread in spreads),
        undefined=sum(spread.undefined for spread in spreads),
        total=sum((spread.total for spread in spreads), fractions.Fraction()),
        lowest=min((spread.lowest for spread in with_values), default=math.nan),
        highest=max((spread.highest for spread in with_values), default=math.nan),
        bins=dict(bins),
    )
