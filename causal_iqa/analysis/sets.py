"""What a study's kept features say of whole sets of images: dataset-level quality, and each image's share of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa import _keys, alignment, pipeline, quality
from causal_iqa.alignment import condition_means, masked_spearman

# Images per class that dependence with labels needs, and resamples of the set: each costs five products of [N, N].
_LEAST_PER_CLASS = 5
_RESAMPLES = 200
_FAMILIES = {"labels": "task_guided", "clean": "feature_reference"}
# Pairs of halves behind the corrected number.
_PAIRS = 10


def _of_backbones(table: pipeline.ScoreTable) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Backbone -> (features of the degraded conditions [C, N, d], of the clean images [N, d])."""
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    degraded = [i for i, condition in enumerate(table.conditions) if condition.severity > 0]
    found = {}
    for backbone, values in table.features.items():
        if np.isfinite(values[clean]).all() and np.ptp(values[clean], axis=0).any():
            found[backbone] = values[degraded].astype(np.float32), values[clean].astype(np.float32)
    return found


def _targets(labels: np.ndarray) -> tuple[str, ...]:
    enough = len(labels) >= _LEAST_PER_CLASS * len(np.unique(labels)) and len(np.unique(labels)) > 1
    return ("labels", "clean") if enough else ("clean",)


class Meaning(NamedTuple):
    """The definition of a score of sets: formula, family, and identifiers of its inputs besides the judged images."""

    formula: str
    family: str
    reads: tuple[str, ...]


def image_shares(
    table: pipeline.ScoreTable, networks: Sequence[str]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray], dict[str, Meaning]]:
    """Each image's share of the unbiased HSIC of its set with the labels and with the clean features.

    Args:
      table: table of a finished study.
      networks: names that the scores are meant for, "all" included.

    Returns:
      (metric -> network -> [C, N] under the degraded conditions, metric -> [N] of the clean images, metric -> meaning).
    """
    scores, clean_scores, found = {}, {}, {}
    for backbone, (features, clean) in _of_backbones(table).items():
        for target in _targets(table.labels):
            spec, formula = quality.DATASET_TABLE[f"hsic_{target}"], f"hsic_share_{target}"
            metric = f"{formula}@{backbone}"
            both = np.concatenate([features, clean[None]])
            parts = quality.contributions(both, clean, table.labels, target=target)
            scores[metric] = dict.fromkeys(networks, parts[:-1])
            clean_scores[metric] = parts[-1]
            found[metric] = Meaning(formula, _FAMILIES[target], spec.reads)
    return scores, clean_scores, found


def align_sets(
    keys: tuple[jax.Array, jax.Array],
    table: pipeline.ScoreTable,
    performance: Mapping[str, np.ndarray],
    degradations: Sequence[str],
    *,
    clusters: np.ndarray | None = None,
    num_resamples: int = _RESAMPLES,
    level: float = 0.95,
) -> tuple[dict[str, dict[str, alignment.Alignment]], dict[str, dict[str, alignment.Alignment]], dict[str, Meaning]]:
    """Aligns the dataset-level metrics: one number per condition, so only between.

    Args:
      keys: typed PRNG keys: of the resamples of images, which are drawn with all their conditions, and of those of
        degradations, the one that `alignment.resample_conditions` was given.
      table: table of a finished study.
      performance: network -> [C, N] under the degraded conditions.
      degradations: degradations of the C conditions.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.
      num_resamples: number of resamples, of which at most 200 are used.
      level: confidence level of the intervals.

    Returns:
      (metric -> network -> Alignment with intervals for other images, the same for other degradations as well,
      metric -> its definition).
    """
    backbones = _of_backbones(table)
    if not backbones:
        return {}, {}, {}
    n = len(table.image_ids)
    drawn = alignment.resample_counts(keys[0], n, min(num_resamples, _RESAMPLES), clusters)
    halves = alignment.pairs_of_halves(_keys.named(keys[0], "halves of images"), n, _PAIRS, clusters)
    counts = np.concatenate([np.ones((1, n)), drawn, halves])
    whole = slice(len(counts) - len(halves))
    accuracy = {network: condition_means(np.asarray(m, np.float64), counts) for network, m in performance.items()}
    nothing = np.full(1 + len(drawn), np.nan)
    aligned: dict[str, dict[str, alignment.Alignment]] = {}
    like_these: dict[str, dict[str, alignment.Alignment]] = {}
    meanings: dict[str, Meaning] = {}
    for backbone, (features, clean) in backbones.items():
        for name, spec in quality.DATASET_TABLE.items():
            if spec.target not in _targets(table.labels):
                continue
            values = quality.evaluate_dataset(spec, features, clean, table.labels, counts)
            metric = f"{name}@{backbone}"
            meanings[metric] = Meaning(name, spec.family, spec.reads)
            aligned[metric], like_these[metric] = {}, {}
            for network, means in accuracy.items():
                between = masked_spearman(values[whole], means[whole])
                if alignment.too_few_for_one_number(values[0], performance[network]):
                    between[1:] = np.nan
                resamples = alignment.Resamples(between, nothing, nothing)
                deviations = alignment.between_deviations(values[0], means[0], degradations)
                moved = alignment.move_between(keys[1], resamples, deviations)
                found = (alignment.summarise(one, level=level) for one in (resamples, moved))
                if len(halves):
                    corrected = alignment.correct_halves(values[whole.stop :], means[whole.stop :])
                    new = {"corrected": corrected.alone, "reliability": corrected.reliability}
                    found = (one._replace(**new) for one in found)
                aligned[metric][network], like_these[metric][network] = found
    return aligned, like_these, meanings
