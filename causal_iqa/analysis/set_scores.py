"""Estimators that give one number per condition, from the outputs and embeddings kept in a score table."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import estimators, pipeline

# Images per class that scores of labelled features need, and the side of the largest matrix whose norm is taken.
_LEAST_PER_CLASS, _MOST_SINGULAR_VALUES = 5, 500
_SHRINKAGE = 0.1
# Seed of the random labels that GdScore gives to uncertain images.
_LABEL_SEED = 0
_WITNESS = "witness_log_probabilities"
# What takes singular values, and what is read of the shares that a witness gives.
_COSTLY = "nuclear_norm"
_OF_WITNESSES = ("nuclear_norm", "dispersion")
# Kept where the detectors on the witness were asked for.
EARLY = "witness_early"


class SetScore(NamedTuple):
    """A score of a set of images.

    Attributes:
      formula: its row of `estimators.TABLE`.
      networks: it is meant for.
      family: family of the estimator.
      defined: bool [C, N], whether the outputs it reads are finite.
      score: (condition, images int [S, n] of S sets) -> float [S], higher is better.
      reads: identifiers of its inputs in addition to the judged images; None: those of its estimator.
      backbone: the backbone with the features that it reads; empty where it reads none.
    """

    formula: str
    networks: tuple[str, ...]
    family: str
    defined: np.ndarray
    score: Callable[[int, np.ndarray], np.ndarray]
    reads: tuple[str, ...] | None = None
    backbone: str = ""

    @property
    def name(self) -> str:
        """Name in the report."""
        return f"{self.formula}@{self.backbone}" if self.backbone else self.formula


class Kept(NamedTuple):
    """The class probabilities in a score table: of the judged networks, and of the classifiers of backbones."""

    networks: dict[str, estimators.KeptOutputs]
    heads: dict[str, estimators.KeptOutputs]


def kept_outputs(
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    order: Sequence[int],
    labels: np.ndarray,
    num_classes: int | None,
) -> Kept:
    """The class probabilities in a score table.

    Args:
      outputs: outputs of the table.
      order: order of the conditions wanted.
      labels: int [N].
      num_classes: number of classes of the task; None: that of the kept outputs, or the largest class seen.

    Returns:
      network -> outputs [C, N], and backbone -> those of its own classifier.
    """
    order, found = list(order), Kept({}, {})
    for owner, fields in outputs.items():
        for prefix, into in (("", found.networks), ("head_", found.heads)):
            if f"{prefix}log_probabilities" not in fields:
                continue
            values = fields[f"{prefix}log_probabilities"]
            classes = np.asarray(fields[f"{prefix}classes"])[order]
            sums = fields.get(f"{prefix}power_sums")
            size = values.shape[-1]
            if sums is not None:
                size = num_classes or max(int(labels.max()), int(classes.max()), size) + 1
            log_p = np.asarray(values, np.float64)[order]
            into[owner] = estimators.KeptOutputs(log_p, classes, size, None if sums is None else sums[order])
    return found


def part_of(outputs: estimators.KeptOutputs, conditions: int | slice, images: np.ndarray) -> estimators.KeptOutputs:
    """The outputs of some conditions and images; `images` is a mask or places."""
    return outputs._replace(
        log_probabilities=outputs.log_probabilities[conditions][..., images, :],
        classes=outputs.classes[conditions][..., images, :],
        power_sums=None if outputs.power_sums is None else outputs.power_sums[conditions][..., images, :],
    )


def set_scores(
    networks: Sequence[str],
    table: pipeline.ScoreTable,
    order: Sequence[int],
    kept: Mapping[str, estimators.KeptOutputs],
    labels: np.ndarray,
) -> list[SetScore]:
    """Scores that are one number per condition; those that read labels need a few images of every class.

    Args:
      networks: that are judged.
      table: table of the study.
      order: order of its conditions wanted.
      kept: result of `kept_outputs`.
      labels: int [N].

    Returns:
      Every score that the table has the outputs for.
    """
    order = list(order)
    labelled = labels.min() >= 0 and len(labels) >= _LEAST_PER_CLASS * len(np.unique(labels))
    found: list[SetScore] = []
    if all(name in kept for name in networks):
        for name in networks:
            embedding = table.vectors.get(f"{name}/embedding")
            given = _arguments(kept[name], None if embedding is None else np.asarray(embedding)[order])
            if labelled:
                given["labels"] = lambda c, images: labels[images]
            terms = [table.columns.get(f"{name}/{field}") for field in estimators.MatrixNormTerms._fields]
            if all(term is not None for term in terms):
                given["terms"] = functools.partial(_terms, [np.asarray(term)[order] for term in terms])
            scores = _own_scores(kept[name], given)
            defined = np.any(np.isfinite(kept[name].log_probabilities), axis=2)
            found += [
                SetScore(estimator, (name,), estimators.FAMILY, defined, score) for estimator, score in scores.items()
            ]
    for backbone, features in table.features.items() if labelled else ():
        of_condition = np.asarray(features)[order]
        defined = np.all(np.isfinite(of_condition), axis=2)
        # The same features whatever the network; they read labels, and no network that is judged.
        meant = (*networks, pipeline.ALL_NETWORKS)
        for estimator, fn in (
            ("log_me", estimators.log_me),
            ("h_score", functools.partial(estimators.h_score, shrinkage=_SHRINKAGE)),
        ):
            score = functools.partial(_of_features, fn, of_condition, labels)
            found.append(SetScore(estimator, meant, "task_guided", defined, score, None, backbone))
    return [*found, *_of_witnesses(networks, table, order)]


def _of_witnesses(networks: Sequence[str], table: pipeline.ScoreTable, order: Sequence[int]) -> list[SetScore]:
    """Scores of the class shares that the witnesses over stages give: neither labels nor clean images are read."""
    found = []
    meant = (*networks, pipeline.ALL_NETWORKS)
    for backbone, fields in table.outputs.items():
        if _WITNESS not in fields:
            continue
        shares = _kept_shares(fields, order)
        defined = np.any(np.isfinite(shares.log_probabilities), axis=2)
        features = fields.get("features")
        given = _arguments(shares, None if features is None else np.asarray(features)[order])
        own = _own_scores(shares, given)
        scores = {name: own[name] for name in _OF_WITNESSES if name in own}
        if EARLY in fields:  # Where the detectors were asked for.
            early = np.asarray(fields[EARLY])[order]
            scores["mano"] = functools.partial(_mano_of_shares, shares)
            scores["frechet_early"] = functools.partial(_of_vectors, estimators.frechet_distance, early)
            if features is not None:
                kept = np.asarray(features)[order]
                scores["uniformity"] = functools.partial(_of_vectors, estimators.uniformity, kept)
        found += [
            SetScore(estimator, meant, "label_free", defined, score, ("anchor_labels",), backbone)
            for estimator, score in scores.items()
        ]
    return found


def witness_shares(table: pipeline.ScoreTable, order: Sequence[int]) -> dict[str, estimators.KeptOutputs]:
    """The class shares that the witnesses over stages give, where the detectors were asked for.

    Args:
      table: table of the study.
      order: order of its conditions wanted.

    Returns:
      Backbone, or several read as one -> shares [C, N].
    """
    order, found = list(order), {}
    for backbone, fields in table.outputs.items():
        if EARLY in fields:
            found[backbone] = _kept_shares(fields, order)
    return found


def _kept_shares(fields: Mapping[str, np.ndarray], order: Sequence[int]) -> estimators.KeptOutputs:
    classes = np.asarray(fields["witness_classes"])[order]
    log_p = np.asarray(fields[_WITNESS], np.float64)[order]
    return estimators.KeptOutputs(log_p, classes, max(int(classes.max()) + 1, log_p.shape[-1]))


def _mano_of_shares(own: estimators.KeptOutputs, c: int, images: np.ndarray) -> Any:
    """MaNo with the witness's shares in place of the normalised logits; what is not kept has no weight."""
    power = np.exp(4 * own.log_probabilities[c, images]).sum(axis=-1).mean(axis=-1)
    return (power / own.num_classes) ** 0.25


def _of_vectors(fn: Callable[[np.ndarray], Any], vectors: np.ndarray, c: int, images: np.ndarray) -> Any:
    return fn(vectors[c, images].astype(np.float64))


def _arguments(own: estimators.KeptOutputs, embedding: np.ndarray | None) -> dict[str, Callable[..., Any]]:
    """What an estimator of sets may read of outputs and features: its name in `EstimatorSpec.needs` -> (c, images)."""

    def dense(c: int, images: np.ndarray) -> np.ndarray:
        return estimators.dense(np.exp(own.log_probabilities[c, images]), own.classes[c, images], own.num_classes)

    given: dict[str, Callable[..., Any]] = {
        "probabilities": dense,
        "predictions": lambda c, images: own.classes[c, images, 0],
        "pseudo_labels": lambda c, images: estimators.pseudo_labels(_LABEL_SEED, dense(c, images)),
        "num_classes": lambda c, images: own.num_classes,
    }
    if embedding is not None:
        given["features"] = lambda c, images: embedding[c, images].astype(np.float64)
    return given


def _own_scores(
    own: estimators.KeptOutputs, given: Mapping[str, Callable[..., Any]]
) -> dict[str, Callable[[int, np.ndarray], Any]]:
    """The estimators of sets that read a network's outputs, and nothing that is not given."""
    large = min(own.classes.shape[1], own.num_classes) > _MOST_SINGULAR_VALUES
    return {
        spec.name: functools.partial(_called, spec, given)
        for spec in estimators.TABLE.values()
        if spec.level == "dataset"
        and not spec.predicts_accuracy
        and "own_outputs" in spec.reads
        and given.keys() >= set(spec.needs)
        and not (large and spec.name == _COSTLY)
    }


def _called(spec: estimators.EstimatorSpec, given: Mapping[str, Callable[..., Any]], c: int, images: np.ndarray) -> Any:
    return spec.fn(*(given[name](c, images) for name in spec.needs))


def _terms(terms: Sequence[np.ndarray], c: int, images: np.ndarray) -> estimators.MatrixNormTerms:
    return estimators.MatrixNormTerms(*(term[c, images] for term in terms))


def _of_features(
    fn: Callable[[np.ndarray, np.ndarray], Any], features: np.ndarray, labels: np.ndarray, c: int, images: np.ndarray
) -> Any:
    return fn(features[c, images].astype(np.float64), labels[images])


def on_halves(one: SetScore, halves: np.ndarray, num_conditions: int) -> np.ndarray:
    """The score of every condition on all images and on every half.

    Args:
      one: the score.
      halves: int [H, N // 2].
      num_conditions: C.

    Returns:
      float64 [1 + H, C].
    """
    everything = np.arange(one.defined.shape[1])
    out = np.full((1 + len(halves), num_conditions), np.nan)
    for c in range(num_conditions):
        if one.defined[c].all() and len(everything):
            out[0, c] = one.score(c, everything[None])[0]
            if halves.size:
                out[1:, c] = one.score(c, halves)
            continue
        for place, images in enumerate((everything, *halves)):
            images = images[one.defined[c, images]]
            if len(images):
                out[place, c] = one.score(c, images[None])[0]
    return out


def regressed(
    values: Mapping[str, Mapping[str, np.ndarray]],
    halves: np.ndarray,
    performance: Mapping[str, np.ndarray],
    degradations: Sequence[str],
) -> dict[str, dict[str, np.ndarray]]:
    """Accuracies that scores of sets predict by a line, fitted on the other degradations and the other images.

    The line is fitted on one half of the images and applied to the score of its partner; the mean over all halves is
    the prediction.

    Args:
      values: estimator -> network -> [1 + H, C].
      halves: int [H, N // 2] in pairs.
      performance: network -> [C, N].
      degradations: degradations of the C conditions.

    Returns:
      estimator -> network -> [C]; nothing without halves or with one degradation only.
    """
    if not len(halves) or len(set(degradations)) < 2:
        return {}
    partner = np.arange(len(halves)) ^ 1
    accuracy = {
        name: np.stack([pipeline.mean_over_images(m[:, half]) for half in halves]) for name, m in performance.items()
    }
    out: dict[str, dict[str, np.ndarray]] = {}
    for estimator, by_network in values.items():
        out[estimator] = {}
        for network, found in by_network.items():
            of_halves = found[1:]
            slope, intercept = estimators.left_out_lines(of_halves[partner], accuracy[network][partner], degradations)
            out[estimator][network] = (slope * of_halves + intercept).mean(axis=0)
    return out
