"""Type-I error of the tests behind D1 and D2: python -m benchmarks.calibration_desiderata --markdown=PATH

D2: scores and correctness of six conditions whose scenes have nothing in common, at accuracies from .02 to .98, where
the same images fail under all conditions ("same") or others each time ("others"). D1: means that do not fall at every
step, with spreads that grow and are skewed. Draws are seeded.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import jax
import numpy as np
from absl import app, flags

from causal_iqa import _files, causal

_DRAWS = flags.DEFINE_integer("draws", 1000, "Draws of each cell.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["100", "300", "1000"], "Numbers of images.")
_PARTS = flags.DEFINE_list("parts", ["aligned", "sensitive"], "Which desiderata.")
_ACCURACIES = flags.DEFINE_list("accuracies", ["0.02", "0.05", "0.2", "0.5", "0.8", "0.95", "0.98"], "Of D2's draws.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the tables go; the screen otherwise.")

LEVELS = (0.05, 0.01, 0.001, 0.0001)
# Noise of an image under a condition beside what is its own under all: the same images fail, or others.
_NOISE = {"same": 0.3, "others": 2.0}
_CONDITIONS = 6
_PERMUTATIONS = 9999

Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.normal(size=shape)


def _right(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.exponential(size=shape) - 1


def _left(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return 1 - rng.exponential(size=shape)


# Name -> (means by severity, noise, its standard deviation by severity). In none do all steps fall.
MEANS: dict[str, tuple[Sequence[float], Noise, Sequence[float]]] = {
    "never changes, normal": ((0, 0, 0, 0, 0), _normal, (1, 1, 1, 1, 1)),
    "never changes, right-skewed spread grows": ((0, 0, 0, 0, 0), _right, (1, 2, 3, 4, 5)),
    "last step flat, normal": ((0, -1, -2, -3, -3), _normal, (1, 1, 1, 1, 1)),
    "last step flat, right-skewed spread grows": ((0, -3, -6, -9, -9), _right, (1, 2, 3, 4, 5)),
    "last step flat, left-skewed spread grows": ((0, -3, -6, -9, -9), _left, (1, 2, 3, 4, 5)),
    "falls, then climbs above its start": ((0, -1, -2, -3, -3.2, 0.3), _normal, (1, 1, 1, 1, 1, 1)),
}


def unrelated(seed: int, num_images: int, accuracy: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and correctness [6, N] of images whose scenes have nothing in common."""
    rng = np.random.default_rng(seed)
    scene, other = rng.normal(size=(2, num_images))
    shift = -0.1 * np.arange(_CONDITIONS)[:, None]
    scores = np.exp(shift + other + noise * rng.normal(size=(_CONDITIONS, num_images)))
    ease = shift + scene + noise * rng.normal(size=(_CONDITIONS, num_images))
    return scores, (ease > np.quantile(ease, 1 - accuracy)).astype(float)


def aligned(num_images: int, accuracy: float, noise: float, draws: int) -> dict[str, np.ndarray]:
    """Returns p-values of the test of independence and of the common sign, NaN where neither could be tested."""
    p_values: dict[str, list[float]] = {"independence": [], "common sign": []}
    for draw in range(draws):
        scores, correct = unrelated(draw, num_images, accuracy, noise)
        key = jax.random.key(draw)
        options = {"num_permutations": _PERMUTATIONS}
        p_values["independence"].append(
            causal.within_condition_independence_test(key, scores, correct, **options).p_value
        )
        p_values["common sign"].append(causal.common_sign_test(key, scores, correct, **options).p_value)
    return {name: np.array(values) for name, values in p_values.items()}


def sensitive(num_images: int, name: str, draws: int) -> dict[str, float]:
    """Returns the share of draws in which all steps are found falling, or Page's test finds a trend, at .05."""
    means, noise, spread = MEANS[name]
    rejected = np.zeros(2)
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        own = noise(rng, (len(means), num_images)) * np.array(spread, float)[:, None]
        values = rng.normal(size=num_images) + np.array(means, float)[:, None] + own
        found = (causal.step_falls(values, range(len(means))), causal.falling_trend(values))
        rejected += [one.p_value < 0.05 for one in found]
    return dict(zip(("every step falls", "Page"), rejected / draws, strict=True))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _shares(p_values: np.ndarray) -> list[str]:
    known = p_values[np.isfinite(p_values)]
    return [f"{(known <= level).mean():.4f}"[1:] for level in LEVELS] + [f"{known.min():.1g}"]


def main(_: list[str]) -> None:
    """Runs what was asked for and writes its tables."""
    draws, sizes, parts = _DRAWS.value, [int(n) for n in _SIZES.value], []
    if "aligned" in _PARTS.value:
        rows = []
        for n in sizes:
            for accuracy in map(float, _ACCURACIES.value):
                for fail, noise in _NOISE.items():
                    start = time.perf_counter()
                    for test, p_values in aligned(n, accuracy, noise, draws).items():
                        cells = [str(n), f"{accuracy:g}"[1:], fail, test, *_shares(p_values)]
                        rows.append((test, cells))
                        print(*cells, f"{time.perf_counter() - start:.0f} s", flush=True)
        head = ["images", "accuracy", "images that fail", "test", *(f"{level:g}"[1:] for level in LEVELS[:3]), ".0001"]
        rows.sort(key=lambda row: row[0] != "independence")
        parts.append(_table([*head, "smallest p"], [cells for _, cells in rows]))
    if "sensitive" in _PARTS.value:
        rows = []
        for name in MEANS:
            for n in sizes:
                found = sensitive(n, name, draws)
                rows.append([name, str(n), *(f"{share:.3f}" for share in found.values())])
                print(*rows[-1], flush=True)
        parts.append(_table(["means", "images", "every step falls", "Page"], rows))
    text = "\n\n".join(parts) + "\n"
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, text)
    else:
        print(text)


if __name__ == "__main__":
    app.run(main)
