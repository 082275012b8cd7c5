"""Writes docs/metrics.md: every metric's passport, and its values beside those of the original codes and of the peers.

    python -m benchmarks.official_metrics --output=docs/metrics.md [--peers] [--speed=JSON]

The published values are those of three TID2013 pairs in the shared folder. With --peers (the bench extra) twenty
photographs of several sizes, odd ones too, are damaged and scored by both sides under the same convention. --speed
takes what `benchmarks.metrics` wrote.
"""

import csv
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable, Iterator

import jax
import numpy as np
import PIL.Image
import scipy.ndimage
from absl import app, flags

from benchmarks.peers import torch_peer
from causal_iqa import images, metrics
from tests import shared

_OUTPUT = flags.DEFINE_string("output", "docs/metrics.md", "Where the page goes.")
_PEERS = flags.DEFINE_bool("peers", False, "Whether to score the twenty pairs with the peers too.")

_SPEED = flags.DEFINE_string("speed", None, "The figures of benchmarks.metrics, for the page.")

_SCENES = ("I03", "I04", "I08")
# Row of the published table: our metrics that mean the same.
_OFFICIAL = {
    "psnr": ("psnr",),
    "ssim": ("ssim_wang2004",),
    "ms_ssim": ("ms_ssim_wang2003_sum", "ms_ssim_wang2003"),
    "cw_ssim": ("cw_ssim",),
    "vif": ("vif",),
    "nlpd": ("nlpd",),
    "mad": ("mad",),
    "gmsd": ("gmsd",),
    "fsim": ("fsimc",),
    "vsi": ("vsi_256", "vsi"),
    "entropy": ("entropy",),
    "piqe": ("piqe",),
    "niqe": ("niqe_imagenet_sample",),
}
# Why a published value is not reached, where it is not.
_REASONS = {
    "ms_ssim_wang2003": "the published values are those of the code's other method, the weighted sum over scales",
    "mad": "pyiqa gives exactly the published values, and 0 on a crop of I04 made grey, so they are not those of the "
    "authors' code, which reads luma; ours follows that code, except that its compiled block statistics were not at "
    "hand: the masking is the least deviation of four overlapping 8 x 8 blocks",
    "vsi_256": "resized to 256 pixels before the saliency, as pyiqa and piq do; `vsi` is not",
    "niqe_imagenet_sample": "another pristine model; `niqe@PATH` reads the authors'",
}
_CROPS = ((224, 224), (177, 203), (192, 225), (251, 176))


@dataclasses.dataclass(frozen=True)
class Peer:
    """A peer of the same convention: `score(reference, image)` on uint8 [H, W, 3]; grey pairs avoid unlike lumas."""

    package: str
    score: Callable[[np.ndarray, np.ndarray], float]
    grey: bool = False


def _read(path: pathlib.Path) -> np.ndarray:
    with PIL.Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def _official_rows() -> Iterator[str]:
    folder = ("data", "iqa_calibration")
    with open(shared.path_or_skip(*folder, "official_values.csv"), newline="") as file:
        published = {row["Method"]: row for row in csv.DictReader(file)}
    pairs = [[_read(shared.path_or_skip(*folder, kind, f"{s}.bmp")) for kind in ("ref", "dist")] for s in _SCENES]
    for method, names in _OFFICIAL.items():
        for name in (n for n in names if n in metrics.TABLE):
            score = jax.jit(lambda a, b, spec=metrics.TABLE[name]: metrics.evaluate(spec, a, b))
            for scene, pair in zip(_SCENES, pairs, strict=True):
                text = published[method][f"{scene}.bmp"]
                official, ours = float(text), float(score(*map(images.from_uint8, pair)))
                digits = len(text.rstrip("0").partition(".")[2])
                near = abs(ours - official) <= max(10.0**-digits, 1e-3 * abs(official))
                reason = "" if near else _REASONS.get(name, "unexplained")
                deviation = f"{100 * (ours / official - 1):+.3f} %"
                yield f"| {method} | `{name}` | {scene} | {official:.6g} | {ours:.6g} | {deviation} | {reason} |"


def _peers() -> dict[str, Peer]:
    import skimage.metrics

    torch, piq, pyiqa = (torch_peer(name) for name in ("torch", "piq", "pyiqa"))

    def tensor(image: np.ndarray, dtype):
        return torch.tensor(np.ascontiguousarray(image) / 255.0, dtype=dtype).permute(2, 0, 1)[None]

    def of_piq(name: str, **options) -> Callable:
        fn = getattr(piq, name)
        return lambda a, b: fn(tensor(b, torch.float64), tensor(a, torch.float64), **options).item()

    def of_pyiqa(name: str) -> Callable:
        fn = pyiqa.create_metric(name, device="cpu")
        return lambda a, b: fn(tensor(b, torch.float32), tensor(a, torch.float32)).item()

    def of_skimage(a: np.ndarray, b: np.ndarray, **options) -> float:
        return skimage.metrics.structural_similarity(a / 255.0, b / 255.0, data_range=1.0, channel_axis=2, **options)

    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return {
        "ssim": Peer("piq", of_piq("ssim", downsample=False)),
        "ssim_scikit_image": Peer("scikit-image", of_skimage),
        "ssim_wang2004": Peer("scikit-image", lambda a, b: of_skimage(a, b, **gaussian), grey=True),
        "ms_ssim": Peer("piq", of_piq("multi_scale_ssim")),
        "iw_ssim": Peer("piq", of_piq("information_weighted_ssim")),
        "vifp": Peer("piq", of_piq("vif_p")),
        "vif": Peer("pyiqa", of_pyiqa("vif"), grey=True),
        "cw_ssim": Peer("pyiqa", of_pyiqa("cw_ssim"), grey=True),
        "nlpd": Peer("pyiqa", of_pyiqa("nlpd"), grey=True),
    }


def _pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Twenty damaged crops of real photographs, uint8."""
    folder = shared.path_or_skip("data", "imagenet_sample")
    files = (f for f in sorted(folder.rglob("*")) if f.suffix.lower() in (".jpeg", ".jpg"))
    pairs = []
    for path in itertools.islice(files, 100):
        height, width = _CROPS[len(pairs) % len(_CROPS)]
        photo = _read(path)[:height, :width]
        if photo.shape[:2] != (height, width):
            continue
        rng = np.random.default_rng(len(pairs))
        image = scipy.ndimage.gaussian_filter(photo.astype(np.float64), (rng.uniform(0, 1.5),) * 2 + (0,))
        image = image + rng.normal(0, rng.uniform(1, 20), photo.shape)
        pairs.append((photo, np.round(np.clip(image, 0, 255)).astype(np.uint8)))
        if len(pairs) == 20:
            return pairs
    raise FileNotFoundError(f"twenty photographs of at least {_CROPS} under {folder}, found {len(pairs)}")


def _peer_rows() -> Iterator[str]:
    pairs = _pairs()
    for name, peer in _peers().items():
        score, differences = jax.jit(metrics.TABLE[name].fn), []
        for pair in pairs:
            if peer.grey:
                pair = tuple(np.repeat(part[..., 1:2], 3, axis=-1) for part in pair)
            differences.append(abs(float(score(*map(images.from_uint8, pair))) - peer.score(*pair)))
        kind = "green channel as grey" if peer.grey else "colour"
        yield f"| `{name}` | {peer.package} | {kind} | {max(differences):.1e} | {np.median(differences):.1e} |"


def _passport_rows() -> Iterator[str]:
    for name, spec in metrics.TABLE.items():
        low, high = ("" if bound is None else f"{bound:g}" for bound in spec.range)
        kind = f"{'full' if spec.needs_reference else 'no'} reference, {spec.suite}"
        better = "higher" if spec.higher_is_better else "lower"
        cells = (
            f"`{name}`", kind, spec.colour, spec.data_range, spec.window, spec.border, spec.downsampling,
            spec.smallest_side, better, f"{low} .. {high}", "yes" if spec.differentiable else "no", spec.undefined,
            spec.convention, spec.reference,
        )  # fmt: skip
        yield "| " + " | ".join(str(cell) for cell in cells) + " |"


def _speed(path: str) -> str:
    content = json.loads(pathlib.Path(path).read_text())
    lines = []
    for row in content["rows"]:
        peer = "| | |" if row["peer"] is None else f"| {row['peer']} | {row['peer_ms']:.3g} | {row['ratio']:.1f}"
        lines.append(f"| {row['name']}, {row['size']} | {row['ours_ms']:.3g} {peer} |")
    machine = content["machine"]
    return _SPEED_TABLE.format(
        cores=machine["cores"], jax=machine["jax"], geomean=content["geomean_ratio"], rows="\n".join(lines)
    )


_PAGE = """# Conventional metrics

Written by `python -m benchmarks.official_metrics{flag}`.

## Beside the original codes

Three pairs of TID2013; the published values have the digits shown. A deviation above 0.1 % and above one unit of the
published value's last digit has its reason. Grey levels are those of MATLAB's rgb2gray, whose weights have more
digits than 0.299, 0.587, 0.114: with it NLPD agrees to the last published digit, without it I04 is 0.14 % off.

| published as | metric | pair | published | ours | deviation | reason |
|---|---|---|---|---|---|---|
{official}

## Beside the peers

{peers}

## Speed

{speed}

## Passports

| metric | family | colour | data range | window | border | downsampling | smallest side | better | range | \
differentiable | undefined | convention | source |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
{passports}
"""

_NO_PEERS = "Not run for this page: add `--peers`."
_NO_SPEED = "Not measured for this page: add `--speed=JSON`, written by `python -m benchmarks.metrics --json=JSON`."
_SPEED_TABLE = """Milliseconds per image beside the fastest peer that has the metric, {cores} cores, JAX {jax},
compiled; ours by `jax.lax.map` or `jax.vmap`, whichever is faster. Geometric mean of the ratios: {geomean:.2f}.

| metric | ours | peer | peer's | times |
|---|---|---|---|---|
{rows}"""
_PEER_TABLE = """Largest and median absolute difference over twenty damaged photographs of sides {crops}.
pyiqa's NLPD is not the authors' code to the digit; ours is (above).

| metric | peer | pairs | largest | median |
|---|---|---|---|---|
{rows}"""


def main(_: list[str]) -> None:
    """Writes the page."""
    peers = _NO_PEERS
    if _PEERS.value:
        crops = ", ".join(f"{h} x {w}" for h, w in _CROPS)
        peers = _PEER_TABLE.format(crops=crops, rows="\n".join(_peer_rows()))
    page = _PAGE.format(
        flag=" --peers" if _PEERS.value else "",
        official="\n".join(_official_rows()),
        peers=peers,
        speed=_speed(_SPEED.value) if _SPEED.value else _NO_SPEED,
        passports="\n".join(_passport_rows()),
    )
    pathlib.Path(_OUTPUT.value).write_text(page)


if __name__ == "__main__":
    app.run(main)
