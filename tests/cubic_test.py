"""Keys' kernel as its equation says it, and what makes it interpolate."""

import numpy as np

from causal_iqa import _cubic


def _keys(x, a=-0.5):
    """Keys 1981, equation 4, written out."""
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def test_the_kernel_is_keys_equation():
    x = np.linspace(0, 3, 61)
    np.testing.assert_allclose(_cubic.kernel(x), [_keys(one) for one in x], atol=1e-14)
    np.testing.assert_allclose(_cubic.near(x[x <= 1]), [_keys(one) for one in x[x <= 1]], atol=1e-14)
    np.testing.assert_allclose(
        _cubic.far(x[(x >= 1) & (x < 2)]), [_keys(one) for one in x[(x >= 1) & (x < 2)]], atol=1e-14
    )


def test_it_gives_the_samples_back_and_is_exact_for_squares():
    np.testing.assert_allclose(_cubic.kernel(np.arange(4.0)), [1, 0, 0, 0], atol=1e-15)
    places = np.arange(-2, 4)
    for at in (0.2, 0.5, 0.9):
        weights = _cubic.kernel(np.abs(at - places))
        np.testing.assert_allclose([weights.sum(), weights @ places, weights @ places**2], [1, at, at**2], atol=1e-12)
