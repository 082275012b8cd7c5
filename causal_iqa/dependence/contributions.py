"""What each sample contributes to HSIC, the witness of dependence, and intervals by the jackknife."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from causal_iqa import _checks
from causal_iqa.dependence import hsic
from causal_iqa.estimates import Estimate, check_level


def hsic_biased_contributions(K: jax.Array, L: jax.Array) -> jax.Array:
    """Share of each sample in biased HSIC: mean_j K~_ij L~_ij / n for the centred matrices.

    Args:
      K: Gram matrix of the first variable [n, n].
      L: Gram matrix of the second variable [n, n].

    Returns:
      [n], summing to `hsic_biased`; a large one carries the dependence, a negative one speaks against it.

    Raises:
      ValueError: when the matrices are not square or differ in shape.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, eq. 4, before the outer sum.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> bool(np.allclose(dependence.hsic_biased_contributions(K, L).sum(), dependence.hsic_biased(K, L)))
      True
    """
    K, L = hsic.as_grams(K, L, 1)
    return jnp.mean(hsic.centre(K) * hsic.centre(L), axis=1) / K.shape[0]


def hsic_unbiased_contributions(K: jax.Array, L: jax.Array) -> jax.Array:
    """Share of each sample in unbiased HSIC: sum_j K~_ij L~_ij / (n (n - 3)) for the U-centred matrices.

    Args:
      K: Gram matrix of the first variable [n, n], symmetric, n at least 4.
      L: Gram matrix of the second variable [n, n], symmetric.

    Returns:
      [n], summing to `hsic_unbiased`; a large one carries the dependence, a negative one speaks against it.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Song et al., "Feature selection via dependence maximization", JMLR 2012, eq. 5, before the outer sum.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> bool(np.allclose(dependence.hsic_unbiased_contributions(K, L).sum(), dependence.hsic_unbiased(K, L)))
      True
    """
    K, L = hsic.as_grams(K, L, 4)
    n = K.shape[0]
    return jnp.sum(hsic.u_centre(K) * hsic.u_centre(L), axis=1) / (n * (n - 3))


def _without_each(products: jax.Array) -> jax.Array:
    """Unbiased HSIC without each sample, from the row sums of the products of U-centred matrices.

    A U-centred matrix without one row and column has row sums and total that are entries of that row, so the formula
    for the rest reduces to two sums.
    """
    m = products.shape[0] - 1
    return (jnp.sum(products) - 2.0 * products * (m - 1) / (m - 2)) / (m * (m - 3))


def hsic_leave_one_out(K: jax.Array, L: jax.Array) -> jax.Array:
    """Unbiased HSIC of the samples without each one, all n of them in O(n^2).

    Args:
      K: Gram matrix of the first variable [n, n], symmetric, n at least 5.
      L: Gram matrix of the second variable [n, n], symmetric.

    Returns:
      [n]; entry i equals `hsic_unbiased` of the matrices without row and column i.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 5.

    References:
      [1] Song et al., "Feature selection via dependence maximization", JMLR 2012, eq. 5.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> dependence.hsic_leave_one_out(K, L).shape
      (20,)
    """
    K, L = hsic.as_grams(K, L, 5)
    return _without_each(jnp.sum(hsic.u_centre(K) * hsic.u_centre(L), axis=1))


class JackknifeInterval(NamedTuple):
    """An estimate with its interval of confidence, its jackknife variance and the level; every field a scalar."""

    estimate: Estimate
    variance: jax.Array
    level: jax.Array


def _interval(estimate: jax.Array, without: jax.Array, level: float) -> JackknifeInterval:
    check_level(level)
    n = without.shape[0]
    # Deviations from the mean, not a difference of means of squares.
    variance = (n - 1) / n * jnp.sum(jnp.square(without - jnp.mean(without)))
    width = ndtri(jnp.asarray(0.5 + level / 2.0, estimate.dtype)) * jnp.sqrt(variance)
    bounded = Estimate(estimate, estimate - width, estimate + width)
    return JackknifeInterval(bounded, variance, jnp.asarray(level, estimate.dtype))


def hsic_jackknife(K: jax.Array, L: jax.Array, *, level: float) -> JackknifeInterval:
    """Unbiased HSIC with its jackknife variance, (n - 1) / n sum_i (HSIC_(i) - mean)^2, and a normal interval.

    For dependent variables HSIC is asymptotically normal and the interval has its level. For independent ones it is
    not, being degenerate, and the interval covers zero more often than its level says: judge independence by a test.

    Args:
      K: Gram matrix of the first variable [n, n], symmetric, n at least 5.
      L: Gram matrix of the second variable [n, n], symmetric.
      level: level of confidence, static float in (0, 1), e.g. .95.

    Returns:
      `JackknifeInterval` of scalars. The kernels count as fixed: with a bandwidth from the same samples the interval is
      that of the measure at this bandwidth.

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 5, or the level is not in (0, 1).

    References:
      [1] Arvesen, "Jackknifing U-statistics", Annals of Mathematical Statistics 1969, theorem 5.
      [2] Song et al., "Feature selection via dependence maximization", JMLR 2012, theorem 5: normality.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> interval = dependence.hsic_jackknife(K, L, level=0.95).estimate
      >>> bool(interval.low < interval.value < interval.high)
      True
    """
    return _interval(hsic.hsic_unbiased(K, L), hsic_leave_one_out(K, L), level)


def cka_jackknife(K: jax.Array, L: jax.Array, *, level: float) -> JackknifeInterval:
    """Debiased CKA with its jackknife variance and a normal interval, as `hsic_jackknife`.

    Args:
      K: Gram matrix of the first representation [n, n], symmetric, n at least 5.
      L: Gram matrix of the second representation [n, n], symmetric.
      level: level of confidence, static float in (0, 1).

    Returns:
      `JackknifeInterval` of scalars; NaN when a representation is constant.

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 5, or the level is not in (0, 1).

    References:
      [1] Arvesen, "Jackknifing U-statistics", Annals of Mathematical Statistics 1969, theorem 8: functions of several.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> interval = dependence.cka_jackknife(K, L, level=0.95).estimate
      >>> bool(interval.low < interval.value < interval.high)
      True
    """
    K, L = hsic.as_grams(K, L, 5)
    (a, varies_a), (b, varies_b) = (hsic.unit_norm(gram, hsic.u_centre(gram)) for gram in (K, L))
    cross, first, second = (_without_each(jnp.sum(p * q, axis=1)) for p, q in ((a, b), (a, a), (b, b)))
    result = _interval(jnp.sum(a * b), cross / jnp.sqrt(first * second), level)
    return jax.tree.map(lambda field: jnp.where(varies_a & varies_b, field, jnp.nan), result)


def hsic_witness(K_xa: jax.Array, K_aa: jax.Array, L_yb: jax.Array, L_bb: jax.Array) -> jax.Array:
    """Witness of dependence at new samples: h(x, y) = (1/m) sum_j k~(x, a_j) l~(y, b_j), centred on m anchors.

    The function, in the unit ball of the product space up to scale, whose mean differs most between the anchors' joint
    distribution and the product of their margins. Its mean over samples is their cross-HSIC with the anchors; over the
    anchors themselves it is `hsic_biased`.

    Args:
      K_xa: kernel of the samples with the anchors, first variable [n, m].
      K_aa: Gram matrix of the anchors, first variable [m, m].
      L_yb: kernel of the samples with the anchors, second variable [n, m].
      L_bb: Gram matrix of the anchors, second variable [m, m].

    Returns:
      [n]; large where the pair (x, y) is more typical of the joint distribution than of independence.

    Raises:
      ValueError: when the shapes do not go together.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, section 2.3: the witness of a difference.
      [2] Gretton, Bousquet, Smola, Schoelkopf, "Measuring statistical dependence with Hilbert-Schmidt norms", ALT 2005,
          eq. 8, with the difference of the joint and the product of the margins.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> dependence.hsic_witness(K, K, L, L).shape
      (20,)
    """
    K_xa, L_yb = _checks.as_floats(K_xa, "K_xa"), _checks.as_floats(L_yb, "L_yb")
    _checks.check_same_shape(K_xa, L_yb, "K_xa, L_yb")
    _checks.check_same_shape(K_aa, L_bb, "K_aa, L_bb")
    return jnp.mean(hsic.centre_against(K_xa, K_aa) * hsic.centre_against(L_yb, L_bb), axis=1)
