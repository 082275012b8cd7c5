"""How near the 19 originals are to the original code on real photographs (the bench extra).

  python -m benchmarks.corruption_parity --task=imagenet --num_images=64 --json=PATH --figure=PNG
  python -m benchmarks.corruption_parity --task=cifar --num_images=256

The originals and the photographs are those of `benchmarks.corruption_accuracy`; both sides truncate to 8 bits.
Deterministic ones are compared pixel by pixel. Stochastic ones are compared by what they do: PSNR to the clean
photograph, mean and standard deviation of every channel over all photographs, and the power spectrum of the change, in
the figure. --draws repeats every photograph with other random numbers: frost has four different textures and fog a few
large waves, so 64 photographs leave both an uncertainty of some 3 %. On two quiet cores: ten minutes for 64
photographs, glass_blur's loop in Python half of it.
"""

import itertools
import json
from typing import Any

import matplotlib.figure
import numpy as np
from absl import app, flags

from benchmarks import corruption_accuracy
from causal_iqa import _files, degradations

# --task, --num_images, --degradations and --json are those of corruption_accuracy.
_DRAWS = flags.DEFINE_integer("draws", 1, "Times every photograph is taken.")
_FIGURE = flags.DEFINE_string("figure", None, "Where the figure of the spectra goes.")

_PSNR, _PEAK, _DB, _SHARE = 45.0, 2, 0.3, 0.02
_SPECTRUM_SEVERITY = 3


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of every pair of uint8 images [N, H, W, 3], at most 100 dB, float64 [N]."""
    error = np.mean((a.astype(np.float64) - b) ** 2, axis=(1, 2, 3)) / 255**2
    return -10 * np.log10(np.maximum(error, 1e-10))


def compare_pixels(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Returns the lowest PSNR between both sides and the largest difference in levels."""
    peak = int(np.abs(ours.astype(int) - theirs).max())
    lowest = float(psnr(ours, theirs).min())
    return {"lowest_psnr": round(lowest, 1), "peak": peak, "within": lowest >= _PSNR and peak <= _PEAK}


def compare_statistics(clean: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Returns differences of the PSNR to the clean image in dB and of channel means and deviations as shares."""
    gap = psnr(ours, clean) - psnr(theirs, clean)
    row: dict[str, Any] = {
        "psnr": round(float(psnr(theirs, clean).mean()), 2),
        "psnr_difference": round(float(gap.mean()), 3),
        "standard_error": round(float(gap.std() / np.sqrt(len(gap))), 3),
    }
    for name, of in (("mean", np.mean), ("deviation", np.std)):
        shares = of(ours, axis=(0, 1, 2)) / of(theirs, axis=(0, 1, 2)) - 1.0
        row[f"{name}_difference"] = [round(float(share), 4) for share in shares]
    shares = np.abs(row["mean_difference"] + row["deviation_difference"])
    row["within"] = bool(abs(row["psnr_difference"]) <= _DB and shares.max() <= _SHARE)
    return row


def spectrum(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power of the change [N, H, W, 3] by frequency in cycles per pixel, in bands a third of an octave wide."""
    side = min(change.shape[1:3])
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    grey = change[:, :side, :side].mean(axis=-1)
    power = np.mean(np.abs(np.fft.fft2((grey - grey.mean(axis=(1, 2), keepdims=True)) * window)) ** 2, axis=0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    edges = np.geomspace(2 / side, 0.5, 1 + int(3 * np.log2(side / 4)))
    bands = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)]
    kept = [i for i, band in enumerate(bands) if band.any()]
    return np.sqrt(edges[:-1] * edges[1:])[kept], np.asarray([power[bands[i]].mean() for i in kept])


def draw(spectra: dict[str, list[tuple[np.ndarray, np.ndarray]]], path: str) -> None:
    """Draws the spectra of ours and of the originals, one panel a corruption."""
    columns = 4
    rows = -(-len(spectra) // columns)
    figure = matplotlib.figure.Figure((2.6 * columns, 2.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (name, (ours, theirs)) in zip(panels, spectra.items(), strict=False):
        panel.loglog(*theirs, color="0.6", linewidth=4, label="original")
        panel.loglog(*ours, color="C0", linewidth=1.2, label="ours")
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=7)
    for panel in panels[len(spectra) :]:
        panel.set_visible(False)
    panels[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("frequency, cycles per pixel", fontsize=9)
    figure.supylabel(f"power of the change at severity {_SPECTRUM_SEVERITY}", fontsize=9)
    figure.savefig(path, dpi=90)


def main(_: list[str]) -> None:
    """Compares every corruption at every severity, prints and writes the table."""
    task = flags.FLAGS.task
    pixels, _labels = corruption_accuracy.read_task(task, flags.FLAGS.num_images)
    clean = np.concatenate([pixels] * _DRAWS.value)
    table, spectra = {}, {}
    wanted = {
        m for n in flags.FLAGS.degradations for m in (degradations.named_set(n) if n in degradations.SETS else (n,))
    }
    for name in (name for name in degradations.named_set("imagenet_c") if name in wanted):
        stochastic = degradations.TABLE[name].stochastic
        ours_of = corruption_accuracy.make_ours(name, {"cifar": "cifar32", "imagenet": "imagenet224"}[task])
        images = clean if stochastic else pixels
        for severity in range(1, degradations.MAX_SEVERITY + 1):
            ours, theirs = ours_of(images, severity), corruption_accuracy.original(task, name, severity, images)
            if stochastic:
                row = compare_statistics(images, ours, theirs)
                if severity == _SPECTRUM_SEVERITY:
                    spectra[name] = [spectrum(side.astype(np.float64) - images) for side in (ours, theirs)]
            else:
                row = compare_pixels(ours, theirs)
            table[f"{name}/{severity}"] = row
            print(f"{name}/{severity}", json.dumps(row), flush=True)
    outside = [condition for condition, row in table.items() if not row["within"]]
    print(f"{len(table) - len(outside)} of {len(table)} conditions within the limits; outside: {outside or 'none'}")
    if _FIGURE.value and spectra:
        draw(spectra, _FIGURE.value)
    if flags.FLAGS.json:
        content = {"task": task, "photos": len(pixels), "draws": _DRAWS.value, "rows": table}
        _files.write_text(flags.FLAGS.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
