"""Studies drawn from laws whose alignment is known, for benchmarks.alignment_levels."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from causal_iqa import alignment

DEGRADATIONS, SEVERITIES = 19, (1, 2, 3, 4, 5)
_CONDITIONS = DEGRADATIONS * len(SEVERITIES)
_NAMES = tuple(f"d{i}" for i in range(DEGRADATIONS) for _ in SEVERITIES)
# The panel: name -> (family, whose other part its means have, share of the ease of the condition in them, image noise,
# share of the scene in a score). `twin` has the means of `ours`, `peer` only their law; `chance` knows the condition
# and nothing of the image.
_PANEL = {
    "ours": ("label_free", "ours", 0.9, 2.0, 0.5),
    "twin": ("label_free", "ours", 0.9, 2.0, 0.5),
    "peer": ("label_free", "peer", 0.9, 2.0, 0.5),
    "chance": ("label_free", "ours", 0.9, 2.0, 0.0),
    "psnr": ("full_reference", "psnr", 0.6, 0.5, 0.1),
    "ssim": ("full_reference", "ssim", 0.65, 0.5, 0.1),
    "blur": ("no_reference", "blur", -0.3, 1.0, 0.0),
    "noise": ("no_reference", "noise", 0.2, 1.0, 0.0),
}


class Population(NamedTuple):
    """Conditions with the mean of one score and the ease, and their Spearman correlation."""

    score: np.ndarray
    ease: np.ndarray
    between: float


class Panel(NamedTuple):
    """Conditions with the means of several scores: score [C] by name, ease [C] of the conditions."""

    score: Mapping[str, np.ndarray]
    ease: np.ndarray
    degradations: Sequence[str] = _NAMES
    severities: Sequence[float] = SEVERITIES * DEGRADATIONS

    @property
    def families(self) -> dict[str, str]:
        """Name -> family."""
        return {name: row[0] for name, row in _PANEL.items()}

    def between_of(self, name: str) -> float:
        """The population's between of a score."""
        return float(stats.spearmanr(self.score[name], self.ease).statistic)

    def gain(self, numbers: Mapping[str, Mapping[str, float]], yardstick: str, number: str) -> float:
        """The population's gain of `ours` over a yardstick of both conventional families."""
        values = np.array(
            [numbers[name][number] for name, family in self.families.items() if family.endswith("_reference")]
        )
        how = {
            "best_conventional": values.max(),
            "mean_absolute_conventional": np.abs(values).mean(),
            "mean_conventional": values.mean(),
        }
        return numbers["ours"][number] - float(how[yardstick])


@functools.cache
def with_between(rho: float, seed: int) -> Population:
    """Conditions whose mean score and ease have Spearman's rho within .003."""
    rng = np.random.default_rng((seed, round(1000 * rho)))
    while True:
        ease, other = rng.normal(size=(2, _CONDITIONS))
        for share in np.linspace(0, 1, 2001):
            score = share * ease + np.sqrt(1 - share**2) * other
            found = float(stats.spearmanr(score, ease).statistic)
            if abs(found - rho) < 0.003:
                return Population(score, ease, found)


def draw(population: Population, noises: Sequence[float], num_images: int, *, seed: Sequence[int]):
    """Scores [C, N] that see the same means through image noise of several sizes, and correctness [C, N]."""
    rng = np.random.default_rng(seed)
    scene, m = _correct(rng, population.ease, num_images, networks=1)
    shape = (len(population.ease), num_images)
    scores = []
    for noise in noises:
        own = np.sqrt(0.3) * (0.6 * scene + 0.8 * rng.normal(size=(1, num_images)))
        scores.append(population.score[:, None] + noise * (own + np.sqrt(0.7) * rng.normal(size=shape)))
    return scores, m


def panel(seed: int) -> Panel:
    """A panel with conditions that are alike in law one by one."""
    rng = np.random.default_rng(seed)
    return _panel(rng, rng.normal(size=_CONDITIONS), lambda: rng.normal(size=_CONDITIONS))


def random_panel(seed: Sequence[int], num_degradations: int = DEGRADATIONS) -> Panel:
    """A panel with new degradations, which fall at their own pace and go with the scores in their own way."""
    rng = np.random.default_rng(seed)
    severity = np.asarray(SEVERITIES) / 3

    def curves() -> np.ndarray:
        pace, start = np.exp(0.5 * rng.normal(size=(num_degradations, 1))), 0.7 * rng.normal(size=(num_degradations, 1))
        return (1.5 + start - 1.5 * pace * severity + 0.2 * rng.normal(size=(num_degradations, 5))).ravel()

    names = tuple(f"d{i}" for i in range(num_degradations) for _ in SEVERITIES)
    return _panel(rng, curves(), curves)._replace(degradations=names, severities=SEVERITIES * num_degradations)


def _panel(rng: np.random.Generator, ease: np.ndarray, other) -> Panel:
    parts = {whose: other() for whose in dict.fromkeys(row[1] for row in _PANEL.values())}
    score = {
        name: share * ease + np.sqrt(1 - share**2) * parts[whose] for name, (_, whose, share, _, _) in _PANEL.items()
    }
    return Panel(score, ease)


def draw_panel(population: Panel, num_images: int, *, seed: Sequence[int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores [C, N] by name, and the mean correctness of two networks [C, N]."""
    rng = np.random.default_rng(seed)
    scene, m = _correct(rng, population.ease, num_images, networks=2)
    shape = (len(population.ease), num_images)
    scores = {}
    for name, (_, _, _, noise, share) in _PANEL.items():
        own = share * scene + np.sqrt(0.3) * rng.normal(size=(1, num_images))
        scores[name] = population.score[name][:, None] + noise * (own + np.sqrt(0.7) * rng.normal(size=shape))
    return scores, m


def _correct(rng: np.random.Generator, ease: np.ndarray, num_images: int, *, networks: int):
    """Scenes [1, N], and the share of networks that are right [C, N]: lower under hard conditions, on hard scenes."""
    scene = rng.normal(size=(1, num_images))
    easy = special.ndtr(0.8 * np.sqrt(2) * ease[:, None] + 0.3 + scene)
    return scene, np.mean(rng.random((networks, *easy.shape)) < easy, axis=0)


@functools.cache
def over_degradations(num_images: int, repeats: int = 6) -> dict[str, float]:
    """Values of `ours` over all degradations there are; `between` with the noise of this number of images."""
    found: dict[str, list[float]] = {"between": [], "corrected": [], "within": [], "pooled": []}
    for i in range(repeats):
        many = random_panel((i, 99), num_degradations=300)
        scores, m = draw_panel(many, num_images, seed=(i, num_images, 99))
        found["between"].append(alignment.between(scores["ours"], m))
        found["corrected"].append(many.between_of("ours"))
        found["within"].append(alignment.within(scores["ours"], m).rho)
        found["pooled"].append(alignment.pooled(scores["ours"], m))
    return {name: float(np.mean(values)) for name, values in found.items()}
