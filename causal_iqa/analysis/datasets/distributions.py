"""How scores are spread: quantiles, histogram, cumulative shares, and whether there is more than one mode."""

import math
from typing import NamedTuple

import jax
import numpy as np
from scipy import ndimage

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS, _GRID = 40, 512
_CURVE = 101
# Fewer values have no histogram worth a look, and no test of modes.
LEAST, _LEAST_FOR_MODES = 2, 50
_MOST_FOR_MODES = 5000
_RESAMPLES = 199
_LEAST_DRAWN = 2**18


class Modes(NamedTuple):
    """Silverman's test of one mode.

    Attributes:
      p_value: small against one mode; NaN where there are too few values, or all are equal.
      places: places of the modes at the smallest bandwidth at which there are two, ascending; empty where one mode is
        not refused at .05.
      valley: the lowest place between them; NaN without.
    """

    p_value: float
    places: tuple[float, ...]
    valley: float


class Distribution(NamedTuple):
    """How one score is spread over some images.

    Attributes:
      count: images with a score.
      undefined: images without.
      mean: mean of the scores.
      std: their standard deviation, with n - 1.
      quantiles: quantiles of the score at QUANTILES.
      edges: edges of the histogram [b + 1].
      counts: counts of the histogram [b].
      curve: scores at the shares 0, .01, ... 1, the cumulative distribution.
      modes: whether there are several.
    """

    count: int
    undefined: int
    mean: float
    std: float
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    curve: tuple[float, ...]
    modes: Modes


def describe(key: jax.Array | None, values: np.ndarray, *, edges: np.ndarray | None = None) -> Distribution:
    """Describes scores.

    Args:
      key: key of the resamples of the test of modes; None: no test.
      values: [n], NaN where undefined.
      edges: edges of the histogram; None: 40 bins over the range.

    Returns:
      The distribution; what needs more values than there are is empty or NaN.
    """
    values = np.asarray(values, np.float64)
    defined = np.sort(values[np.isfinite(values)])
    missing = len(values) - len(defined)
    nothing = Modes(math.nan, (), math.nan)
    if not defined.size:
        return Distribution(0, missing, math.nan, math.nan, (), (), (), (), nothing)
    std = float(defined.std(ddof=1)) if defined.size > 1 else math.nan
    quantiles = tuple(float(x) for x in np.quantile(defined, QUANTILES)) if defined.size >= LEAST else ()
    if edges is None:
        edges = bin_edges(defined)
    counts = np.histogram(defined, edges)[0] if len(edges) else np.zeros(0, int)
    curve = tuple(float(x) for x in np.quantile(defined, np.linspace(0, 1, _CURVE))) if defined.size >= LEAST else ()
    return Distribution(
        int(defined.size),
        missing,
        float(defined.mean()),
        std,
        quantiles,
        tuple(float(x) for x in edges),
        tuple(int(x) for x in counts),
        curve,
        nothing if key is None else modes(key, defined),
    )


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Edges of a histogram over the range of values [n]; empty where all are equal or none is defined."""
    defined = values[np.isfinite(values)]
    if defined.size < LEAST or np.ptp(defined) == 0:
        return np.zeros(0)
    return np.linspace(defined.min(), defined.max(), _BINS + 1)


def _drawn(keys: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows among n and normal numbers, for the resamples and more.

    A program is compiled for each number of draws, so that few numbers are used; the first draws do not depend on it.
    """
    size = max(_LEAST_DRAWN, 1 << (_RESAMPLES * n - 1).bit_length())
    return (
        np.asarray(jax.random.randint(keys[0], (size,), 0, n)),
        np.asarray(jax.random.normal(keys[1], (size,))),
    )


def modes(key: jax.Array, values: np.ndarray) -> Modes:
    """Tests whether values have one mode, by the smallest bandwidth at which a normal kernel density has one.

    Args:
      key: key of the resamples, and of the choice where there are more than 5000 values.
      values: [n], finite.

    Returns:
      The test; p_value is the share of resamples of the smoothed data that have more than one mode at that bandwidth.

    References:
      [1] B. W. Silverman (1981), Using kernel density estimates to investigate multimodality, JRSS B 43.
      [2] P. Hall, M. York (2001), On the calibration of Silverman's test for multimodality: it is conservative.
    """
    if len(values) < _LEAST_FOR_MODES or np.ptp(values) == 0:
        return Modes(math.nan, (), math.nan)
    draw, smooth = jax.random.split(key)
    if len(values) > _MOST_FOR_MODES:
        values = values[np.asarray(jax.random.choice(draw, len(values), (_MOST_FOR_MODES,), replace=False))]
    std = values.std()
    low, high = values.min() - 3 * std, values.max() + 3 * std
    step = (high - low) / _GRID
    counts = np.histogram(values, _GRID, (low, high))[0].astype(np.float64)
    bandwidth = _critical(counts, std / step, 1)
    if bandwidth * step < 1e-3 * std:  # One mode at any bandwidth that the grid shows.
        return Modes(1.0, (), math.nan)
    keys = jax.random.split(smooth, 2)
    n = len(values)
    rows, normal = (one[: _RESAMPLES * n].reshape(_RESAMPLES, n) for one in _drawn(keys, n))
    chosen, noise = values[rows], normal * bandwidth * step
    # Shrunk so that the smoothed data keep their variance.
    shrink = 1 / math.sqrt(1 + (bandwidth * step / std) ** 2)
    resampled = values.mean() + shrink * (chosen - values.mean() + noise)
    place = np.clip(((resampled - low) / step).astype(int), 0, _GRID - 1)
    flat = place + _GRID * np.arange(_RESAMPLES)[:, None]
    histograms = np.bincount(flat.reshape(-1), minlength=_RESAMPLES * _GRID).reshape(_RESAMPLES, _GRID)
    several = _num_modes(histograms.astype(np.float64), bandwidth) > 1
    p_value = (1 + int(several.sum())) / (1 + _RESAMPLES)
    if p_value >= 0.05:
        return Modes(p_value, (), math.nan)
    density = ndimage.gaussian_filter1d(counts, _critical(counts, bandwidth, 2), mode="constant", truncate=6.0)
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1
    two = np.sort(peaks[np.argsort(-density[peaks])[:2]])
    if len(two) < 2:
        return Modes(p_value, (), math.nan)
    valley = two[0] + int(np.argmin(density[two[0] : two[1] + 1]))
    places = low + step * (two + 0.5)
    return Modes(p_value, tuple(float(x) for x in places), float(low + step * (valley + 0.5)))


def _num_modes(counts: np.ndarray, bandwidth: float) -> np.ndarray:
    """Modes of densities [..., grid]."""
    density = ndimage.gaussian_filter1d(counts, bandwidth, axis=-1, mode="constant", truncate=6.0)
    # Differences below rounding are level ground.
    slope = np.diff(density, axis=-1)
    slope = np.where(np.abs(slope) < 1e-9 * density.max(axis=-1, keepdims=True), 0.0, slope)
    rising = slope > 0
    falling = slope < 0
    # A mode is a rise whose next move is a fall.
    state = np.where(rising, 1, np.where(falling, -1, 0))
    filled = _last_move(state)
    return ((filled[..., :-1] == 1) & (filled[..., 1:] == -1)).sum(axis=-1)


def _last_move(state: np.ndarray) -> np.ndarray:
    """Fills level ground with the move before it."""
    place = np.where(state != 0, np.arange(state.shape[-1]), 0)
    return np.take_along_axis(state, np.maximum.accumulate(place, axis=-1), axis=-1)


def _critical(counts: np.ndarray, widest: float, most: int) -> float:
    """The smallest bandwidth, in bins, at which there are at most so many modes."""
    low, high = 1e-2, widest
    for _ in range(30):
        middle = math.sqrt(low * high)
        if _num_modes(counts, middle) > most:
            low = middle
        else:
            high = middle
    return high
