"""The rivals of a study, from the networks' own outputs in its score table."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import alignment, pipeline, rivals

# Images of one transport problem, and images per class from which the classes of other images tell the shares.
_TRANSPORT_IMAGES = 500
_LABELS_PER_CLASS = 10
# Images per class that scores of labelled features need, and the side of the largest matrix whose norm is taken.
_LEAST_PER_CLASS, _MOST_SINGULAR_VALUES = 5, 500
_SHRINKAGE = 0.1
# Pairs of halves of the images behind the intervals of what is one number per condition.
_PAIRS, _LEAST_HALVED = 20, 20
# Columns of the score table: rival -> (column, sign).
_COLUMNS = {
    "confidence": ("confidence", 1.0),
    "negative_entropy": ("entropy", -1.0),
    "margin": ("margin", 1.0),
    "energy": ("energy", 1.0),
    "prediction_agreement": ("prediction_agreement", 1.0),
    "prediction_information": ("prediction_information", 1.0),
    "ser_fiq": ("ser_fiq", 1.0),
}


class RivalTables(NamedTuple):
    """What the rivals say, higher is better; networks include "all", the mean over them.

    rows: rival -> network -> [C + 1, N] with the clean images last: image by image.
    accuracy: rival -> network -> [C + 1, N] rows whose mean over a condition is the predicted accuracy.
    values: rival -> network -> [1 + H, C], one number per condition: of all images, then of each half.
    halves: int [H, N // 2], the images of every half.
    families: rival -> family.
    """

    rows: Mapping[str, Mapping[str, np.ndarray]]
    accuracy: Mapping[str, Mapping[str, np.ndarray]]
    values: Mapping[str, Mapping[str, np.ndarray]]
    halves: np.ndarray
    families: Mapping[str, str]


class _SetScore(NamedTuple):
    """A score of a set: name, networks it is meant for, family, arrays [C, N, K] and their score (values, labels)."""

    name: str
    networks: tuple[str, ...]
    family: str
    values: Callable[[int], np.ndarray]
    score: Callable[[np.ndarray, np.ndarray], float]


def gather(
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    folds: np.ndarray,
    num_classes: int | None = None,
    *,
    whole: bool = True,
) -> RivalTables:
    """Computes every rival that the score table has the outputs for.

    Thresholds, offsets and class shares come from the clean images of other folds.

    Args:
      config: of the study.
      table: its finished table; older ones hold confidences alone.
      folds: int [N], fold of every image.
      num_classes: of the dataset; by default the largest label or predicted class says.
      whole: False leaves out what reads the vectors of whole sets: optimal transport and `values`.

    Returns:
      The rivals; methods without their columns are left out.
    """
    networks = [choice.name for choice in config.networks]
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    order = [*(i for i, condition in enumerate(table.conditions) if condition.severity > 0), clean]
    columns = {name: np.asarray(values, np.float64)[order] for name, values in table.columns.items() if "/" in name}
    rows: dict[str, dict[str, np.ndarray]] = {}
    for rival, (column, sign) in _COLUMNS.items():
        if all(f"{name}/{column}" in columns for name in networks):
            rows[rival] = {name: sign * columns[f"{name}/{column}"] for name in networks}
    if len(networks) > 1 and all(f"{name}/prediction" in columns for name in networks):
        rows["agreement"] = _agreement({name: columns[f"{name}/prediction"] for name in networks})
    accuracy = _predicted_rows(rows, {name: columns[f"{name}/correct"][-1] for name in networks}, folds)
    vectors = {name: np.asarray(values)[order] for name, values in table.vectors.items()} if whole else {}
    labels = np.asarray(table.labels)
    halves = np.empty((0, 0), int)
    if len(labels) >= _LEAST_HALVED:
        halves = alignment.half_samples(jax.random.key(config.seed), len(labels), _PAIRS)
    values: dict[str, dict[str, np.ndarray]] = {}
    families: dict[str, str] = {}
    for one in _set_scores(networks, vectors, labels, num_classes):
        found = _on_halves(one, labels, halves, len(order) - 1)
        values.setdefault(one.name, {}).update(dict.fromkeys(one.networks, found))
        families[one.name] = one.family
    shares = _transport_rows(networks, vectors, labels, num_classes, folds)
    if shares:
        accuracy["cot"] = shares
    for by_network in (*rows.values(), *accuracy.values(), *values.values()):
        if set(by_network) == set(networks):
            by_network[pipeline.ALL_NETWORKS] = np.mean([by_network[name] for name in networks], axis=0)
    families |= dict.fromkeys((*rows, *accuracy), rivals.FAMILY)
    return RivalTables(rows, accuracy, values, halves, families)


def _agreement(predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every network's mean agreement with the others."""
    pairs = {pair: np.asarray(rivals.agreement(*pair_of)) for pair, pair_of in _pairs(predictions)}
    return {
        name: np.mean([values for pair, values in pairs.items() if name in pair], axis=0, dtype=np.float64)
        for name in predictions
    }


def _pairs(predictions: Mapping[str, np.ndarray]) -> list[tuple[tuple[str, str], tuple[np.ndarray, np.ndarray]]]:
    return [((a, b), (predictions[a], predictions[b])) for a, b in itertools.combinations(predictions, 2)]


def _predicted_rows(
    rows: Mapping[str, Mapping[str, np.ndarray]], correct: Mapping[str, np.ndarray], folds: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    out: dict[str, dict[str, np.ndarray]] = {}
    methods: tuple[tuple[str, str, Callable[..., np.ndarray]], ...] = (
        ("doc", "confidence", rivals.difference_of_confidences),
        ("atc_confidence", "confidence", rivals.average_thresholded_confidence),
        ("atc_entropy", "negative_entropy", rivals.average_thresholded_confidence),
    )
    if "confidence" in rows:
        out["average_confidence"] = {k: rivals.average_confidence(v) for k, v in rows["confidence"].items()}
    for name, source, method in methods:
        if source in rows and len(np.unique(folds)) > 1:
            out[name] = {
                network: rivals.cross_fitted(method, values, values[-1], correct[network], folds)
                for network, values in rows[source].items()
            }
    if "agreement" in rows:
        out["gde"] = dict(rows["agreement"])
    return out


def _classes(vectors: Mapping[str, np.ndarray], labels: np.ndarray, num_classes: int | None) -> int:
    if num_classes is not None:
        return num_classes
    seen = [int(values.max()) for name, values in vectors.items() if name.endswith("/classes")]
    return max([int(labels.max()), *seen]) + 1


def _log_probabilities(vectors: Mapping[str, np.ndarray], name: str, c: int) -> np.ndarray:
    return vectors[f"{name}/log_probabilities"][c].astype(np.float64)


def _set_scores(
    networks: Sequence[str], vectors: Mapping[str, np.ndarray], labels: np.ndarray, num_classes: int | None
) -> list[_SetScore]:
    """Scores that are one number per condition; those that read labels need a few images of every class."""
    found: list[_SetScore] = []
    labelled = len(labels) >= _LEAST_PER_CLASS * len(np.unique(labels))
    if all(f"{name}/log_probabilities" in vectors for name in networks):
        size = _classes(vectors, labels, num_classes)
        scores: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {}
        if min(len(labels), size) <= _MOST_SINGULAR_VALUES:
            scores["nuclear_norm"] = lambda p, labels: rivals.nuclear_norm(p)
        if labelled:
            scores["leep"] = rivals.leep
        for name in networks:

            def dense(c: int, name: str = name) -> np.ndarray:
                return rivals.dense(np.exp(_log_probabilities(vectors, name, c)), vectors[f"{name}/classes"][c], size)

            found += [_SetScore(rival, (name,), rivals.FAMILY, dense, score) for rival, score in scores.items()]
    for name, features in vectors.items():
        backbone, _, kind = name.rpartition("/")
        if kind != "features" or not labelled:
            continue

        def of(c: int, features: np.ndarray = features) -> np.ndarray:
            return features[c].astype(np.float64)

        # The same features whatever the network; they read labels, and no network that is judged.
        meant = (*networks, pipeline.ALL_NETWORKS)
        found.append(_SetScore(f"log_me@{backbone}", meant, "task_guided", of, rivals.log_me))
        shrunk = functools.partial(rivals.h_score, shrinkage=_SHRINKAGE)
        found.append(_SetScore(f"h_score@{backbone}", meant, "task_guided", of, shrunk))
    return found


def _on_halves(one: _SetScore, labels: np.ndarray, halves: np.ndarray, num_conditions: int) -> np.ndarray:
    """The score of every condition on all images and on every half [1 + H, C]."""
    out = np.empty((1 + len(halves), num_conditions))
    for c in range(num_conditions):
        values = one.values(c)
        out[0, c] = one.score(values, labels)
        out[1:, c] = [one.score(values[half], labels[half]) for half in halves]
    return out


def _transport_rows(
    networks: Sequence[str], vectors: Mapping[str, Any], labels: np.ndarray, num_classes: int | None, folds: np.ndarray
) -> dict[str, np.ndarray]:
    if not all(f"{name}/log_probabilities" in vectors for name in networks):
        return {}
    size = _classes(vectors, labels, num_classes)
    parts = [
        part
        for fold in np.unique(folds)
        for part in np.array_split(np.flatnonzero(folds == fold), -(-(folds == fold).sum() // _TRANSPORT_IMAGES))
    ]
    out = {}
    for name in networks:
        classes = vectors[f"{name}/classes"]
        rows = np.full(classes.shape[:2], np.nan)
        for part in parts:
            others = labels[folds != folds[part[0]]]
            shares = np.full(size, 1 / size)
            if len(others) >= _LABELS_PER_CLASS * size:
                shares = np.bincount(others, minlength=size) / len(others)
            for c in range(len(rows)):
                dense = rivals.dense(np.exp(_log_probabilities(vectors, name, c)[part]), classes[c, part], size)
                rows[c, part] = rivals.optimal_transport(dense, shares).probability
        out[name] = rows
    return out


def add_alignments(
    found: Mapping[str, Mapping[str, alignment.Alignment]],
    own: RivalTables,
    performance: Mapping[str, np.ndarray],
    *,
    level: float = 0.95,
) -> dict[str, dict[str, alignment.Alignment]]:
    """Aligns the rivals that give one number per condition: between alone, its interval from halves of the images.

    Args:
      found: the alignments so far.
      own: the rivals.
      performance: network -> [C, N].
      level: of the intervals.

    Returns:
      The alignments with those rivals added.
    """
    nothing = alignment.Interval(np.nan, np.nan, np.nan)
    out = {metric: dict(by) for metric, by in found.items()}
    accuracy = {
        network: np.stack([m.mean(axis=1), *(m[:, half].mean(axis=1) for half in own.halves)])
        for network, m in performance.items()
    }
    for rival, by_network in own.values.items():
        out[rival] = {}
        for network, values in by_network.items():
            rho = [alignment.between(q[:, None], m[:, None]) for q, m in zip(values, accuracy[network], strict=True)]
            interval = alignment.half_sample_interval(rho[0], np.array(rho[1:]), level=level)
            out[rival][network] = alignment.Alignment(interval, nothing, nothing)
    return out
