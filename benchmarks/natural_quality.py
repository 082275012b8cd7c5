"""Quality that nature gave: which score tells the traffic signs that a network gets wrong?

  python -m benchmarks.natural_quality --data=DIR/gtsrb --cache=DIR [--json=PATH] > PATH

Trains two small networks on four fifths of the tracks of the training crops. Everything that is chosen, and the map to
accuracy, is learned on the other fifth, as it came and under synthetic degradations; then the test crops are scored,
once. The backbones, EfficientNet-Lite0 and 2, have never seen the task; their anchors are the training crops and
degraded copies of them. Nothing of the judged networks is read by our scores.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from scipy import linalg, optimize, stats

from benchmarks import natural_quality_data as study
from causal_iqa import _files

CLASSES = 43
RIDGE = 1e-4
_MIDDLE = ("stage4", "stage5", "stage6")
FOLDS = 4
REJECTED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
_HELD_ROUNDS = 3


class Witness:
    """The regularised witness with the mean of one RBF kernel per stage, on anchors and their degraded copies."""

    def __init__(self, stages, anchors: dict, labels: np.ndarray, width: float = 1.0):
        """Fits on pooled features {stage: [m, d]}; the width is a factor of the median distance."""
        self.stages = stages
        as_read = {s: anchors[s].astype(np.float32) for s in stages}  # In 16 bits squares overflow.
        self.scales = {s: (x.mean(0), x.std(0) + 1e-3) for s, x in as_read.items()}
        self.anchors = [self._read(anchors, s) for s in stages]
        some = np.random.default_rng(0).permutation(len(labels))[:800]
        self.widths = [width * np.sqrt(np.median(_distances(x[some], x[some]))) for x in self.anchors]
        gram = self._kernel(self.anchors)
        onehot = np.eye(CLASSES, dtype=np.float32)[labels]
        self.prior = onehot.mean(0)
        penalty = len(labels) * RIDGE * np.eye(len(labels), dtype=np.float32)
        self.coefficients = linalg.cho_solve(linalg.cho_factor(gram + penalty), onehot - self.prior)

    def _read(self, features, stage):
        mean, deviation = self.scales[stage]
        return ((features[stage].astype(np.float32) - mean) / deviation).astype(np.float32)

    def _kernel(self, seen):
        parts = [
            np.exp(-_distances(x, a) / (2 * w * w)) for x, a, w in zip(seen, self.anchors, self.widths, strict=True)
        ]
        return sum(parts) / len(parts)

    def evidence(self, features: dict) -> np.ndarray:
        """Estimated probability of every class, [n, C]."""
        return self._kernel([self._read(features, s) for s in self.stages]) @ self.coefficients + self.prior


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum((x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T, 0)


def summaries(evidence: np.ndarray) -> np.ndarray:
    """What the evidence says of itself, without a label: best, lead over the second, how spread the rest is, [n, 4]."""
    ordered = np.sort(evidence, axis=1)
    shares = np.maximum(evidence, 1e-3)
    shares = shares / shares.sum(1, keepdims=True)
    entropy = -(shares * np.log(shares)).sum(1)
    best, lead = ordered[:, -1], ordered[:, -1] - ordered[:, -2]
    return np.stack([best, lead, entropy, np.log(np.maximum(lead, 1e-3))], 1)


class Success:
    """Logistic regression of the success of the witness, on crops of tracks that it has not seen."""

    def __init__(self, seen: np.ndarray, right: np.ndarray):
        """Fits on summaries [n, k]."""
        self.mean, self.deviation = seen.mean(0), seen.std(0) + 1e-6
        x = self._design(seen)

        def loss(w):
            z = x @ w
            p = 1 / (1 + np.exp(-z))
            return (np.logaddexp(0, z) - right * z).mean() + 1e-3 * (w[1:] ** 2).sum(), x.T @ (p - right) / len(x) + (
                2e-3 * np.concatenate([[0], w[1:]])
            )

        self.weights = optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x

    def _design(self, seen):
        z = (seen - self.mean) / self.deviation
        return np.concatenate([np.ones((len(z), 1)), z, z**2], axis=1)

    def score(self, seen: np.ndarray) -> np.ndarray:
        """Log odds of success, [n]."""
        return self._design(seen) @ self.weights


def joined(*parts: dict) -> dict:
    """Stacks features of several sets."""
    return {stage: np.concatenate([part[stage] for part in parts]) for stage in parts[0]}


def taken(features: dict, rows: np.ndarray) -> dict:
    """Rows of features."""
    return {stage: value[rows] for stage, value in features.items()}


def fit_success(stages, features: dict, labels: np.ndarray, tracks: np.ndarray) -> Success:
    """Learns from witnesses fitted without the track of the crop what success looks like."""
    names = np.unique(tracks)
    fold_of = dict(zip(names, np.random.default_rng(1).permutation(len(names)) % FOLDS, strict=True))
    folds = np.asarray([fold_of[track] for track in tracks])
    seen, right = np.zeros((len(labels), 4)), np.zeros(len(labels))
    for fold in range(FOLDS):
        out = folds == fold
        witness = Witness(stages, taken(features, np.flatnonzero(~out)), labels[~out])
        evidence = witness.evidence(taken(features, np.flatnonzero(out)))
        seen[out], right[out] = summaries(evidence), evidence.argmax(1) == labels[out]
    return Success(seen, right)


def auroc(score: np.ndarray, right: np.ndarray) -> float:
    """Probability that a right image scores above a wrong one."""
    ranks, hits = stats.rankdata(score), int(right.sum())
    misses = len(right) - hits
    return float((ranks[right > 0].sum() - hits * (hits + 1) / 2) / (hits * misses))


def judged(score: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Means over the networks of what a score [n] or [networks, n] says of their correctness [networks, n]."""
    score = np.where(np.isfinite(score), score, np.nanmin(score) - 1.0)
    rows = np.broadcast_to(score, right.shape)
    worst = [np.argsort(one, kind="stable")[: len(one) // 5] for one in rows]
    pairs = list(zip(rows, right, strict=True))
    found = {
        "auroc": [auroc(s, m) for s, m in pairs],
        "spearman": [stats.spearmanr(s, m).statistic for s, m in pairs],
        "errors_in_worst_20": [(1 - m[w]).sum() / (1 - m).sum() for w, m in zip(worst, right, strict=True)],
    }
    return {name: float(np.mean(values)) for name, values in found.items()}


def reject_curve(score: np.ndarray, right: np.ndarray) -> list[float]:
    """Accuracy of the remaining images when the worst shares are left out, a mean over the networks."""
    rows, found = np.broadcast_to(score, right.shape), []
    for share in REJECTED:
        kept = [np.argsort(one, kind="stable")[int(share * len(one)) :] for one in rows]
        found.append(float(np.mean([m[k].mean() for k, m in zip(kept, right, strict=True)])))
    return found


def map_to_accuracy(score: np.ndarray, right: np.ndarray):
    """Isotonic regression of correctness on the score; returns a function of scores."""
    order = np.argsort(score, kind="stable")
    fitted = optimize.isotonic_regression(right[order]).x
    values, first = np.unique(score[order], return_index=True)
    return lambda new: np.interp(new, values, fitted[first])


def measure(arguments: argparse.Namespace) -> dict:
    """Runs the study."""
    root, cache = pathlib.Path(arguments.data), pathlib.Path(arguments.cache)
    train, test = study.read_crops(root, "train", cache), study.read_crops(root, "test", cache)
    held = study.held_out_tracks(train)
    networks = study.train_networks(root, cache, train, held)
    fit_pixels, held_pixels = train.pixels[~held], train.pixels[held]
    fit_labels, held_labels, tracks = train.labels[~held], train.labels[held], train.tracks[~held]

    def degraded(seed, pixels):
        return dict(zip(("pixels", "which", "severities"), study.degraded(seed, pixels), strict=True))

    copies = study.kept(cache, "degraded_fit_1", lambda: degraded(1, fit_pixels))["pixels"]
    rounds = [
        study.kept(cache, f"degraded_held_{i}", lambda i=i: degraded(10 + i, held_pixels))["pixels"]
        for i in range(_HELD_ROUNDS)
    ]
    sets = {"fit": fit_pixels, "fit_d1": copies, "held": held_pixels, "test": test.pixels}
    sets |= {f"held_d{i}": pixels for i, pixels in enumerate(rounds)}
    features = {n: {} for n in sets}
    for backbone, side in study.BACKBONES.items():
        for n, pixels in sets.items():
            of_set = study.kept(cache, f"{backbone}_{side}_{n}", lambda p=pixels, b=backbone: study.features(p, b))
            features[n] |= of_set
    first, second = study.BACKBONES
    middle = {b: [f"{b}/{stage}" for stage in _MIDDLE] for b in study.BACKBONES}
    # Name -> (what is read, width); which of them is reported as ours is chosen on the tracks held out.
    stages = {
        f"logits of {first}": ([f"{first}/logits"], 1.0),
        f"penultimate features of {first}": ([f"{first}/penultimate"], 1.0),
        f"early to late stages of {first}": (
            [f"{first}/{s}" for s in ("stage3", "stage5", "stage7", "penultimate")],
            1.0,
        ),
        f"middle stages of {first}": (middle[first], 1.0),
        f"middle stages of {second}": (middle[second], 1.0),
        "middle stages of both": (middle[first] + middle[second], 1.0),
        "middle stages of both, narrower kernels": (middle[first] + middle[second], 0.7),
    }
    deepest = "middle stages of both"
    both, both_labels = joined(features["fit"], features["fit_d1"]), np.tile(fit_labels, 2)
    both_tracks = np.tile(tracks, 2)
    chosen = ["held", *(f"held_d{i}" for i in range(_HELD_ROUNDS))]
    probabilities = {n: study.judged(networks, sets[n]) for n in [*chosen, "test"]}
    labels = {n: test.labels if n == "test" else held_labels for n in probabilities}
    right = {n: (p.argmax(-1) == labels[n]).astype(float) for n, p in probabilities.items()}
    scores: dict[str, dict[str, np.ndarray]] = {}
    guided: dict[str, dict[str, np.ndarray]] = {}
    for name, (own, width) in stages.items():
        for anchors, (seen, seen_labels) in {
            "clean": (features["fit"], fit_labels),
            "clean and degraded": (both, both_labels),
        }.items():
            if name != deepest and anchors != "clean":
                continue
            witness = Witness(own, seen, seen_labels, width)
            evidence = {n: witness.evidence(features[n]) for n in probabilities}
            key = f"{name}, {anchors} anchors"
            scores[f"peak of {key}"] = {n: e.max(1) for n, e in evidence.items()}
            guided[f"share of the true class, {key}"] = {
                n: e[np.arange(len(e)), labels[n]] for n, e in evidence.items()
            }
            if name == deepest:
                again = (
                    (features["fit"], fit_labels, tracks) if anchors == "clean" else (both, both_labels, both_tracks)
                )
                success = fit_success(own, *again)
                scores[f"success of {key}"] = {n: success.score(summaries(e)) for n, e in evidence.items()}
            print(f"{key}: witness accuracy", {n: round(float((e.argmax(1) == labels[n]).mean()), 3)
                                               for n, e in evidence.items()}, file=sys.stderr, flush=True)  # fmt: skip
    pooled = np.concatenate([right[n] for n in chosen], axis=1)
    selection = {k: judged(np.concatenate([v[n] for n in chosen]), pooled)["auroc"] for k, v in scores.items()}
    best = max(selection, key=selection.get)
    best_guided = max(guided, key=lambda k: judged(np.concatenate([guided[k][n] for n in chosen]), pooled)["auroc"])
    conventional = study.kept(cache, "conventional_test", lambda: study.conventional(test.pixels))
    own = {"confidence of the judged networks": probabilities["test"].max(-1)}
    rows = {k: ("no reference", v) for k, v in conventional.items()}
    rows |= {k: ("label free", v["test"]) for k, v in scores.items()}
    rows |= {k: ("task guided", v["test"]) for k, v in guided.items()}
    rows |= {k: ("network output", v) for k, v in own.items()}
    table = {k: {"family": f} | judged(v, right["test"]) for k, (f, v) in rows.items()}
    score = scores[best]["test"]
    mapped = map_to_accuracy(
        np.tile(np.concatenate([scores[best][n] for n in chosen]), len(networks)), pooled.reshape(-1)
    )
    expected, actual = mapped(score), right["test"].mean(0)
    by_class = [
        (float(expected[test.labels == c].mean()), float(actual[test.labels == c].mean())) for c in range(CLASSES)
    ]
    order = np.argsort(score, kind="stable")
    tenths = [(float(expected[part].mean()), float(actual[part].mean())) for part in np.array_split(order, 10)]
    best_conventional = max(conventional, key=lambda k: table[k]["auroc"])
    curves = {k: reject_curve(rows[k][1], right["test"]) for k in (best, best_guided, best_conventional, *own)}
    return {
        "test_crops": len(test.labels),
        "accuracy": dict(zip(networks, right["test"].mean(1).tolist(), strict=True)),
        "held_out_accuracy": {n: right[n].mean(1).tolist() for n in chosen},
        "selection": selection,
        "best": best,
        "best_guided": best_guided,
        "best_conventional": best_conventional,
        "table": table,
        "expected": float(expected.mean()),
        "actual": float(actual.mean()),
        "by_class": by_class,
        "tenths": tenths,
        "reject": curves,
    }


def main() -> None:
    """Reads the arguments, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    found = measure(arguments)
    if arguments.json:
        _files.write_text(arguments.json, json.dumps(found, indent=1) + "\n")
    from benchmarks import natural_quality_page

    sys.stdout.write(natural_quality_page.page(found))


if __name__ == "__main__":
    main()
