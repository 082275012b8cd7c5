"""Every conventional metric beside its fastest peer (the bench extra): python -m benchmarks.metrics --json=PATH

Values are compared before anything is timed, where the peer has the same convention. Peers take the whole batch, or
loop over it where they know single images only. Ours runs both ways, `jax.lax.map` and `jax.vmap`, and the faster
counts, as the fastest of the peers does.
"""

import dataclasses
import functools
import importlib.metadata
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from benchmarks import harness
from causal_iqa import images, metrics
from tests import peers, shared
from tests.golden import photographs

_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_METRICS = flags.DEFINE_list("metrics", None, "Which metrics; all, and the whole suite, when not given.")
_SIDE = flags.DEFINE_integer("side", 224, "Side of the images in pixels.")
_BATCH = flags.DEFINE_integer("batch", 32, "Images in one run.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Counted runs of each.")
_PEERS = flags.DEFINE_bool("peers", True, "Whether to time the peers.")

_DISAGREE: list[str] = []
_GAUSSIAN = {"channel_axis": 2, "data_range": 1.0, "gaussian_weights": True, "sigma": 1.5}


@dataclasses.dataclass(frozen=True)
class Peer:
    """One peer's version of a metric.

    Attributes:
      package: that holds it.
      score: `score(reference, image)` on what the package takes.
      atol: how near its values must be; None where its convention is another one.
      loops: whether it takes one numpy image [H, W, 3] at a time, else torch [N, 3, H, W].
      images: how many images it is given; fewer of the very slow.
    """

    package: str
    score: Callable[[Any, Any], Any]
    atol: float | None = 1e-4
    loops: bool = False
    images: int | None = None


def _piq(name: str, *, atol: float | None = 1e-4, **options: Any) -> Peer:
    metric = getattr(peers.torch_peer("piq"), name)
    return Peer("piq", lambda reference, image: metric(image, reference, reduction="none", **options), atol)


@functools.lru_cache
def _pyiqa_metric(name: str, **options: Any) -> Callable:
    return peers.torch_peer("pyiqa").create_metric(name, device="cpu", **options)


def _pyiqa(name: str, *, atol: float | None = 1e-4, limit: int | None = None, **options: Any) -> Peer:
    metric = _pyiqa_metric(name, **options)
    if metric.metric_mode == "NR":
        return Peer("pyiqa", lambda reference, image: metric(image), atol, images=limit)
    return Peer("pyiqa", lambda reference, image: metric(image, reference), atol, images=limit)


def _skimage_ssim(reference: np.ndarray, image: np.ndarray) -> float:
    import skimage.metrics

    # scikit-image pads by reflection; the valid part, five pixels in, is the convention of ours.
    options = {**_GAUSSIAN, "use_sample_covariance": False}
    values = skimage.metrics.structural_similarity(reference, image, full=True, **options)[1]
    return values[5:-5, 5:-5].mean()


def _grey(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(np.round(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def _looping(package: str, score: Callable, atol: float | None = 1e-4) -> Peer:
    return Peer(package, score, atol, loops=True)


def _table() -> Mapping[str, list[Callable[[], Peer]]]:
    """Makers of the peers of each metric; a package that is not there fails alone."""
    import cv2
    import skimage.measure
    import skimage.metrics

    p = functools.partial
    sk = p(_looping, "scikit-image")
    return {
        "mse": [lambda: sk(skimage.metrics.mean_squared_error)],
        "psnr": [
            lambda: sk(p(skimage.metrics.peak_signal_noise_ratio, data_range=1.0), 1e-3),
            p(_piq, "psnr", atol=1e-3),
            p(_pyiqa, "psnr", atol=1e-3),
        ],
        "psnr_y": [p(_pyiqa, "psnry", atol=None)],
        "ssim": [lambda: sk(_skimage_ssim), p(_piq, "ssim", downsample=False)],
        "ssim_scikit_image": [lambda: sk(p(skimage.metrics.structural_similarity, channel_axis=2, data_range=1.0))],
        "ssim_wang2004": [p(_pyiqa, "ssim", atol=2e-3, downsample=False)],
        "ssim_wang2004_downsampled": [p(_pyiqa, "ssim", atol=2e-3, downsample=True)],
        "ms_ssim": [p(_piq, "multi_scale_ssim")],
        "ms_ssim_wang2003": [p(_pyiqa, "ms_ssim", atol=2e-3)],
        "iw_ssim": [p(_piq, "information_weighted_ssim", atol=None)],
        "cw_ssim": [p(_pyiqa, "cw_ssim", atol=None)],
        "vif": [p(_pyiqa, "vif", atol=None)],
        "vifp": [p(_piq, "vif_p", atol=1e-3)],
        "nlpd": [p(_pyiqa, "nlpd", atol=None)],
        "mad": [p(_pyiqa, "mad", atol=None, limit=1)],
        "gmsd": [p(_piq, "gmsd", atol=1e-3), p(_pyiqa, "gmsd")],
        "ms_gmsd": [p(_piq, "multi_scale_gmsd")],
        "mdsi": [p(_piq, "mdsi")],
        "fsim": [p(_piq, "fsim", chromatic=False)],
        # Their chroma is another where it is negative: |x|^0.03 for the real part of x^0.03.
        "fsimc": [p(_piq, "fsim", atol=5e-3), p(_pyiqa, "fsim", atol=5e-3)],
        "vsi": [p(_piq, "vsi", atol=None), p(_pyiqa, "vsi", atol=None)],
        "vsi_256": [p(_piq, "vsi", atol=6e-3), p(_pyiqa, "vsi", atol=6e-3)],
        # It scales the saliency by the extremes of the whole batch; image by image it is within 1e-6.
        "sr_sim": [p(_piq, "srsim", atol=None)],
        "haarpsi": [p(_piq, "haarpsi", atol=1e-3)],
        "dss": [p(_piq, "dss")],
        "entropy": [
            lambda: sk(lambda _, image: skimage.measure.shannon_entropy(_grey(image)), 2e-2),
            p(_pyiqa, "entropy", atol=None),
        ],
        "variance_of_laplacian": [
            lambda: _looping("opencv", lambda _, image: cv2.Laplacian(_grey(image), cv2.CV_64F).var(), None)
        ],
        "rms_contrast": [lambda: _looping("opencv", lambda _, image: _grey(image).std() / 255, 2e-3)],
        "tenengrad": [
            lambda: _looping(
                "opencv",
                lambda _, image: np.mean(
                    cv2.Sobel(_grey(image), cv2.CV_64F, 1, 0) ** 2 + cv2.Sobel(_grey(image), cv2.CV_64F, 0, 1) ** 2
                ),
                None,
            )
        ],
        "total_variation": [p(_total_variation)],
        "piqe": [p(_pyiqa, "piqe", atol=None)],
    }


def _total_variation() -> Peer:
    metric = peers.torch_peer("piq").total_variation
    return Peer("piq", lambda _, image: metric(image, reduction="none", norm_type="l1"), None)


def _version(package: str) -> str:
    name = "opencv-python-headless" if package == "opencv" else package
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version("opencv-python")


def _photographs(side: int, count: int) -> np.ndarray:
    """uint8 [count, side, side, 3]: centres of real photographs where they are at hand, else drawn ones."""
    import PIL.Image

    folder = shared.ROOT / "data" / "imagenet_sample" / "validation"
    chosen = []
    for path in sorted(folder.glob("*/*")):
        with PIL.Image.open(path) as file:
            width, height = file.size
            if min(width, height) >= side and len(chosen) < count:
                left, top = (width - side) // 2, (height - side) // 2
                chosen.append(np.asarray(file.convert("RGB").crop((left, top, left + side, top + side))))
    drawn = [photographs.photograph(seed, side, side) for seed in range(len(chosen), count)]
    return np.stack(chosen + drawn)


class _Data:
    """The batch as each side takes it."""

    def __init__(self, side: int, count: int):
        reference = _photographs(side, count)
        image = np.stack([photographs.noisy(x, seed, 0.02 * (1 + seed % 5)) for seed, x in enumerate(reference)])
        self.ours = images.from_uint8(reference), images.from_uint8(image)
        self.numpy = tuple(np.asarray(part) for part in self.ours)

    def run_peer(self, peer: Peer) -> tuple[Callable[[], Any], int]:
        """Returns what runs the peer on its images, and how many those are."""
        count = peer.images or len(self.numpy[0])
        reference, image = (part[:count] for part in self.numpy)
        if peer.loops:
            return lambda: [peer.score(a, b) for a, b in zip(reference, image, strict=True)], count
        import torch

        reference, image = (torch.from_numpy(part.transpose(0, 3, 1, 2).copy()) for part in (reference, image))

        def run() -> np.ndarray:
            with torch.inference_mode():
                return peer.score(reference, image).numpy().reshape(-1)

        return run, count


def _ours(score: Callable, pair: tuple[jax.Array, jax.Array]) -> Mapping[str, Callable[[], Any]]:
    mapped = jax.jit(lambda r, i: jax.lax.map(lambda x: score(*x), (r, i)))
    return {"map": lambda: mapped(*pair), "vmap": functools.partial(jax.jit(jax.vmap(score)), *pair)}


def _fastest(runs: Mapping[Any, Callable[[], Any]]) -> Any:
    """The key of the fastest, by two runs each after one to compile or load."""
    times = {}
    for key, run in runs.items():
        jax.block_until_ready(run())
        start = time.perf_counter()
        for _ in range(2):
            jax.block_until_ready(run())
        times[key] = time.perf_counter() - start
    return min(times, key=times.get)


def _peers_of(makers: list[Callable[[], Peer]], data: _Data, name: str, ours: np.ndarray) -> list[Peer]:
    """Returns the installed peers that agree; one that disagrees on a convention it shares is named at the end."""
    found = []
    for make in makers:
        try:
            peer = make()
            values = np.asarray(data.run_peer(peer)[0](), np.float64)
        except Exception as error:
            logging.warning("%s: a peer cannot run: %s: %s", name, type(error).__name__, str(error)[:200])
            continue
        apart = np.abs(ours[: len(values)] - values)
        logging.info("%s: at most %.2g from %s", name, apart.max(), peer.package)
        if peer.atol is not None and np.any(apart > peer.atol + 1e-4 * np.abs(values)):
            _DISAGREE.append(f"{name}: {apart.max():.2g} from {peer.package}, expected {peer.atol:g}")
            continue
        found.append(peer)
    return found


def _row(name: str, makers: list[Callable[[], Peer]], data: _Data) -> harness.Row:
    score = functools.partial(metrics.evaluate, metrics.TABLE[name])
    runs = _ours(score, data.ours)
    way = _fastest(runs)
    size, count = f"{data.ours[0].shape[1]} px {way}", len(data.ours[0])
    found = _peers_of(makers, data, name, np.asarray(runs[way](), np.float64))
    if not found:
        return harness.Row(name, size, harness.median_ms(runs[way], images=count, rounds=_ROUNDS.value))
    timed = {index: data.run_peer(peer)[0] for index, peer in enumerate(found)}
    peer = found[_fastest(timed) if len(timed) > 1 else 0]
    run, peer_count = data.run_peer(peer)
    version = f"{peer.package} {_version(peer.package)}"
    rounds = 1 if peer.images else _ROUNDS.value
    row = harness.compare(name, size, runs[way], run, peer_name=version, images=count, rounds=rounds)
    return dataclasses.replace(row, peer_ms=row.peer_ms * count / peer_count)


def _suite_rows(data: _Data, platform: str) -> list[harness.Row]:
    """The classical suite of a batch, one image after the other on a CPU, else all at once; and of one image alone."""
    side, count = data.ours[0].shape[1], len(data.ours[0])
    names = metrics.suite_names(side=side)
    score = functools.partial(metrics.evaluate_all, names)
    way = "map" if platform == "cpu" else "vmap"
    alone = functools.partial(jax.jit(score), *(part[0] for part in data.ours))
    rows = [
        (f"suite of {len(names)}", f"{side} px {way}", _ours(score, data.ours)[way], count),
        (f"suite of {len(names)}", f"{side} px alone", alone, 1),
    ]
    return [
        harness.Row(name, size, harness.median_ms(run, images=images_, rounds=_ROUNDS.value))
        for name, size, run, images_ in rows
    ]


def main(_: list[str]) -> None:
    """Times the metrics on every kind of device JAX has, on the CPU beside the peers."""
    data = _Data(_SIDE.value, _BATCH.value)
    names = _METRICS.value or metrics.suite_names(side=_SIDE.value)
    table = _table() if _PEERS.value else {}
    rows = []
    for platform in dict.fromkeys(("cpu", jax.default_backend())):
        with jax.default_device(jax.devices(platform)[0]):
            data.ours = tuple(jnp.asarray(part) for part in data.numpy)
            of_platform = []
            for name in names:
                of_platform.append(_row(name, table.get(name, []) if platform == "cpu" else [], data))
                logging.info("%s: %.3f ms", name, of_platform[-1].ours_ms)
            if not _METRICS.value:
                of_platform += _suite_rows(data, platform)
        rows += [dataclasses.replace(row, size=f"{row.size} {platform}") for row in of_platform]
    harness.write(rows, _JSON.value)
    if _DISAGREE:
        raise SystemExit("peers of the same convention that were not timed, as they disagree:\n" + "\n".join(_DISAGREE))


if __name__ == "__main__":
    app.run(main)
