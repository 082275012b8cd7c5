"""Coverage and level of every interval and test of alignment that the report prints.

  python -m benchmarks.alignment_levels --json=PATH --markdown=PATH

Studies of 19 degradations at 5 severities are drawn from laws whose population values are known, with 100, 300 and 1000
images. Part `between`: two scores with the same population between, one with image noise 1 and one with 6. Part
`images`: all numbers under fixed conditions. Part `degradations`: new degradations in every study. Intervals are at the
level .95 of the report; tests reject at .05.
"""

import functools
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import app, flags
from scipy import stats

from benchmarks import alignment_studies as studies
from causal_iqa import _files, alignment
from causal_iqa.alignment import correlation, intervals

_DRAWS = flags.DEFINE_integer("draws", 400, "Studies of each kind.", lower_bound=2)
_SIZES = flags.DEFINE_list("sizes", ["100", "300", "1000"], "Numbers of images.")
_PARTS = flags.DEFINE_list("parts", ["between", "images", "degradations"], "Parts to run.")
_RESAMPLES = flags.DEFINE_integer("resamples", 200, "Resamples in every study.", lower_bound=20)
_JSON = flags.DEFINE_string("json", None, "File of the figures; figures that it holds already are kept.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the tables go.")

RHOS = (0.75, 0.83, 0.907, 0.96, 0.99)
_LEVEL = 0.95
_POPULATIONS = 8

Row = dict[str, Any]


class _Tally:
    """Counts how often something was true, by name."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        if np.isfinite(value):
            self.values.setdefault(name, []).append(float(value))

    def holds(self, name: str, interval: Any, truth: float) -> None:
        interval = getattr(interval, "estimate", interval)
        if np.isfinite(interval.low):
            self.add(name, interval.low <= truth <= interval.high)

    def rejects(self, name: str, p_value: float) -> None:
        if np.isfinite(p_value):
            self.add(name, p_value <= 0.05)

    def rows(self, **where: Any) -> list[Row]:
        return [{**where, "what": name, "value": np.mean(v), "studies": len(v)} for name, v in self.values.items()]


def between(rho: float, num_images: int, draws: int) -> list[Row]:
    """Coverage of both numbers of between, and the level of their paired tests, at one population value."""
    tally, at_this_n = _Tally(), []
    for i in range(draws):
        population = studies.with_between(rho, seed=i % _POPULATIONS)
        key = jax.random.fold_in(jax.random.key(num_images), i)
        scores, m = studies.draw(population, (1.0, 6.0), num_images, seed=(num_images, i))
        resamples = [_between_alone(key, q, m, one) for q, one in zip(scores, _corrected(key, scores, m), strict=True)]
        aligned = [alignment.summarise(one, level=_LEVEL) for one in resamples]
        for noise, one, own in zip((1, 6), aligned, resamples, strict=True):
            tally.add(f"noise {noise}: between", one.between.value)
            tally.add(f"noise {noise}: corrected", one.corrected.value)
            tally.holds(f"noise {noise}: corrected holds the population value", one.corrected, population.between)
            hull = intervals._hull(own.between, _LEVEL)
            tally.holds(f"noise {noise}: uncorrected percentiles hold it", hull, population.between)
        at_this_n.append((i % _POPULATIONS, [one.between for one in aligned]))
        difference = alignment.paired_difference(*resamples, level=_LEVEL)
        tally.rejects("paired test", difference.between.p_value)
        compared = alignment.compare(dict(zip("ab", resamples, strict=True)), level=_LEVEL)
        tally.rejects("paired test, normal", next(one.p_normal for one in compared if one.number == "between"))
        raw = resamples[0].between - resamples[1].between
        tally.rejects("paired test of uncorrected percentiles", intervals.difference_of(raw, _LEVEL).p_value)
    for seed in range(_POPULATIONS):
        own = [pair for which, pair in at_this_n if which == seed]
        for j, noise in enumerate((1, 6)):
            mean = np.mean([pair[j].value for pair in own])
            for pair in own:
                tally.holds(f"noise {noise}: between holds the mean of studies of this size", pair[j], mean)
    return tally.rows(part="between", rho=rho, n=num_images)


def _corrected(key: jax.Array, scores: list[np.ndarray], m: np.ndarray) -> list[alignment.Corrected]:
    tables = {str(j): {"m": q} for j, q in enumerate(scores)}
    return [by["m"] for by in alignment.correct(key, tables, {"m": m}).values()]


def _between_alone(key: jax.Array, q: np.ndarray, m: np.ndarray, one: alignment.Corrected) -> alignment.Resamples:
    """What `bootstrap` gives for between and corrected, without the rows that within and pooled rank."""
    num_images = q.shape[1]
    counts = alignment.resample_counts(key, num_images, _RESAMPLES.value)
    counts = np.concatenate([np.ones((1, num_images)), counts])
    rho = correlation.masked_spearman(*(correlation.condition_means(table, counts) for table in (q, m)))
    normal = alignment.normal_draws(key, one.influences.size, _RESAMPLES.value)
    corrected = np.concatenate([[one.value], one.value + normal @ one.influences])
    nothing = np.full(len(counts), np.nan)
    return alignment.Resamples(rho, nothing, nothing, corrected, one.reliability)


class _Truth(NamedTuple):
    """Population values of every score, and of the gains of `ours`."""

    numbers: dict[str, dict[str, float]]
    measures: dict[str, float]


@functools.cache
def _fixed_truth() -> _Truth:
    population = studies.panel(seed=0)
    scores, m = studies.draw_panel(population, 30_000, seed=(0, 0))
    folds = np.arange(10_000) % 2
    few = {name: q[:, :10_000] for name, q in scores.items()}
    numbers = {
        name: {
            "corrected": population.between_of(name),
            "within": alignment.within(q, m).rho,
            "pooled": alignment.pooled(q, m),
        }
        for name, q in scores.items()
    }
    own = alignment.measures(few["ours"], m[:, :10_000], population.severities, folds=folds)
    # Those over condition means are attenuated; their intervals are for the mean of studies of the same size.
    return _Truth(numbers, {name: value for name, value in own._asdict().items() if not name.endswith("between")})


def images(num_images: int, draws: int) -> list[Row]:
    """Coverage and level of everything that holds conditions fixed."""
    tally, truth, population = _Tally(), _fixed_truth(), studies.panel(seed=0)
    means: dict[str, list[Any]] = {}
    for i in range(draws):
        scores, m = studies.draw_panel(population, num_images, seed=(num_images, 1 + i))
        key = jax.random.fold_in(jax.random.key(num_images + 1), i)
        found = alignment.bootstrap(
            key, {name: {"m": q} for name, q in scores.items()}, {"m": m}, num_resamples=_RESAMPLES.value
        )
        of_all = {name: by["m"] for name, by in found.items()}
        ours = alignment.summarise(of_all["ours"], level=_LEVEL)
        for number in ("corrected", "within", "pooled"):
            tally.holds(f"{number}: interval", getattr(ours, number), truth.numbers["ours"][number])
        means.setdefault("between: interval", []).append(ours.between)
        for one in alignment.compare({name: of_all[name] for name in ("ours", "twin")}, level=_LEVEL):
            if one.number != "between":
                tally.rejects(f"{one.number}: paired test", one.difference.p_value)
                tally.rejects(f"{one.number}: paired test, normal", one.p_normal)
        for yardstick, gain in alignment.gains(of_all, population.families, "ours", level=_LEVEL).items():
            if yardstick.endswith("conventional"):
                for number in ("corrected", "within", "pooled"):
                    value = population.gain(truth.numbers, yardstick, number)
                    tally.holds(f"{number}: gain over {yardstick}", getattr(gain.differences, number), value)
        folds = np.arange(num_images) % 2
        measured = alignment.measure_intervals(
            key, {"ours": scores["ours"]}, m, population.severities, folds=folds, level=_LEVEL
        )["ours"]
        for name, interval in measured._asdict().items():
            if name in truth.measures:
                tally.holds(f"{name}: interval", interval, truth.measures[name])
            else:
                means.setdefault(f"{name}: interval", []).append(interval)
        halves = alignment.half_samples(key, num_images, 20)
        rho = [alignment.between(scores["ours"][:, half], m[:, half]) for half in halves]
        between = alignment.half_sample_interval(ours.between.value, np.array(rho), level=_LEVEL)
        means.setdefault("between: interval from halves", []).append(between)
        null = alignment.permutation_null(key, scores["chance"], m, num_permutations=199)
        tally.rejects("within: permutation test", null.p_within)
        tally.rejects("pooled: permutation test", null.p_pooled)
    for name, values in means.items():
        mean = np.mean([one.value for one in values])
        for one in values:
            tally.holds(name, one, mean)
    return tally.rows(part="images", n=num_images)


def degradations(num_images: int, draws: int) -> list[Row]:
    """Coverage and level of the intervals and tests for other degradations, which are new in every study."""
    tally, means = _Tally(), {}
    truth = studies.over_degradations(num_images)
    for i in range(draws):
        population = studies.random_panel(seed=(num_images, i))
        scores, m = studies.draw_panel(population, num_images, seed=(num_images, i, 1))
        key = jax.random.fold_in(jax.random.key(num_images + 2), i)
        tables = {name: {"m": scores[name]} for name in ("ours", "peer")}
        fixed = alignment.bootstrap(key, tables, {"m": m}, num_resamples=_RESAMPLES.value)
        moved = alignment.resample_conditions(key, fixed, tables, {"m": m}, population.degradations)
        aligned = alignment.summarise(moved["ours"]["m"], level=_LEVEL)
        for number, value in truth.items():
            tally.holds(f"{number}: interval", getattr(aligned, number), value)
            held_fixed = alignment.summarise(fixed["ours"]["m"], level=_LEVEL)
            tally.holds(f"{number}: interval that holds conditions fixed", getattr(held_fixed, number), value)
        compared = {name: moved[name]["m"] for name in tables}
        for one in alignment.compare(compared, level=_LEVEL):
            if one.number != "between":
                tally.rejects(f"{one.number}: paired test", one.difference.p_value)
                tally.rejects(f"{one.number}: paired test, normal", one.p_normal)
        means_of = scores["ours"].mean(axis=1), m.mean(axis=1)
        halves = alignment.half_samples(key, num_images, 20)
        rho = [alignment.between(scores["ours"][:, half], m[:, half]) for half in halves]
        interval = alignment.half_sample_interval(
            aligned.between.value,
            np.array(rho),
            deviations=alignment.between_deviations(*means_of, population.degradations),
            level=_LEVEL,
        )
        tally.holds("between: interval from halves", interval, truth["between"])
        held = alignment.held_out_accuracy(
            scores["ours"], m, population.degradations, np.arange(num_images) % 2, level=_LEVEL
        )
        tally.add(
            "predicted accuracy: interval",
            np.mean((held.predicted.low <= held.truth) & (held.truth <= held.predicted.high)),
        )
        errors = alignment.accuracy_errors(held.predicted.value, held.truth, population.degradations, level=_LEVEL)
        means.setdefault("mean error of predicted accuracy: interval", []).append(errors.mean_absolute)
    for name, values in means.items():
        mean = np.mean([one.value for one in values])
        for one in values:
            tally.holds(name, one, mean)
    return tally.rows(part="degradations", n=num_images)


def _wanted(done: list[Row]) -> Iterator[tuple[dict[str, Any], Callable[[], list[Row]]]]:
    finished = {(row["part"], row.get("rho"), row["n"]) for row in done}
    for size in map(int, _SIZES.value):
        cells: list[tuple[str, float | None, Callable[[], list[Row]]]] = [
            ("between", rho, functools.partial(between, rho, size, _DRAWS.value)) for rho in RHOS
        ]
        cells += [("images", None, functools.partial(images, size, _DRAWS.value))]
        cells += [("degradations", None, functools.partial(degradations, size, _DRAWS.value))]
        for part, rho, compute in cells:
            if part in _PARTS.value and (part, rho, size) not in finished:
                yield {"part": part, "rho": rho, "n": size}, compute


def markdown(rows: list[Row]) -> str:
    """The figures as tables: between by population value, the rest by number of images."""
    lines = []
    for part in dict.fromkeys(row["part"] for row in rows):
        own = [row for row in rows if row["part"] == part]
        columns = sorted({(row["n"], row.get("rho")) for row in own}, key=lambda c: (c[1] or 0, c[0]))
        heads = [f"n = {n}" if rho is None else f"{rho:g}, n = {n}" for n, rho in columns]
        lines += [f"| {part} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for what in dict.fromkeys(row["what"] for row in own):
            values = {(row["n"], row.get("rho")): row["value"] for row in own if row["what"] == what}
            cells = (f"{values[c]:.3f}".replace("0.", ".", 1) if c in values else "" for c in columns)
            lines.append(f"| {what} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(_: list[str]) -> None:
    """Flags -> simulated studies -> JSON and Markdown, written after every cell."""
    path = pathlib.Path(_JSON.value) if _JSON.value else None
    rows = json.loads(path.read_text())["rows"] if path and path.exists() else []
    for where, compute in _wanted(rows):
        start = time.process_time()
        rows += [{k: v for k, v in row.items() if v is not None} for row in compute()]
        print(where, f"{time.process_time() - start:.0f} s", flush=True)
        if path:
            _files.write_text(path, json.dumps({"draws": _DRAWS.value, "rows": rows}, indent=1))
    text = markdown(rows)
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, text)
    error = stats.binom.std(_DRAWS.value, 0.05) / _DRAWS.value
    print(f"{text}\nstandard error at .05 and .95: {error:.3f}")


if __name__ == "__main__":
    app.run(main)
