"""Fits the diagnosis that comes with the library, and measures it on photographs.

  python -m benchmarks.diagnosis fit --output=causal_iqa/diagnosis/parameters/default.safetensors
  python -m benchmarks.diagnosis measure --photographs=DIR --classes=FILE --network=ARCHITECTURE=FILE \
    [--anchors=DIR] --json=PATH

  python -m benchmarks.diagnosis mix --photographs=DIR --classes=FILE --network=ARCHITECTURE=FILE --json=PATH

`fit` draws its anchors by rule and reads no photograph. `measure` puts every photograph under some of the causes at
severities from 3 to 5, diagnoses it, and attributes what the networks lose on a mix of ten conditions, where the truth
is known. With `--anchors` a second model is fitted on those photographs. `mix` puts every photograph under one of ten
conditions, and compares the composition and the attribution that `score` would report with the truth, on the
photographs that `measure --most=160` draws and on the others.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from causal_iqa import _files, _keys, backbones, data, degradations, diagnosis, images
from causal_iqa.analysis import attribution
from causal_iqa.data import scenes

SIDE = 224
TEN = (
    "gaussian_noise", "impulse_noise", "defocus_blur", "motion_blur", "fog",
    "snow", "contrast", "pixelate", "jpeg_compression", "brightness",
)  # fmt: skip
LEVELS = (3.0, 3.5, 4.0, 4.5, 5.0)
CAUSES = ("none", *degradations.named_set("imagenet_c"))
_CHUNK = 16


def draw_anchors(count: int, *, seed: int = 1) -> np.ndarray:
    """Clean anchors: images drawn by rule, and a tenth of rendered scenes; uint8 [n, SIDE, SIDE, 3]."""
    drawn = data.procedural_images(jax.random.key(seed), count, side=SIDE)
    rendered = scenes.SceneSource(split="train", size=SIDE).batch(np.arange(max(1, count // 10)))
    return np.concatenate([drawn, np.stack([example.image for example in rendered])])


def fit(output: str, count: int, clean: int, per_cause: int, steps: int, cache: str | None) -> None:
    """Fits the default model as `diagnosis.fit` does, and writes it; the samples are kept in a file between calls."""
    key = jax.random.key(2)
    if cache and pathlib.Path(cache).exists():
        with np.load(cache) as file:
            samples = diagnosis.Samples(*(file[name] for name in diagnosis.Samples._fields))
    else:
        samples = diagnosis.make_samples(
            key, draw_anchors(count), CAUSES, others=diagnosis.OTHERS, per_cause=per_cause,
            clean=data.procedural_images(jax.random.key(7), clean, side=SIDE),
            progress=lambda done, total: print(f"condition {done} of {total}", flush=True),
        )  # fmt: skip
        if cache:
            harness.save_arrays(cache, samples._asdict())
    notes = {"others": list(diagnosis.OTHERS), "severities": list(diagnosis.SEVERITIES), "per_cause": per_cause}
    own = _keys.named(key, "training")
    model = diagnosis.fit_samples(own, samples, CAUSES, side=SIDE, steps=steps, notes=notes)
    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    diagnosis.save(model, output)
    print(model.notes)


def read_photographs(folder: str, classes: str | None, *, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Photographs at SIDE pixels and their labels (-1 without classes); at most so many, drawn by a fixed seed."""
    source = data.open_source(f"folder:{folder}", classes=classes) if classes else data.open_images(folder)
    indices = data.choose(source, most, seed=0, at_most=True)
    rows = list(data.batches(source, np.sort(indices), batch_size=64, size=SIDE))
    pixels = np.concatenate([row.images[row.valid] for row in rows])
    return pixels, np.concatenate([row.labels[row.valid] for row in rows])


def mixed(
    pixels: np.ndarray, per_photograph: int, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each photograph under so many causes drawn without repetition, 8 bits, not stored as JPEG.

    Returns:
      (uint8 images, cause int, severity, position of the photograph).
    """
    draw = np.random.default_rng(seed)
    causes = np.stack([draw.permutation(len(CAUSES))[:per_photograph] for _ in pixels])
    levels = draw.choice(LEVELS, causes.shape)
    parts = []
    for i, name in enumerate(CAUSES):
        photo, column = np.nonzero(causes == i)
        severity = levels[photo, column] * (i > 0)
        degraded = diagnosis.degrade(jax.random.key(seed), pixels[photo], name, severity, family=None, stored=0.0)
        parts.append((degraded, np.full(len(photo), i), severity, photo))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def chunks(function, pixels: np.ndarray):
    """Calls a compiled function on chunks of one size."""
    n = len(pixels)
    whole = pixels[np.arange(-(-n // _CHUNK) * _CHUNK) % n]
    parts = [jax.device_get(function(whole[i : i + _CHUNK])) for i in range(0, len(whole), _CHUNK)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)


def correctness(networks: dict, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean correctness over the networks, float [n]."""
    found = []
    for network in networks.values():

        @jax.jit
        def predicted(x, network=network):
            def one(image):
                seen = backbones.to_input(network.preprocessing, images.from_uint8(image))
                return network.apply(network.params, seen)[0].argmax()

            return jax.vmap(one)(x)

        found.append(chunks(predicted, pixels) == labels)
    return np.mean(found, axis=0)


def accuracy(said: diagnosis.Diagnoses, causes: np.ndarray) -> dict:
    """Top-1 over all causes, by cause, and what each is taken for."""
    full = np.concatenate([said.probabilities, said.unexplained[:, None]], axis=1)
    right = full[:, :-1].argmax(axis=1) == causes
    names = (*CAUSES, diagnosis.OTHER)
    table = np.stack([np.bincount(full[causes == c].argmax(axis=1), minlength=len(names)) for c in range(len(CAUSES))])
    shares = table / table.sum(axis=1, keepdims=True)
    by_cause = {name: round(float(right[causes == c].mean()), 3) for c, name in enumerate(CAUSES)}
    taken = {
        name: {names[j]: round(float(shares[c, j]), 2) for j in np.argsort(-shares[c])[:4] if shares[c, j] > 0.03}
        for c, name in enumerate(CAUSES)
    }
    loss = -np.log(np.maximum(full[np.arange(len(causes)), causes], 1e-9)).mean()
    confidence = full.max(axis=1)
    bins = np.minimum((confidence * 10).astype(int), 9)
    gap = sum(abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)) / len(right)
    macro = float(np.mean(list(by_cause.values())))
    return {
        "top1": macro,
        "loss": float(loss),
        "calibration_error": float(gap),
        "by_cause": by_cause,
        "taken_for": taken,
    }


def attributed(said, clean_said, causes, correct, clean_correct, photo) -> dict:
    """Attribution of what a mix of TEN loses against the clean photographs, beside the truth."""
    ten = np.isin(causes, [CAUSES.index(name) for name in TEN])
    # Each photograph once, so that the mix is a set of different images.
    _, first = np.unique(np.where(ten, photo, -1), return_index=True)
    rows = first[np.isin(first, np.flatnonzero(ten))]
    sets = []
    for one, expected in ((clean_said, clean_correct), (jax.tree.map(lambda x: x[rows], said), correct[rows])):
        shares = diagnosis.composition(jax.random.key(0), one.probabilities, CAUSES, resamples=2).shares
        sets.append(attribution.SetOfImages(expected, diagnosis.adapted(one.probabilities, shares)))
    names = (*CAUSES, diagnosis.OTHER)
    found = attribution.attribute(*sets, names)
    level = clean_correct.mean()
    truth = {n: float(((correct[rows] - level) * (causes[rows] == CAUSES.index(n))).mean()) for n in TEN}
    values = dict(zip(found.names, found.values.tolist(), strict=True))
    known = sets[1]._replace(causes=np.eye(len(names))[causes[rows]])
    unknown = sets[0]._replace(causes=np.eye(len(names))[np.zeros(len(clean_correct), int)])
    by_truth = attribution.attribute(unknown, known, names)
    return {
        "images": len(rows),
        "difference": found.difference,
        "truth": truth,
        "attributed": values,
        "attributed_with_known_causes": dict(zip(by_truth.names, by_truth.values.tolist(), strict=True)),
        "within_10_percent": sum(abs(values[n] - truth[n]) <= 0.1 * abs(truth[n]) for n in TEN),
        "largest_error_of_difference": max(abs(values[n] - truth[n]) for n in TEN) / abs(found.difference),
    }


def prepare(arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Degrades the photographs, reads their statistics and asks the networks; diagnoses nothing."""
    if arguments.cache and pathlib.Path(arguments.cache).exists():
        with np.load(arguments.cache) as file:
            return {name: file[name] for name in file.files}
    pixels, labels = read_photographs(arguments.photographs, arguments.classes, most=arguments.most)
    degraded, causes, severities, photo = mixed(pixels, arguments.per_photograph)
    print(f"{len(pixels)} photographs, {len(degraded)} degraded ones", flush=True)
    statistics = jax.jit(lambda x: jax.lax.map(lambda y: diagnosis.statistics(images.from_uint8(y)), x))
    found = {"values": chunks(statistics, degraded), "clean": chunks(statistics, pixels)}
    found |= {"causes": causes, "severities": severities, "photo": photo}
    networks = {}
    for text in arguments.network:
        kind, _, path = text.partition("=")
        networks[text] = backbones.load(kind, path)
    if networks:
        found["right"] = correctness(networks, degraded, labels[photo])
        found["clean_right"] = correctness(networks, pixels, labels)
    if arguments.cache:
        harness.save_arrays(arguments.cache, found)
    return found


def measure(arguments: argparse.Namespace) -> dict:
    """Measures the default model, and one fitted on other photographs."""
    ready = prepare(arguments)
    causes, severities = ready["causes"], ready["severities"]
    models = {"default": diagnosis.default_model()}
    if arguments.anchors:
        anchors, _ = read_photographs(arguments.anchors, None)
        models["anchors"] = diagnosis.fit(
            jax.random.key(3), anchors, per_cause=arguments.per_cause, steps=arguments.steps
        )
    found = {"photographs": len(ready["clean"]), "degraded": len(causes)}
    for name, model in models.items():
        said, clean_said = (
            diagnosis.Diagnoses(*map(np.asarray, diagnosis.read_statistics(model, jnp.asarray(x))))
            for x in (ready["values"], ready["clean"])
        )
        found[name] = {"notes": json.loads(model.notes)} | accuracy(said, causes)
        clean = clean_said.probabilities.argmax(axis=1) == 0
        found[name]["clean_photographs_called_none"] = float(clean.mean())
        known = (causes > 0) & (said.probabilities.argmax(axis=1) == causes)
        found[name]["severity_error"] = float(np.abs(said.severities - severities)[known].mean())
        if "right" in ready:
            own = ready["right"], ready["clean_right"], ready["photo"]
            found[name]["attribution"] = attributed(said, clean_said, causes, *own)
    return found


def prepare_mix(arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Every photograph under one of TEN, in turn; statistics and correctness of it and of the clean one."""
    if arguments.cache and pathlib.Path(arguments.cache).exists():
        with np.load(arguments.cache) as file:
            return {name: file[name] for name in file.files}
    pixels, labels = read_photographs(arguments.photographs, arguments.classes)
    source = data.open_source(f"folder:{arguments.photographs}", classes=arguments.classes)
    early = np.sort(data.choose(source, 160, seed=0, at_most=True))
    draw = np.random.default_rng(11)
    causes = np.asarray([CAUSES.index(TEN[i % len(TEN)]) for i in draw.permutation(len(pixels))])
    levels = draw.choice(LEVELS, len(pixels))
    degraded = np.empty_like(pixels)
    for cause in np.unique(causes):
        own = causes == cause
        degraded[own] = diagnosis.degrade(
            jax.random.key(5), pixels[own], CAUSES[cause], levels[own], family=None, stored=0.0
        )
    statistics = jax.jit(lambda x: jax.lax.map(lambda y: diagnosis.statistics(images.from_uint8(y)), x))
    networks = {text: backbones.load(*text.split("=")) for text in arguments.network}
    found = {
        "values": chunks(statistics, degraded), "clean": chunks(statistics, pixels), "causes": causes,
        "severities": levels, "early": np.isin(np.arange(len(pixels)), early),
        "right": correctness(networks, degraded, labels), "clean_right": correctness(networks, pixels, labels),
    }  # fmt: skip
    if arguments.cache:
        harness.save_arrays(arguments.cache, found)
    return found


def _near(found: dict[str, float], truth: dict[str, float]) -> dict:
    """Estimates beside the truth, how many are within a tenth of it, and the mean and largest error."""
    errors = [abs(found.get(name, 0.0) - truth[name]) for name in TEN]
    return {
        "found": {name: round(found.get(name, 0.0), 4) for name in TEN},
        "within_10_percent": sum(e <= 0.1 * abs(truth[n]) for e, n in zip(errors, TEN, strict=True)),
        "mean_error": round(float(np.mean(errors)), 4),
        "largest_error": round(max(errors), 4),
    }


def mix(arguments: argparse.Namespace) -> dict:
    """Composition and attribution of the mix, by every image's likeliest cause and by all probabilities."""
    ready, model = prepare_mix(arguments), diagnosis.default_model()
    names = (*CAUSES, diagnosis.OTHER)
    every = []
    for key in ("clean", "values"):
        said = diagnosis.read_statistics(model, jnp.asarray(ready[key]))
        every.append(np.concatenate([said.probabilities, said.unexplained[:, None]], axis=1))
    report = {}
    for part, chosen in (("early", ready["early"]), ("others", ~ready["early"])):
        causes, right = ready["causes"][chosen], (ready["clean_right"][chosen], ready["right"][chosen])
        lost = right[1] - right[0].mean()
        truth = {name: float((causes == CAUSES.index(name)).mean()) for name in TEN}
        harm = {name: float((lost * (causes == CAUSES.index(name))).mean()) for name in TEN}
        own = [one[chosen] for one in every]
        made = [diagnosis.composition(jax.random.key(0), one[:, :-1], CAUSES, resamples=2) for one in own]
        weights = {
            "likeliest": [np.eye(len(names))[one.argmax(axis=1)] for one in own],
            "mean": [one / one.sum(axis=1, keepdims=True) for one in own],
            "corrected": [diagnosis.adapted(p[:, :-1], m.shares) for p, m in zip(own, made, strict=True)],
        }
        found = {}
        for kind, both in weights.items():
            sets = [attribution.SetOfImages(e, w) for e, w in zip(right, both, strict=True)]
            parts = attribution.attribute(*sets, names, resamples=2)
            shares = dict(zip(names, np.asarray(both[1]).mean(axis=0).tolist(), strict=True))
            found[kind] = {
                "composition": _near(shares, truth),
                "attribution": _near(dict(zip(parts.names, parts.values.tolist(), strict=True)), harm),
            }
        rounded = ({name: round(value, 4) for name, value in one.items()} for one in (truth, harm))
        report[part] = {"images": len(causes), **dict(zip(("shares", "harm"), rounded, strict=True)), **found}
    return report


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "prepare", "measure", "mix"))
    parser.add_argument("--output")
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--clean", type=int, default=400)
    parser.add_argument("--per_cause", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--photographs")
    parser.add_argument("--classes")
    parser.add_argument("--most", type=int)
    parser.add_argument("--per_photograph", type=int, default=4)
    parser.add_argument("--network", action="append", default=[])
    parser.add_argument("--anchors")
    parser.add_argument("--cache")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if arguments.what == "fit":
        fit(arguments.output, arguments.count, arguments.clean, arguments.per_cause, arguments.steps, arguments.cache)
        return
    if arguments.what == "prepare":
        prepare(arguments)
        return
    text = json.dumps(mix(arguments) if arguments.what == "mix" else measure(arguments), indent=1)
    print(text)
    if arguments.json:
        _files.write_text(arguments.json, text + "\n")


if __name__ == "__main__":
    main()
