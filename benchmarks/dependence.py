"""Kernels, HSIC and its tests against hyppo, dcor and scikit-learn (the bench extra).

python -m benchmarks.dependence --json=PATH [--precision]

Each row's size ends in its floor: the operations it cannot do without, at the rate of a float32 matrix product measured
in the same run. `--precision` prints float32 beside float64 at n = 10,000 instead.
"""

import functools
import importlib
import importlib.metadata
import math
import time
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import harness
from causal_iqa import dependence

_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_PRECISION = flags.DEFINE_bool("precision", False, "float32 beside float64 at n = 10,000 instead.")
_SCALE = flags.DEFINE_bool("scale", True, "Also the rows of benchmarks.dependence_scale.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Counted runs of each side.", lower_bound=1)


def _version(name: str) -> str:
    return f"{name} {importlib.metadata.version(name)}"


def _samples(n: int, d: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, d)).astype(np.float32)
    # Weak, so that p-values are compared where they are not zero.
    return x, (0.1 * x**2 + rng.standard_normal((n, d))).astype(np.float32)


@functools.cache
def _matmul_rate() -> float:
    """Operations a second of a float32 matrix product, the best of five."""
    a = jnp.ones((2048, 2048))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def _with_floor(size: str, operations: float) -> str:
    return f"{size}; floor {1e3 * operations / _matmul_rate():.2g} ms"


def _gram(x: jax.Array) -> jax.Array:
    return dependence.rbf(x, x, bandwidth=dependence.median_heuristic(x))


def _grams(n: int, d: int = 2) -> tuple[list[jax.Array], list[np.ndarray]]:
    """Gram matrices of ours, and the distances 1 - K / max K from which hyppo computes the same."""
    grams = [jax.jit(_gram)(jnp.asarray(z)) for z in _samples(n, d)]
    return grams, [np.asarray(1 - K / jnp.max(K), np.float64) for K in grams]


def _dcorr(bias: bool = False) -> object:
    return importlib.import_module("hyppo.independence").Dcorr(compute_distance=None, bias=bias)


def permutation_row(n: int, permutations: int, peer_permutations: int) -> harness.Row:
    """The permutation test from Gram matrices; hyppo's time is of fewer permutations, scaled to as many."""
    (K, L), distances = _grams(n)
    test = jax.jit(functools.partial(dependence.hsic_permutation_test, num_permutations=permutations))
    tester = _dcorr()
    np.testing.assert_allclose(dependence.cka_debiased(K, L), tester.statistic(*distances), rtol=1e-4, atol=1e-6)
    perm_test = importlib.import_module("hyppo.independence.base").IndependenceTest.test

    def theirs() -> float:
        return perm_test(tester, *distances, reps=peer_permutations, workers=1, is_distsim=True)[1]

    # Real transforms of n / 2 diagonals of both matrices and one back, for every n permutations.
    cosets = math.ceil((permutations + 1) / n)
    operations = (1 + cosets) * (n / 2) * 2.5 * n * math.log2(n) + cosets * 4 * n * n
    return _scaled(
        harness.compare(
            f"permutation test, {permutations}",
            _with_floor(f"n = {n}", operations),
            lambda: test(jax.random.key(0), K, L),
            theirs,
            peer_name=f"{_version('hyppo')}, {peer_permutations} permutations scaled",
            images=1,
            rounds=min(3, _ROUNDS.value),
        ),
        permutations / peer_permutations,
    )


def _scaled(row: harness.Row, factor: float) -> harness.Row:
    return harness.Row(row.name, row.size, row.ours_ms, row.peer, row.peer_ms * factor)


def gamma_row(n: int, *, subsampled: bool) -> harness.Row:
    """From samples to the p-value: bandwidths, kernels, statistic, approximation."""
    x, y = _samples(n)
    hsic = importlib.import_module("hyppo.independence").Hsic

    @jax.jit
    def ours(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        grams = []
        for z in (x, y):
            width = (
                dependence.median_heuristic_subsampled(key, z, num_pairs=20_000)
                if subsampled
                else dependence.median_heuristic(z)
            )
            grams.append(dependence.rbf(z, z, bandwidth=width))
        return dependence.hsic_gamma_test(*grams).p_value

    (K, L), distances = _grams(n)
    np.testing.assert_allclose(dependence.cka_debiased(K, L), _dcorr().statistic(*distances), rtol=1e-4, atol=1e-6)
    # Two kernels of some 30 operations an entry, some 30 for moments, and six products with 16 columns.
    operations = 2 * n * n * (30 + 30 + 12 * 16)
    return harness.compare(
        f"gamma test, {'drawn' if subsampled else 'exact'} median",
        _with_floor(f"n = {n}", operations),
        functools.partial(ours, jax.random.key(0), x, y),
        lambda: hsic().test(x.astype(np.float64), y.astype(np.float64)),
        peer_name=f"{_version('hyppo')} chi2",
        images=1,
        rounds=_ROUNDS.value,
    )


def statistic_row(n: int) -> harness.Row:
    """Debiased CKA of given matrices: hyppo's Hsic statistic."""
    (K, L), distances = _grams(n)
    tester = _dcorr()
    ours = functools.partial(jax.jit(dependence.cka_debiased), K, L)
    np.testing.assert_allclose(ours(), tester.statistic(*distances), rtol=1e-4, atol=1e-6)
    return harness.compare(
        "cka_debiased",
        _with_floor(f"n = {n}", 20.0 * n * n),
        ours,
        lambda: tester.statistic(*distances),
        peer_name=_version("hyppo"),
        images=1,
        rounds=_ROUNDS.value,
    )


def distance_row(n: int) -> harness.Row:
    """Bias-corrected distance correlation of samples in 3 dimensions."""
    x, y = _samples(n, 3)
    dcor = importlib.import_module("dcor")
    ours = functools.partial(jax.jit(dependence.distance_correlation_squared_unbiased), x, y)
    double = [z.astype(np.float64) for z in (x, y)]
    np.testing.assert_allclose(ours(), dcor.u_distance_correlation_sqr(*double), atol=1e-6)
    return harness.compare(
        "distance correlation",
        _with_floor(f"n = {n}", 2.0 * n * n * 20),
        ours,
        lambda: dcor.u_distance_correlation_sqr(*double),
        peer_name=_version("dcor"),
        images=1,
        rounds=_ROUNDS.value,
    )


def information_row(n: int) -> harness.Row:
    """The first estimator of Kraskov et al., 3 neighbours, of two single variables."""
    x, y = (z[:, :1] / z[:, :1].std() for z in _samples(n))
    regression = importlib.import_module("sklearn.feature_selection").mutual_info_regression
    ours = functools.partial(
        jax.jit(functools.partial(dependence.mutual_information_ksg, num_neighbours=3)), jnp.asarray(x), jnp.asarray(y)
    )

    def theirs() -> np.ndarray:
        return regression(x.astype(np.float64), y[:, 0].astype(np.float64), n_neighbors=3, random_state=0)

    np.testing.assert_allclose(max(float(ours()), 0.0), theirs()[0], atol=1e-4)
    return harness.compare(
        "mutual information, KSG",
        _with_floor(f"n = {n}", 10.0 * n * n),
        ours,
        theirs,
        peer_name=_version("scikit-learn"),
        images=1,
        rounds=_ROUNDS.value,
    )


def rows() -> list[harness.Row]:
    """Returns the rows of this module, without those of benchmarks.dependence_scale."""
    makers: list[Callable[[], harness.Row]] = [
        lambda: permutation_row(500, 100, 100),
        lambda: permutation_row(1000, 1000, 20),
        lambda: gamma_row(1000, subsampled=False),
        lambda: gamma_row(4000, subsampled=False),
        lambda: gamma_row(4000, subsampled=True),
        lambda: statistic_row(2000),
        lambda: distance_row(2000),
        lambda: information_row(2000),
    ]
    result = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for make in makers:
            result.append(make())
            print(result[-1], flush=True)
    return result


def precision(n: int = 10_000, block: int = 500) -> None:
    """Prints each estimate in float32 beside float64 of the same samples, the latter in NumPy by rows."""
    for share in (0.0, 1.0):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((n, 3))
        y = share * x[:, :1] ** 2 + rng.standard_normal((n, 1))
        x, y = x.astype(np.float32), y.astype(np.float32)

        def rows_of(z: np.ndarray, i: int) -> np.ndarray:
            z = z.astype(np.float64)
            return np.exp(-np.sum((z[i : i + block, None] - z[None, :]) ** 2, axis=-1) / 2)

        starts = range(0, n, block)
        sums = [np.concatenate([rows_of(z, i).sum(axis=1) for i in starts]) for z in (x, y)]
        product = sum(np.sum(rows_of(x, i) * rows_of(y, i)) for i in starts)
        biased = product / n**2 + sums[0].sum() * sums[1].sum() / n**4 - 2 * sums[0] @ sums[1] / n**3
        off = [s - 1 for s in sums]
        unbiased = product - n + off[0].sum() * off[1].sum() / ((n - 1) * (n - 2)) - 2 * off[0] @ off[1] / (n - 2)
        expected = {"hsic_biased": biased, "hsic_unbiased": unbiased / (n * (n - 3))}
        for name, value in expected.items():
            measure = dependence.TABLE[name].fn
            single = float(
                jax.jit(lambda x, y, f=measure: f(*(dependence.rbf(z, z, bandwidth=1.0) for z in (x, y))))(x, y)
            )
            kind = "dependent" if share else "independent"
            error = abs(single - value)
            print(f"{name:14s} {kind:12s} float64 {value:.9e} float32 {single:.9e} error {error:.1e}", flush=True)


def main(_: list[str]) -> None:
    """Checks agreement, then times; or prints the rounding."""
    if _PRECISION.value:
        precision()
        return
    result = rows()
    if _SCALE.value and importlib.util.find_spec("benchmarks.dependence_scale"):
        result += importlib.import_module("benchmarks.dependence_scale").rows()
    harness.write(result, _JSON.value)


if __name__ == "__main__":
    app.run(main)
