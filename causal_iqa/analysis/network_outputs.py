"""The estimators of a study, from the networks' own outputs in its score table: image by image, and as accuracies."""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from causal_iqa import _keys, _reads, alignment, estimators, pipeline
from causal_iqa.analysis import set_scores

# Pairs of halves of the images behind the intervals of what is one number per condition.
_PAIRS, _LEAST_HALVED = 20, 20
# Accuracies whose order of the conditions is not that of a score in `rows`.
_FUSED = "fused_reference"
_RANKED = ("atc_confidence", "atc_entropy", "cot", "cot_scaled", _FUSED)


class EstimatorTables(NamedTuple):
    """What the estimators say, higher is better; networks include "all", the mean over them.

    Attributes:
      rows: estimator -> network -> [C + 1, N] with the clean images last: image by image.
      accuracy: estimator -> network -> [C + 1, N] rows whose mean over a condition is the predicted accuracy.
      values: estimator -> network -> [1 + H, C], one number per condition: of all images, then of each half.
      halves: int [H, N // 2], the images of every half.
      families: estimator -> family.
      regressed: estimator -> network -> [C], accuracy that `values` predict by a line through the other degradations.
      ranked: the estimators of `accuracy` that order conditions otherwise than any of `rows`.
      reads: estimator -> identifiers of its inputs in addition to the judged images, `regressed` apart.
      formulas: estimator -> its row of `estimators.TABLE`.
    """

    rows: Mapping[str, Mapping[str, np.ndarray]]
    accuracy: Mapping[str, Mapping[str, np.ndarray]]
    values: Mapping[str, Mapping[str, np.ndarray]]
    halves: np.ndarray
    families: Mapping[str, str]
    regressed: Mapping[str, Mapping[str, np.ndarray]]
    ranked: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]]
    formulas: Mapping[str, str]


def gather(
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    folds: np.ndarray,
    num_classes: int | None = None,
    *,
    whole: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> EstimatorTables:
    """Computes every estimator that the score table has the outputs for.

    Thresholds, offsets, lines and temperatures come from images of other folds; class shares from all clean images.

    Args:
      config: configuration of the study.
      table: its finished table; older ones hold fewer outputs.
      folds: int [N], fold of every image.
      num_classes: number of classes of the dataset; by default that of the kept outputs, or the largest label or
        predicted class.
      whole: False leaves out what takes long: transport, fusion with a second network and `values`.
      progress: called with the estimates of whole sets done so far and all of them.

    Returns:
      The estimators; methods without their columns are left out.
    """
    networks = [choice.name for choice in config.networks]
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    order = [*(i for i, condition in enumerate(table.conditions) if condition.severity > 0), clean]
    degradations = [table.conditions[i].degradation for i in order[:-1]]
    columns = {name: np.asarray(values, np.float64)[order] for name, values in table.columns.items() if "/" in name}
    rows: dict[str, dict[str, np.ndarray]] = {}
    for spec in estimators.TABLE.values():
        if spec.column and all(f"{name}/{spec.column}" in columns for name in networks):
            rows[spec.name] = {name: spec.sign * columns[f"{name}/{spec.column}"] for name in networks}
    if len(networks) > 1 and all(f"{name}/prediction" in columns for name in networks):
        rows["agreement"] = _agreement({name: columns[f"{name}/prediction"] for name in networks})
    labels = np.asarray(table.labels)
    kept, heads = set_scores.kept_outputs(table.outputs, order, labels, num_classes)
    correct = pipeline.performance_rows(table, networks, pipeline.measure_of(config))
    correct = {name: np.asarray(values, np.float64)[order] for name, values in correct.items()}
    temperatures = _temperatures(networks, kept, columns, folds)
    accuracy = _predicted_rows(rows, correct, folds, degradations, "")
    if temperatures:
        scaled = _scaled_rows(kept, temperatures, folds)
        accuracy |= _predicted_rows(scaled, correct, folds, degradations, "_scaled")
    if "agreement" in rows:
        accuracy["gde"] = dict(rows["agreement"])
    halves = np.empty((0, 0), int)
    if len(labels) >= _LEAST_HALVED:
        halves = alignment.half_samples(_keys.named(config.seed, "halves of images"), len(labels), _PAIRS)
    values: dict[str, dict[str, np.ndarray]] = {}
    families: dict[str, str] = {}
    formulas: dict[str, str] = {}
    reads: dict[str, tuple[str, ...]] = {}
    if whole:
        scores = set_scores.set_scores(networks, table, order, kept, labels)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            on_halves = pool.map(lambda one: set_scores.on_halves(one, halves, len(order) - 1), scores)
            for done, (one, found) in enumerate(zip(scores, on_halves, strict=True)):
                values.setdefault(one.name, {}).update(dict.fromkeys(one.networks, found))
                families[one.name], formulas[one.name] = one.family, one.formula
                if one.reads is not None:
                    reads[one.name] = one.reads
                if progress is not None:
                    progress(done + 1, len(scores) + 1)
        accuracy |= _transport_rows(networks, kept, labels, temperatures, folds)
        accuracy |= _fused_rows(networks, kept, heads)
        of_witnesses = _witness_transport_rows(networks, table, order, labels, num_classes)
        accuracy |= of_witnesses
        formulas |= dict.fromkeys(of_witnesses, "cot")
        families |= dict.fromkeys(of_witnesses, "label_free")
        reads |= dict.fromkeys(of_witnesses, ("anchor_labels",))
        formulas |= {f"{_FUSED}@{backbone}": _FUSED for backbone in heads}
    for by_network in (*rows.values(), *accuracy.values(), *values.values()):
        if set(by_network) == set(networks):
            by_network[pipeline.ALL_NETWORKS] = pipeline.mean_over_networks(by_network)
    performance = {**correct, pipeline.ALL_NETWORKS: pipeline.mean_over_networks(correct)}
    families = dict.fromkeys((*rows, *accuracy), estimators.FAMILY) | families
    formulas = {name: formulas.get(name, name) for name in (*rows, *accuracy, *values)}
    return EstimatorTables(
        rows,
        accuracy,
        values,
        halves,
        families,
        set_scores.regressed(values, halves, {name: m[:-1] for name, m in performance.items()}, degradations),
        tuple(name for name in accuracy if formulas[name] in _RANKED),
        {name: _reads.ordered(reads.get(name, estimators.TABLE[row].reads)) for name, row in formulas.items()},
        formulas,
    )


def _agreement(predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every network's mean agreement with the others."""
    pairs = {
        pair: np.where(np.isfinite(a) & np.isfinite(b), (a == b).astype(np.float32), np.nan)
        for pair, (a, b) in _pairs(predictions)
    }

    def mean_of(name: str) -> np.ndarray:
        return np.asarray(np.mean([values for pair, values in pairs.items() if name in pair], axis=0, dtype=np.float64))

    return {name: mean_of(name) for name in predictions}


def _pairs(predictions: Mapping[str, np.ndarray]) -> list[tuple[tuple[str, str], tuple[np.ndarray, np.ndarray]]]:
    return [((a, b), (predictions[a], predictions[b])) for a, b in itertools.combinations(predictions, 2)]


def _temperatures(
    networks: Sequence[str],
    kept: Mapping[str, estimators.KeptOutputs],
    columns: Mapping[str, np.ndarray],
    folds: np.ndarray,
) -> dict[str, dict[int, float]]:
    """Network -> fold -> the temperature that suits the clean images of the other folds."""
    names = np.unique(folds)
    if len(names) < 2 or not all(name in kept and f"{name}/p_true" in columns for name in networks):
        return {}
    found: dict[str, dict[int, float]] = {}
    for name in networks:
        p_true = columns[f"{name}/p_true"][-1]
        finite = np.isfinite(kept[name].log_probabilities[-1]).any(axis=1) & np.isfinite(p_true)
        if any(not (finite & (folds != fold)).any() for fold in names):
            return {}
        found[name] = {
            int(fold): estimators.fit_temperature(
                set_scores.part_of(kept[name], -1, finite & (folds != fold)), p_true[finite & (folds != fold)]
            )
            for fold in names
        }
    return found


def _scaled_rows(
    kept: Mapping[str, estimators.KeptOutputs], temperatures: Mapping[str, Mapping[int, float]], folds: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """The largest probability and the negative entropy at the temperature of each image's fold."""
    out: dict[str, dict[str, np.ndarray]] = {"confidence": {}, "negative_entropy": {}}
    for name, by_fold in temperatures.items():
        shape = kept[name].classes.shape[:2]
        confidence, entropy = np.empty(shape), np.empty(shape)
        for fold, temperature in by_fold.items():
            own = set_scores.part_of(kept[name], slice(None), folds == fold)
            confidence[:, folds == fold] = np.exp(estimators.tempered(own, temperature)[..., 0])
            entropy[:, folds == fold] = estimators.tempered_negative_entropy(own, temperature)
        out["confidence"][name], out["negative_entropy"][name] = confidence, entropy
    return out


def _predicted_rows(
    rows: Mapping[str, Mapping[str, np.ndarray]],
    correct: Mapping[str, np.ndarray],
    folds: np.ndarray,
    degradations: Sequence[str],
    suffix: str,
) -> dict[str, dict[str, np.ndarray]]:
    """Accuracies from confidence and entropy, without or after temperature scaling."""
    out: dict[str, dict[str, np.ndarray]] = {}
    methods = {name: spec.of for name, spec in estimators.TABLE.items() if spec.of and not name.endswith("_scaled")}
    if "confidence" in rows:
        average = estimators.TABLE["average_confidence"].fn
        out[f"average_confidence{suffix}"] = {name: average(values) for name, values in rows["confidence"].items()}
    if len(np.unique(folds)) < 2:
        return out
    for name, source in methods.items():
        if source in rows:
            out[name + suffix] = {
                network: estimators.cross_fitted(
                    estimators.TABLE[name].fn, values, values[-1], correct[network][-1], folds
                )
                for network, values in rows[source].items()
            }
    if "confidence" in rows and len(set(degradations)) > 1:
        out[f"doc_regression{suffix}"] = {
            # The clean images are a group of their own, on which every line may be fitted but their own.
            network: estimators.regressed_difference_of_confidences(
                values, correct[network], values[-1], correct[network][-1], [*degradations, pipeline.CLEAN], folds
            )
            for network, values in rows["confidence"].items()
        }
    return out


def _transport_rows(
    networks: Sequence[str],
    kept: Mapping[str, estimators.KeptOutputs],
    labels: np.ndarray,
    temperatures: Mapping[str, Mapping[int, float]],
    folds: np.ndarray,
) -> dict[str, dict[str, np.ndarray]]:
    """Transport of all images at once onto the class shares of the clean ones, without and with temperature scaling."""
    out: dict[str, dict[str, np.ndarray]] = {}
    if not all(name in kept for name in networks):
        return out
    for name in networks:
        own = kept[name]
        shares = np.bincount(labels, minlength=own.num_classes) / len(labels)
        log_p = {"cot": own.log_probabilities}
        if temperatures:
            log_p["cot_scaled"] = np.empty(own.log_probabilities.shape)
            for fold, temperature in temperatures[name].items():
                part = set_scores.part_of(own, slice(None), folds == fold)
                log_p["cot_scaled"][:, folds == fold] = estimators.tempered(part, temperature)
        for estimator, values in log_p.items():
            rows = np.full(values.shape[:2], np.nan)
            for c in range(len(values)):
                there = np.isfinite(values[c]).any(axis=1)
                if there.any():
                    dense = estimators.dense(np.exp(values[c, there]), own.classes[c, there], own.num_classes)
                    rows[c, there] = estimators.optimal_transport(dense, shares).rows
            out.setdefault(estimator, {})[name] = rows
    return out


def _witness_transport_rows(
    networks: Sequence[str],
    table: pipeline.ScoreTable,
    order: Sequence[int],
    labels: np.ndarray,
    num_classes: int | None,
) -> dict[str, dict[str, np.ndarray]]:
    """Transport of the witness's shares onto equal shares of the classes, which the anchors have: no label is read."""
    out: dict[str, dict[str, np.ndarray]] = {}
    for backbone, own in set_scores.witness_shares(table, order).items():
        size = num_classes or max(int(labels.max()) + 1, own.num_classes)
        rows = np.full(own.classes.shape[:2], np.nan)
        for c in range(len(rows)):
            there = np.isfinite(own.log_probabilities[c]).any(axis=1)
            if there.any():
                dense = estimators.dense(np.exp(own.log_probabilities[c, there]), own.classes[c, there], size)
                rows[c, there] = estimators.optimal_transport(dense, np.full(size, 1 / size)).rows
        out[f"cot@{backbone}"] = dict.fromkeys(networks, rows)
    return out


def _fused_rows(
    networks: Sequence[str],
    kept: Mapping[str, estimators.KeptOutputs],
    heads: Mapping[str, estimators.KeptOutputs],
) -> dict[str, dict[str, np.ndarray]]:
    """Agreement with a reference fused with a second network: other judged ones, or a backbone for these classes."""
    if not all(name in kept for name in networks):
        return {}
    out: dict[str, dict[str, np.ndarray]] = {}
    if len(networks) > 1:
        out[_FUSED] = {
            name: np.mean([_fused(kept[name], kept[other]) for other in networks if other != name], axis=0)
            for name in networks
        }
    for backbone, head in heads.items():
        if all(kept[name].num_classes == head.num_classes for name in networks):
            out[f"{_FUSED}@{backbone}"] = {name: _fused(kept[name], head) for name in networks}
    return out


def _fused(own: estimators.KeptOutputs, second: estimators.KeptOutputs) -> np.ndarray:
    rows = np.full(own.classes.shape[:2], np.nan)
    for c in range(len(rows)):
        there = np.isfinite(own.log_probabilities[c]).any(axis=1) & np.isfinite(second.log_probabilities[c]).any(axis=1)
        if there.any():
            one, other = set_scores.part_of(own, c, there), set_scores.part_of(second, c, there)
            rows[c, there] = estimators.fused_reference(one, other, estimators.alignment_temperature(one, other))
    return rows


def add_alignments(
    found: Mapping[str, Mapping[str, alignment.Alignment]],
    own: EstimatorTables,
    performance: Mapping[str, np.ndarray],
    *,
    degradations: Sequence[str] | None = None,
    level: float = 0.95,
) -> dict[str, dict[str, alignment.Alignment]]:
    """Aligns the estimators that give one number per condition: only between, its interval from halves of the images.

    Args:
      found: the alignments so far.
      own: the estimators.
      performance: network -> [C, N].
      degradations: degradations of the C conditions; with them the intervals are for other degradations as well.
      level: confidence level of the intervals.

    Returns:
      The alignments with those estimators added.
    """
    nothing = alignment.UNDEFINED
    out = {metric: dict(by) for metric, by in found.items()}
    accuracy = {
        network: np.stack([pipeline.mean_over_images(m[:, part]) for part in (slice(None), *own.halves)])
        for network, m in performance.items()
    }
    for estimator, by_network in own.values.items():
        out[estimator] = {}
        for network, values in by_network.items():
            rho = [alignment.between(q[:, None], m[:, None]) for q, m in zip(values, accuracy[network], strict=True)]
            deviations = None
            if degradations is not None:
                deviations = alignment.between_deviations(values[0], accuracy[network][0], degradations)
            interval = alignment.half_sample_interval(rho[0], np.array(rho[1:]), deviations=deviations, level=level)
            if alignment.too_few_for_one_number(values[0], performance[network]):
                interval = interval._replace(low=np.nan, high=np.nan)
            out[estimator][network] = alignment.Alignment(interval, nothing, nothing)
            if len(own.halves):
                corrected = alignment.correct_halves(values[1:], accuracy[network][1:])
                out[estimator][network] = out[estimator][network]._replace(
                    corrected=corrected.alone, reliability=corrected.reliability
                )
    return out
