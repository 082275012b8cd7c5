"""Error of the estimators from confounded data at the sizes of audits: python -m benchmarks.observational_estimators

Worlds are made as an audit's observational study is: 19 degradations at five severities and clean, six arms; scenes
that are hard by two factors, one of them skewed, by their product, which no covariate holds, and in some worlds by ten
classes; severe conditions meet hard scenes with strength 1. Errors are of the effects on the mean correctness of two
networks, in points of accuracy. Draws are seeded.
"""

from collections.abc import Iterable, Sequence

import jax
import numpy as np
from absl import app, flags

from causal_iqa import _files, causal

_DRAWS = flags.DEFINE_integer("draws", 100, "Worlds of each size.", lower_bound=2)
_RESAMPLES = flags.DEFINE_integer("resamples", 100, "Resamples of the intervals.", lower_bound=1)
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes; the screen otherwise.")

SIZES = ((128, 0), (300, 0), (400, 0), (400, 10), (1000, 10))
_KINDS, _SEVERITIES = 19, 5


def world(seed: int, num_images: int, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns accuracy [C, N], the arm of every condition [C], covariates [N, F] and propensities [C, N]."""
    rng = np.random.default_rng(seed)
    plain, skewed = rng.normal(size=(2, num_images))
    skewed = np.exp(0.5 * skewed)
    skewed = (skewed - skewed.mean()) / skewed.std()
    label = rng.integers(0, num_classes, num_images) if num_classes else None
    ease = 1.4 + 0.5 * plain - 0.6 * skewed + 0.25 * plain * skewed + rng.normal(size=num_images)
    if label is not None:
        ease = ease + 0.6 * rng.normal(size=num_classes)[label]
    harm = rng.uniform(0.1, 0.8, size=(_KINDS, 1)) * np.arange(1, _SEVERITIES + 1)
    arms = np.r_[0, np.tile(np.arange(1, _SEVERITIES + 1), _KINDS)]
    ease = ease - np.r_[0, harm.ravel()][:, None]
    accuracy = np.mean([ease + 0.8 * rng.normal(size=ease.shape) > 0 for _ in range(2)], axis=0)
    x = causal.covariates(label, [plain, skewed])
    hardness = -x @ np.linalg.lstsq(x, accuracy.mean(axis=0), rcond=None)[0]
    return accuracy, arms, x, causal.severity_propensities(hardness, arms, strength=1.0)


def errors(num_images: int, num_classes: int, draws: int, num_resamples: int) -> dict[str, np.ndarray]:
    """Returns method -> error and whether the interval holds the truth, [draws, 2, severities]."""
    found: dict[str, list[np.ndarray]] = {method: [] for method in causal.METHODS}
    for seed in range(draws):
        accuracy, arms, x, propensities = world(seed, num_images, num_classes)
        key_draw, key_fit = jax.random.split(jax.random.key(seed))
        seen = causal.observe(key_draw, propensities)
        if (np.bincount(arms[seen], minlength=_SEVERITIES + 1) < 2).any():
            continue
        truth = causal.true_means(accuracy, arms)
        truth = (truth - truth[0])[1:]
        assigned = causal.assign(key_fit, arms[seen], x, _SEVERITIES + 1, num_resamples=num_resamples)
        outcome = accuracy[seen, np.arange(num_images)]
        for method, one in causal.estimate_arms(assigned, outcome).items():
            value, low, high = (part[1:] for part in one.effect)
            found[method].append(np.stack([value - truth, (low <= truth) & (truth <= high)]))
    return {method: np.array(rows) for method, rows in found.items()}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


def main(_: list[str]) -> None:
    """Measures every size and writes the table."""
    rows = []
    for num_images, num_classes in SIZES:
        for method, found in errors(num_images, num_classes, _DRAWS.value, _RESAMPLES.value).items():
            error, held = 100 * found[:, 0], 100 * found[:, 1].mean()
            noise = (error.std(axis=0) / np.sqrt(len(error))).mean()
            classes = str(num_classes) if num_classes else "not adjusted for"
            numbers = (f"{np.sqrt((error**2).mean()):.1f}", f"{np.abs(error.mean(axis=0)).mean():.1f} ± {noise:.1f}")
            rows.append([str(num_images), classes, method.replace("_", " "), *numbers, f"{held:.0f} %"])
            print(*rows[-1], flush=True)
    text = _table(["images", "classes", "estimator", "error (RMS)", "bias ± noise of the draws", "held"], rows)
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, text)
    else:
        print(text)


if __name__ == "__main__":
    app.run(main)
