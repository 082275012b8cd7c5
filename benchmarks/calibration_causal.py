"""Coverage of the intervals of effects, curves and mediation: python -m benchmarks.calibration_causal --markdown=PATH

Every image is taken clean and under five degradations at five severities, as in an audit. A degradation lowers the ease
of an image by a curve of its own, and a score reads the ease with noise and, besides, something of each severity that
no network reads, so that it carries only a part of the effect. The population values are those of one draw of 200,000
images. Draws are seeded.
"""

from collections.abc import Iterator, Mapping

import jax
import numpy as np
from absl import app, flags

from causal_iqa import _files, causal
from causal_iqa.causal import resamples

_DRAWS = flags.DEFINE_integer("draws", 200, "Draws of each size.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["100", "300", "1000"], "Numbers of images.")
_RESAMPLES = flags.DEFINE_integer("resamples", 200, "Resamples of each interval.", lower_bound=10)
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes; the screen otherwise.")

_KINDS, _SEVERITIES = 5, 5
_POPULATION = 200_000
_NAMES = [f"degradation {kind}" for kind in range(_KINDS) for _ in range(_SEVERITIES)]
_DOSES = np.tile(np.arange(1.0, _SEVERITIES + 1), _KINDS)
# The harm of each degradation: its size at the last severity, and the power of severity that it follows.
_HARMS = ((1.0, 0.5), (1.5, 1.0), (2.0, 1.0), (2.5, 2.0), (0.7, 1.5))
_LEVEL = 0.95


def world(seed: int, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and mean correctness of two networks [26, N]; the first row is clean."""
    rng = np.random.default_rng(seed)
    harm = np.concatenate([[0.0], *(size * (_DOSES[:_SEVERITIES] / _SEVERITIES) ** power for size, power in _HARMS)])
    ease = 1.2 + rng.normal(size=num_images) - harm[:, None] + 0.5 * rng.normal(size=(len(harm), num_images))
    besides = np.concatenate([[0.0], 0.15 * _DOSES])
    scores = ease - besides[:, None] + 0.8 * rng.normal(size=ease.shape)
    correct = [ease + 0.7 * rng.normal(size=ease.shape) > 0 for _ in range(2)]
    return scores, np.mean(correct, axis=0)


def estimates(seed: int, num_images: int, num_resamples: int) -> Iterator[tuple[str, causal.Estimate]]:
    """Yields every estimate of one draw by the name of its kind."""
    scores, performance = world(seed, num_images)
    options = {"num_resamples": num_resamples, "level": _LEVEL}
    keys = iter(jax.random.split(jax.random.key(seed), 4))
    for name, values in (("performance", performance), ("score", scores)):
        yield f"effects on {name}", causal.average_effects(next(keys), values[1:], values[0], **options)
    falls = [
        causal.step_falls(np.vstack([scores[:1], scores[1 + first : 1 + first + _SEVERITIES]]), range(_SEVERITIES + 1))
        for first in range(0, _KINDS * _SEVERITIES, _SEVERITIES)
    ]
    yield "falls of the score at each step", _stack([one.fall for one in falls])
    yield "smallest fall", _stack([one.smallest for one in falls])
    clean = scores[0], performance[0]
    each, mean = causal.align_doses(next(keys), scores[1:], performance[1:], _NAMES, _DOSES, clean=clean, **options)
    for field in causal.DoseAlignment._fields:
        yield f"curves: {field}, each degradation", _stack([getattr(one, field) for one in each.values()])
        yield f"curves: {field}, mean", getattr(mean, field)
    split = causal.mediate(next(keys), scores[1:], performance[1:], _NAMES, _DOSES, clean=clean, **options)
    for field in split.mean._fields:
        yield f"mediation: {field}, mean", getattr(split.mean, field)
        yield f"mediation: {field}, each condition", getattr(split.conditions, field)
    yield "mediation: share", split.share
    yield "mediation: surrogate share", split.surrogate_share
    counts = resamples.resample_rows(jax.random.key(seed), num_images, num_resamples)
    risks = resamples.weighted_means(counts, 1 - performance)
    rows = range(1, 1 + _KINDS * _SEVERITIES)
    yield "E-value", _stack([causal.e_value_of_resamples(risks[:, row], risks[:, 0], level=_LEVEL) for row in rows])


def _stack(found: list[causal.Estimate]) -> causal.Estimate:
    return causal.Estimate(*(np.array([one[part] for one in found]) for part in range(3)))


def coverage(num_images: int, draws: int, num_resamples: int, truth: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns kind of estimate -> share of intervals that hold the population value, and of those that are given."""
    held: dict[str, list[np.ndarray]] = {name: [] for name in truth}
    for draw in range(draws):
        for name, (_, low, high) in estimates(1 + draw, num_images, num_resamples):
            holds = np.where(np.isfinite(low), (low <= truth[name]) & (truth[name] <= high), np.nan)
            held[name].append(np.atleast_1d(holds))
    return {
        name: np.array([np.nanmean(rows) if np.isfinite(rows).any() else np.nan, np.isfinite(rows).mean()])
        for name, rows in ((name, np.array(rows)) for name, rows in held.items())
    }


def main(_: list[str]) -> None:
    """Measures every size and writes the table."""
    truth = {name: np.asarray(one.value) for name, one in estimates(0, _POPULATION, 1)}
    sizes = [int(size) for size in _SIZES.value]
    found = {size: coverage(size, _DRAWS.value, _RESAMPLES.value, truth) for size in sizes}
    head = ["interval", "population value", *(f"n = {size}" for size in sizes)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head))]
    for name, values in truth.items():
        middle = f"{float(values):.3f}" if values.ndim == 0 else f"{values.min():.3f} to {values.max():.3f}"
        cells = [f"{found[size][name][0]:.3f}".lstrip("0") for size in sizes]
        given = [found[size][name][1] for size in sizes]
        cells = [f"{c} ({100 * g:.0f} % given)" if g < 1 else c for c, g in zip(cells, given, strict=True)]
        lines.append("| " + " | ".join([name, middle, *cells]) + " |")
    text = "\n".join(lines) + "\n"
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, text)
    print(text)


if __name__ == "__main__":
    app.run(main)
