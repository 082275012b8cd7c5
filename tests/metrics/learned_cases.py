"""Images and weights of LPIPS and DISTS, the same in the tests and the golden script."""

import zlib

import numpy as np

from tests.golden import photographs

CHANNELS = {
    "alexnet": (64, 192, 384, 256, 256),
    "vgg16": (64, 128, 256, 512, 512),
    "squeezenet1_1": (64, 128, 256, 384, 384, 512, 512),
}


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(reference, image), float32 in [0, 1]: a noisy pair and an odd-sided one."""
    found = {}
    for case, height, width in (("even", 64, 64), ("odd", 67, 81)):
        reference = photographs.photograph(11, height, width)
        found[case] = tuple(np.float32(x) / 255 for x in (reference, photographs.noisy(reference, 12, 0.1)))
    return found


def _drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name.encode())).uniform(0.0, 1.0, shape).astype(np.float32)


def linear(trunk: str) -> dict[str, np.ndarray]:
    """The linear layers of LPIPS by the authors' names; some weights are zero, as in theirs."""
    drawn = {}
    for i, count in enumerate(CHANNELS[trunk]):
        drawn[f"lin{i}.model.1.weight"] = np.maximum(_drawn(f"{trunk}{i}", (1, count, 1, 1)) - 0.3, 0.0)
    return drawn


def channels() -> dict[str, np.ndarray]:
    """alpha and beta of DISTS."""
    return {name: 0.1 * _drawn(name, (1, 1475, 1, 1)) for name in ("alpha", "beta")}
