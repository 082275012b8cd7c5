"""Several imaging factors at once: effects from observational draws alone, against the truth of interventions.

  python -m benchmarks.imaging_factors --images=10000 --json=PATH --page=docs/imaging_factors.md

Rendered scenes pass through a camera with five imaging factors, each absent or present: exposure, defocus, noise,
contrast and compression. Which are present depends on the scene (its light, its size, its texture, its class) and on
one another, so that what a network gets right is confounded with all of them. Every image is seen under one draw of
its factors. From these draws alone the average effect of each factor is estimated, adjusted for what its node of the
graph asks for. The truth comes from running the same images under do(factor = absent) and do(factor = present), with
all noise kept.

Then the cause of a change is sought: two sets of scenes, the second darker, with more exposure errors and stronger
compression. The change of accuracy is attributed to the mechanisms from the draws of both sets alone, and compared with
the Shapley values of the mechanisms that really changed, each coalition of them run on the images.
"""

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from causal_iqa import _files, _keys, backbones, causal, data, degradations, images, metrics, quality
from causal_iqa.data import scenes as scenes_data

_IMAGES = flags.DEFINE_integer("images", 10_000, "Scenes.", lower_bound=200)
_RESAMPLES = flags.DEFINE_integer("resamples", 100, "Resamples of the intervals.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of all draws.")
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_PAGE = flags.DEFINE_string("page", None, "Where the page goes; the screen otherwise.")

# In the order in which a camera applies them, with the severity of a factor that is present.
FACTORS = {
    "exposure_error": 3.0,
    "defocus_blur": 2.0,
    "gaussian_noise": 2.0,
    "contrast": 2.0,
    "jpeg_compression": 3.0,
}
# Intercept and coefficients of the log odds that a factor is present: standardised scene factors, "hard" (1 for the
# upper half of the classes) and factors before it.
MECHANISMS: Mapping[str, tuple[float, dict[str, float]]] = {
    "exposure_error": (-0.6, {"light": -1.0, "hard": 0.6}),
    "defocus_blur": (-0.6, {"size": -0.9, "texture": 0.5}),
    "gaussian_noise": (-0.9, {"exposure_error": 1.2, "light": -0.7}),
    "contrast": (-0.7, {"light": -0.5, "hard": 0.5}),
    "jpeg_compression": (-0.8, {"texture": 0.8, "size": -0.5, "defocus_blur": 0.5}),
}
NETWORKS = ("scene_cnn_a", "scene_cnn_b", "scene_cnn_c")
SCORES = ("ssim", "witness share")
# What changes in the second set: log odds of factors, and how strongly dark scenes are preferred.
CHANGES = {"exposure_error": 1.0, "jpeg_compression": 1.2}
_DARKER = 1.0
_CHUNK, _ANCHORS, _CLASSES = 64, 1000, len(scenes_data.CLASS_NAMES)
_BAR = 0.01


class Scenes(NamedTuple):
    """Scenes with what the mechanisms read: pixels uint8 [n, S, S, 3], labels [n], {scene factor: [n]}."""

    pixels: np.ndarray
    labels: np.ndarray
    factors: dict[str, np.ndarray]


def render(num: int) -> Scenes:
    """Renders the scenes of the test split."""
    source = data.open_source("scenes", split="test")
    places = np.arange(num)
    examples = source.batch(places)
    known = source.factors(places)
    factors = {
        "light": np.log(np.asarray(known.exposure)),
        "size": np.asarray(known.radius),
        "texture": np.asarray(known.texture_frequency) * (np.asarray(known.texture) > 0),
    }
    factors = {name: (x - x.mean()) / x.std() for name, x in factors.items()}
    labels = np.array([example.label for example in examples])
    factors["hard"] = (labels >= _CLASSES // 2).astype(float)
    return Scenes(np.stack([example.image for example in examples]), labels, factors)


def draw(
    scenes: Scenes,
    uniforms: np.ndarray,
    forced: Mapping[str, int] | None = None,
    changes: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Draws which factors are present.

    Args:
      scenes: the scenes.
      uniforms: [factors, n], the noise of every mechanism; equal noise makes equal draws.
      forced: do(factor = value).
      changes: what is added to the log odds of factors.

    Returns:
      bool [factors, n].
    """
    seen: dict[str, np.ndarray] = dict(scenes.factors)
    present = []
    for (name, (intercept, parents)), u in zip(MECHANISMS.items(), uniforms, strict=True):
        odds = (
            intercept
            + (changes or {}).get(name, 0.0)
            + sum(weight * seen[parent] for parent, weight in parents.items())
        )
        value = u < 1 / (1 + np.exp(-odds))
        if forced and name in forced:
            value = np.full(len(u), bool(forced[name]))
        seen[name] = value.astype(float)
        present.append(value)
    return np.stack(present)


class Judges:
    """The networks and the scores, one compiled program for images under any combination of factors."""

    def __init__(self, seed: int):
        """Opens the networks and fits the witness on clean scenes of the training split."""
        networks = {name: backbones.load_packaged(name) for name in NETWORKS}
        backbone = backbones.load_packaged("scene_features")
        anchors = data.open_source("scenes", split="train").batch(np.arange(_ANCHORS))

        @jax.jit
        def features(params, pixels):
            one = lambda x: backbone.apply(params, images.from_uint8(x))[1]["penultimate"]  # noqa: E731
            return jax.lax.map(one, pixels)

        found = np.asarray(features(backbone.params, np.stack([a.image for a in anchors])))
        witness, _ = quality.fit_regularised_witness(
            quality.Anchors(found, np.array([a.label for a in anchors]), _CLASSES)
        )
        steps = "+".join(f"{name}/{severity:g}" for name, severity in FACTORS.items())
        graded = degradations.do_graded(degradations.Condition.parse(steps))
        self.params = {name: network.params for name, network in networks.items()}
        self.backbone, self.witness, self.key = backbone.params, witness, _keys.named(seed, "imaging factors")

        @jax.jit
        def judge(params, own, fitted, keys, pixels, severities):
            def one(args):
                key, clean, severity = args
                clean = images.from_uint8(clean)
                image = graded(key, clean, severity)
                said = [jnp.argmax(networks[name].apply(params[name], image)[0]) for name in NETWORKS]
                ssim = metrics.evaluate_all(("ssim",), clean, image)["ssim"]
                share = quality.shares(fitted, backbone.apply(own, image)[1]["penultimate"]).max()
                return jnp.stack([*(s.astype(jnp.float32) for s in said), ssim, share])

            return jax.lax.map(one, (keys, pixels, severities))

        self._judge = judge

    def outcomes(self, scenes: Scenes, present: np.ndarray) -> np.ndarray:
        """Correctness of every network and every score, float64 [networks + scores, n]."""
        n = len(scenes.labels)
        severities = (present * np.array(list(FACTORS.values()))[:, None]).T.astype(np.float32)
        keys, whole = jax.random.split(self.key, n), -(-n // _CHUNK) * _CHUNK
        rows = np.arange(whole) % n
        parts = [
            np.asarray(
                self._judge(
                    self.params, self.backbone, self.witness, keys[chosen], scenes.pixels[chosen], severities[chosen]
                )
            )
            for chosen in rows.reshape(-1, _CHUNK)
        ]
        found = np.concatenate(parts)[:n].T.astype(np.float64)
        found[: len(NETWORKS)] = found[: len(NETWORKS)] == scenes.labels
        return found


def design(scenes: Scenes, present: np.ndarray, factor: str) -> np.ndarray:
    """Covariates that block the back doors of a factor: classes, scene factors and the factors that it depends on."""
    names = list(MECHANISMS)
    own = {k: v for k, v in scenes.factors.items() if k != "hard"}
    own |= {p: present[names.index(p)].astype(float) for p in MECHANISMS[factor][1] if p in names}
    return causal.design(scenes.labels, own).x


def measure(num: int, num_resamples: int, seed: int) -> dict[str, Any]:
    """Estimates every effect from the draws, and runs the interventions."""
    scenes, judges = render(num), Judges(seed)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(seed, "uniforms"))).tolist())
    uniforms = rng.random((len(FACTORS), num))
    seen = draw(scenes, uniforms)
    outcome = judges.outcomes(scenes, seen)
    names = (*NETWORKS, *SCORES)
    effects = []
    for place, factor in enumerate(FACTORS):
        present, absent = (judges.outcomes(scenes, draw(scenes, uniforms, {factor: value})) for value in (1, 0))
        truth = (present - absent).mean(axis=1)
        assigned = causal.assign(
            _keys.named(seed, factor), seen[place].astype(int), design(scenes, seen, factor), 2,
            num_resamples=num_resamples,
        )  # fmt: skip
        for name, values, true in zip(names, outcome, truth, strict=True):
            by_method = {
                method: [float(part[1]) for part in one.effect]
                for method, one in causal.estimate_arms(assigned, values).items()
            }
            effects.append({"factor": factor, "outcome": name, "truth": float(true), "estimates": by_method})
        print(factor, f"{seen[place].mean():.2f} present", flush=True)
    return {
        "images": num,
        "accuracy": dict(zip(NETWORKS, outcome.mean(axis=1).tolist(), strict=False)),
        "present": dict(zip(FACTORS, seen.mean(axis=1).tolist(), strict=True)),
        "effects": effects,
        "change": measure_change(scenes, judges, max(2, num_resamples // 2), seed),
    }


def two_sets(scenes: Scenes, rng: np.random.Generator) -> tuple[Scenes, Scenes]:
    """Splits the scenes into halves and draws the second set among its half, dark scenes more often."""
    half = len(scenes.labels) // 2
    order = rng.permutation(len(scenes.labels))
    chance = 1 / (1 + np.exp(_DARKER * scenes.factors["light"][order[half:]]))
    second = rng.choice(order[half:], size=half, p=chance / chance.sum())
    return tuple(
        Scenes(scenes.pixels[rows], scenes.labels[rows], {k: v[rows] for k, v in scenes.factors.items()})
        for rows in (order[:half], second)
    )


def measure_change(scenes: Scenes, judges: Judges, num_resamples: int, seed: int) -> list[dict[str, Any]]:
    """Attributes the change between two sets for every network; returns rows with estimates and the truth."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(seed, "two sets"))).tolist())
    sets = two_sets(scenes, rng)
    uniforms = [rng.random((len(FACTORS), len(one.labels))) for one in sets]
    players = ("scenes", *CHANGES)
    means = {}
    for size in range(len(players) + 1):
        for part in itertools.combinations(players, size):
            which = int("scenes" in part)
            changes = {k: v for k, v in CHANGES.items() if k in part}
            present = draw(sets[which], uniforms[which], changes=changes)
            means[frozenset(part)] = judges.outcomes(sets[which], present)[: len(NETWORKS)].mean(axis=1)
    truth = {player: np.zeros(len(NETWORKS)) for player in ("scenes", *FACTORS, "performance")}
    for part, mean in means.items():
        for player in part:
            size = len(part) - 1
            weight = math.factorial(size) * math.factorial(len(players) - size - 1) / math.factorial(len(players))
            truth[player] += weight * (mean - means[part - {player}])
    names = list(MECHANISMS)
    parents = {name: tuple(p for p in own if p in names) for name, (_, own) in MECHANISMS.items()}
    seen = [draw(one, u, changes=c) for one, u, c in zip(sets, uniforms, ({}, CHANGES), strict=True)]
    outcome = [judges.outcomes(one, present) for one, present in zip(sets, seen, strict=True)]
    rows = []
    for place, network in enumerate(NETWORKS):
        observed = [
            causal.ObservedSet(present, np.column_stack([*one.factors.values(), _one_hot(one.labels)]), values[place])
            for one, present, values in zip(sets, seen, outcome, strict=True)
        ]
        key = _keys.named(seed, f"change {network}")
        found = causal.attribute_change(key, *observed, parents, num_resamples=num_resamples)
        for i, player in enumerate(found.names):
            value, low, high = (float(part[i]) for part in found.values)
            true = float(truth[player][place])
            rows.append({"network": network, "player": player, "truth": true, "estimate": [value, low, high]})
        rows.append({"network": network, "player": "all", "truth": found.change, "estimate": [found.explained] * 3})
    return rows


def _one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(_CLASSES)[labels][:, 1:]


def errors(found: Mapping[str, Any], of_networks: bool) -> dict[str, tuple[float, float, float]]:
    """Method -> (mean absolute error, largest error, share of intervals that hold the truth)."""
    rows = [e for e in found["effects"] if (e["outcome"] in NETWORKS) == of_networks]
    out = {}
    for method in rows[0]["estimates"]:
        off = [abs(e["estimates"][method][0] - e["truth"]) for e in rows]
        held = [e["estimates"][method][1] <= e["truth"] <= e["estimates"][method][2] for e in rows]
        out[method] = float(np.mean(off)), float(np.max(off)), float(np.mean(held))
    return out


def page(found: Mapping[str, Any]) -> str:
    """Returns the page as Markdown."""
    method = "regression"
    lines = [
        "# Several imaging factors at once",
        "",
        "This page is written by `python -m benchmarks.imaging_factors --page=docs/imaging_factors.md`.",
        "",
        *" ".join((__doc__ or "").split("\n\n", 2)[2].split()).split("\n"),
        "",
        f"{found['images']} scenes; present are "
        + ", ".join(f"{k.replace('_', ' ')} in {100 * v:.0f} %" for k, v in found["present"].items())
        + "; accuracies on these draws: "
        + ", ".join(f"`{k}` {100 * v:.1f} %" for k, v in found["accuracy"].items())
        + ".",
        "",
        "## Error of the estimates",
        "",
        "Errors of the effects, in points, over all factors: of the accuracy of three networks, and of two scores in "
        "[0, 1].",
        "",
        "| estimator | accuracy: mean absolute | largest | held | scores: mean absolute | largest | held |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    networks, scores = errors(found, True), errors(found, False)
    for name in networks:
        cells = [f"{100 * a:.2f} | {100 * b:.2f} | {100 * c:.0f} %" for a, b, c in (networks[name], scores[name])]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    off = networks[method][0]
    lines += [
        "",
        f"Bar: a mean absolute error of at most {100 * _BAR:g} point of accuracy. The {method} that audits use is off "
        f"by {100 * off:.2f}: {'met' if off <= _BAR else 'missed'}.",
        "",
        "## How sensitive each network and score is to each factor",
        "",
        f"Average effect of a factor's presence in points: estimated from the draws by {method} with its interval, and "
        "the truth.",
        "",
        "| factor | " + " | ".join(f"`{n}`" for n in (*NETWORKS, *SCORES)) + " |",
        "| --- |" + " --- |" * (len(NETWORKS) + len(SCORES)),
    ]
    for factor in FACTORS:
        cells = []
        for name in (*NETWORKS, *SCORES):
            one = next(e for e in found["effects"] if e["factor"] == factor and e["outcome"] == name)
            value, low, high = (100 * x for x in one["estimates"][method])
            cells.append(f"{value:.1f} [{low:.1f}, {high:.1f}], true {100 * one['truth']:.1f}")
        lines.append(f"| {factor.replace('_', ' ')} {FACTORS[factor]:g} | " + " | ".join(cells) + " |")
    lines += ["", *_change(found["change"])]
    return "\n".join(lines) + "\n"


def _change(rows: list[dict[str, Any]]) -> list[str]:
    players = list(dict.fromkeys(row["player"] for row in rows))
    named = [row for row in rows if row["player"] != "all"]
    off = float(np.mean([abs(row["estimate"][0] - row["truth"]) for row in named]))
    held = float(np.mean([row["estimate"][1] <= row["truth"] <= row["estimate"][2] for row in named]))
    lines = [
        "## Why accuracy changed between two sets",
        "",
        "Points of accuracy by mechanism: `causal.attribute_change` from the draws alone, and the truth. *Performance* "
        "is the mechanism that makes a right answer from scene and factors, which did not change. *All* is the change "
        f"itself. Mean absolute error {100 * off:.2f} points; {100 * held:.0f} % of the intervals hold the truth.",
        "",
        "| mechanism | " + " | ".join(f"`{n}`" for n in NETWORKS) + " |",
        "| --- |" + " --- |" * len(NETWORKS),
    ]
    for player in players:
        cells = []
        for network in NETWORKS:
            one = next(r for r in rows if r["player"] == player and r["network"] == network)
            value, low, high = (100 * x for x in one["estimate"])
            bounds = "" if player == "all" else f" [{low:.1f}, {high:.1f}]"
            cells.append(f"{value:.1f}{bounds}, true {100 * one['truth']:.1f}")
        lines.append(f"| {player.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return lines


def main(_: list[str]) -> None:
    """Measures and writes."""
    found = measure(_IMAGES.value, _RESAMPLES.value, _SEED.value)
    if _JSON.value:
        _files.write_text(_JSON.value, json.dumps(found, indent=1) + "\n")
    if _PAGE.value:
        _files.write_text(_PAGE.value, page(found))
    else:
        print(page(found))


if __name__ == "__main__":
    app.run(main)
