"""MMD against sums over pairs."""

import json
import pathlib

import numpy as np
import pytest

from tests.dependence.compiled import dependence

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "dependence.json").read_text())
X, Y = (np.asarray(GOLDEN[name]) for name in "xy")
X32, Y32 = np.asarray(X, np.float32), np.asarray(Y, np.float32)


def _rbf(bandwidth):
    return lambda a, b: dependence.rbf(a, b, bandwidth=bandwidth)


def test_mmd_is_the_naive_sums():
    y = X[:15] + 0.4
    k = lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * 1.5**2))  # noqa: E731
    within_x = [k(a, b) for i, a in enumerate(X) for j, b in enumerate(X) if i != j]
    within_y = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    cross = np.mean([k(a, b) for a in X for b in y])
    grams = [_rbf(1.5)(*pair) for pair in ((X32, X32), (X32[:15] + 0.4,) * 2, (X32, X32[:15] + 0.4))]
    unbiased = np.mean(within_x) + np.mean(within_y) - 2 * cross
    biased = (np.sum(within_x) + 24) / 24**2 + (np.sum(within_y) + 15) / 15**2 - 2 * cross
    np.testing.assert_allclose(dependence.mmd_squared_unbiased(*grams), unbiased, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(dependence.mmd_squared_biased(*grams), biased, rtol=1e-4)
    # Linear kernels see the difference of means alone.
    linear = [dependence.linear(*pair) for pair in ((X32, X32), (X32 + 3, X32 + 3), (X32, X32 + 3))]
    np.testing.assert_allclose(dependence.mmd_squared_biased(*linear), 27.0, rtol=1e-5)
    with pytest.raises(ValueError, match=r"K_xy: expected shape \(24, 15\)"):
        dependence.mmd_squared_biased(grams[0], grams[1], grams[2].T)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        dependence.mmd_squared_unbiased(grams[0][:1, :1], grams[1], grams[2][:1])


def test_linear_time_mmd_is_the_mean_over_pairs_and_unbiased():
    y = Y32 + 0.5
    values = []
    for i in range(0, 24, 2):
        a, b, c, d = (np.asarray(z, np.float64) for z in (Y32[i], Y32[i + 1], y[i], y[i + 1]))
        k = [np.exp(-np.sum((p - q) ** 2) / (2 * 1.2**2)) for p, q in ((a, b), (c, d), (a, d), (b, c))]
        values.append(k[0] + k[1] - k[2] - k[3])
    result = dependence.mmd_squared_linear(_rbf(1.2), Y32, y)
    np.testing.assert_allclose(result, (np.mean(values), np.var(values, ddof=1) / 12), rtol=1e-4)
    odd = dependence.mmd_squared_linear(_rbf(1.2), Y32[:23], y[:23])
    np.testing.assert_allclose(odd.estimate, np.mean(values[:11]), rtol=1e-4)
    with pytest.raises(ValueError, match="at least 4 samples, got 3"):
        dependence.mmd_squared_linear(_rbf(1.2), Y32[:3], y[:3])
