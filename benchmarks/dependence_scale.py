"""Conditional tests, streams and sketches against causal-learn and against their arithmetic floors.

`rows()` joins `benchmarks.dependence`; alone: python -m benchmarks.dependence_scale --json=PATH
[--large | --learned | --power | --precision]
"""

import functools
import importlib
import importlib.metadata
import resource
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks import harness
from causal_iqa import dependence
from causal_iqa.dependence import sketches

_PRECISION = jax.lax.Precision.HIGHEST


def _conditional_samples(n: int, d: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    z, e = rng.standard_normal((n, d)), rng.standard_normal((n, d))
    # Weak, so that the p-values compared are not all zero.
    return [np.sin(z) + 0.5 * e, z**2 + rng.standard_normal((n, d)) + 0.06 * e, z]


def _unconditional(x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    del z
    width = dependence.kci_unconditional_bandwidth(*x.shape)
    grams = (dependence.rbf(v, v, bandwidth=width) for v in map(dependence.standardise, (x, y)))
    return dependence.kci_unconditional_gamma_test(*grams).p_value


def _conditional(*samples: jax.Array, test: Callable) -> jax.Array:
    width = dependence.kci_bandwidth(*samples[2].shape)
    widths = dict.fromkeys(("bandwidth_x", "bandwidth_y", "bandwidth_z"), width)
    return test(*dependence.kci_grams(*map(dependence.standardise, samples), **widths), ridge=1e-3).p_value


# Samples, and dimensions of each variable.
_KCI_SIZES = ((300, 1), (1000, 1), (1000, 2), (1000, 3), (1000, 5))


def kci_rows(sizes: tuple[tuple[int, int], ...] = _KCI_SIZES) -> list[harness.Row]:
    """Conditional and unconditional KCI at causal-learn's kernels, widths and ridge; p-values within .02 first."""
    kci = importlib.import_module("causallearn.utils.KCI.KCI")
    peer = f"causal-learn {importlib.metadata.version('causal-learn')}"
    rows = []
    for n, d in sizes:
        samples = _conditional_samples(n, d)
        single = [jnp.asarray(v, jnp.float32) for v in samples]
        gamma = functools.partial(_conditional, test=dependence.kci_gamma_test)
        corrected = functools.partial(_conditional, test=dependence.kci_test)
        for name, function, theirs, number in (
            ("kci gamma", gamma, kci.KCI_CInd, 3),
            ("kci corrected", corrected, kci.KCI_CInd, 3),
            ("kci unconditional", _unconditional, kci.KCI_UInd, 2),
        ):
            ours = functools.partial(jax.jit(function), *single)

            def run(theirs: type = theirs, number: int = number, samples: list = samples) -> float:
                return theirs(approx=True).compute_pvalue(*(v.copy() for v in samples[:number]))[0]

            if name != "kci corrected":
                np.testing.assert_allclose(float(ours()), run(), atol=0.02)
            # From three dimensions on causal-learn takes many seconds.
            rounds = 3 if d < 3 else 1
            rows.append(harness.compare(name, f"n={n}, d={d}", ours, run, peer_name=peer, images=1, rounds=rounds))
            print(rows[-1], flush=True)
    return rows


def learned_width_seconds(n: int = 1000) -> float:
    """Seconds of causal-learn's test when Gaussian processes choose the width and ridge of Z; ours are given them."""
    kci = importlib.import_module("causallearn.utils.KCI.KCI")
    samples = _conditional_samples(n)
    start = time.perf_counter()
    kci.KCI_CInd(use_gp=True).compute_pvalue(*(v.copy() for v in samples))
    return time.perf_counter() - start


def stream_row(n: int = 262_144, chunk: int = 8192) -> harness.Row:
    """RFF stream, d = 64 and 256 features on each side, against its three matrix products alone.

    Floor: 2 (64 * 256 * 2 + 256 * 256) = 0.197 MFLOP a row.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    x, noise = (jax.random.normal(k, (n, 64)) for k in keys[:2])
    y = jnp.sin(x) + noise
    maps = [dependence.fourier_map(k, 64, num_frequencies=128, bandwidth=8.0) for k in keys[2:]]
    sketch = sketches.init(*maps, x, y, within=False)
    ours = jax.jit(functools.partial(sketches.update_all, chunk=chunk))

    @jax.jit
    def floor(x: jax.Array, y: jax.Array) -> jax.Array:
        def step(total: jax.Array, part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            phi, psi = (jnp.matmul(v, m.args[0], precision=_PRECISION) for v, m in zip(part, maps, strict=True))
            return total + jnp.matmul(phi.T, psi, precision=_PRECISION), None

        parts = tuple(v.reshape(-1, chunk, 64) for v in (x, y))
        return jax.lax.scan(step, jnp.zeros((256, 256)), parts)[0]

    row = harness.compare(
        "rff stream",
        f"{n} rows",
        lambda: ours(sketch, x, y),
        lambda: jax.block_until_ready(floor(x, y)),
        peer_name="its matrix products alone",
        images=1,
    )
    print(f"rff stream: {n / row.ours_ms / 1e3:.3f} M rows/s, its matrix products alone {n / row.peer_ms / 1e3:.3f}")
    return row


def _streamed(n: int, d: int, block: int) -> tuple[Callable[[], jax.Array], tuple[jax.Array, ...], Callable]:
    x = jax.random.normal(jax.random.key(0), (n, d))
    y = jnp.sin(x) + jax.random.normal(jax.random.key(1), (n, d))
    kernel = functools.partial(dependence.rbf, bandwidth=4.0)
    sizes = {"block": block, "num_anchors": 256}
    run = jax.jit(lambda x, y: dependence.hsic_streamed(x, y, kernel, kernel, **sizes).hsic_unbiased)
    return lambda: run(x, y), (x, y), kernel


def exact_row(n: int, d: int = 8, block: int = 1024) -> harness.Row:
    """Exact HSIC by blocks against the kernel entries alone: n^2 / 2 of each matrix, summed."""
    ours, samples, kernel = _streamed(n, d, block)

    @jax.jit
    def floor(x: jax.Array, y: jax.Array) -> jax.Array:
        x, y = (v[: n // block * block].reshape(-1, block, d) for v in (x, y))
        pairs = jnp.stack(jnp.triu_indices(len(x)), axis=1)

        def step(total: jax.Array, pair: jax.Array) -> tuple[jax.Array, None]:
            i, j = pair
            return total + jnp.sum(kernel(x[i], x[j])) + jnp.sum(kernel(y[i], y[j])), None

        return jax.lax.scan(step, jnp.zeros(()), pairs)[0]

    return harness.compare(
        "hsic streamed",
        f"n={n}",
        ours,
        lambda: jax.block_until_ready(floor(*samples)),
        peer_name="its kernel entries alone",
        images=1,
        rounds=3,
    )


def large(n: int = 100_000) -> None:
    """Prints the time of exact HSIC, its compilation included, and the peak memory of the process."""
    start = time.perf_counter()
    value = float(_streamed(n, 8, 1024)[0]())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"hsic streamed, n={n}: {value:.6e} in {seconds:.1f} s, peak memory of the process {peak:.2f} GiB")


def rows() -> list[harness.Row]:
    """Returns all rows."""
    return [exact_row(10_000), stream_row(), *kci_rows()]


def precision(n: int = 10_000) -> None:
    """Prints streamed HSIC and KCI in float32 beside float64."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3))
    for name, y in (
        ("dependent", np.sin(x) + rng.standard_normal((n, 3))),
        ("independent", rng.standard_normal((n, 3))),
    ):
        kernel = functools.partial(dependence.rbf, bandwidth=1.5)
        run = jax.jit(lambda x, y, k=kernel: dependence.hsic_streamed(x, y, k, k, block=1000, num_anchors=256))
        single = run(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
        with jax.enable_x64(True):
            double = run(jnp.asarray(x), jnp.asarray(y))
        shown = "  ".join(
            f"{field} {float(a):.9g} / {float(b):.9g}"
            for field, a, b in zip(double._fields, single, double, strict=True)
        )
        print(f"float32 / float64, n={n}, {name}: {shown}")
    samples = _conditional_samples(1000)
    p_values = []
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            grams = dependence.kci_grams(
                *(jnp.asarray(v, dtype) for v in samples), bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=0.5
            )
            p_values.append(
                [float(f(*grams, ridge=1e-3).p_value) for f in (dependence.kci_gamma_test, dependence.kci_test)]
            )
    print(f"float32 / float64, kci_gamma_test and kci_test, n=1000: {p_values[0]} / {p_values[1]}")


_LINKS = {
    "none": lambda e, f: f,
    "linear": lambda e, f: 0.5 * e + f,
    "quadratic": lambda e, f: 0.6 * e**2 + f,
    "sine": lambda e, f: jnp.sin(3 * e) + 0.7 * f,
    "step": lambda e, f: 1.0 * (e > 0) + f,
    "multiplicative noise": lambda e, f: e * f,
}


def power(n: int = 100, draws: int = 400) -> None:
    """Prints the share of draws rejected at .05 and, after a colon, at the test's own 5 % quantile where Y has no link.

    X = tanh(Z) + E, Y = Z^2 + link(E, F); causal-learn's KCI as it comes, ours as in `CONDITIONAL_TESTS`, and
    `kci_test` at causal-learn's kernels and widths.
    """
    kci = importlib.import_module("causallearn.utils.KCI.KCI")
    thresholds: dict[str, float] = {}
    for shape, link in _LINKS.items():

        def draw(key: jax.Array, link: Callable = link) -> tuple[jax.Array, ...]:
            e, f, z = (jax.random.normal(k, (n, 1)) for k in jax.random.split(key, 3))
            return jnp.tanh(z) + e, z**2 + link(e, f), z

        def ours(key: jax.Array, draw: Callable = draw) -> dict[str, jax.Array]:
            samples = draw(key)
            values = {name: dependence.CONDITIONAL_TESTS[name].fn(key, *samples).p_value for name in ("kci", "rcit")}
            return values | {"kci_test, its widths": _conditional(*samples, test=dependence.kci_test)}

        # Dependent draws are not those that gave the quantiles.
        keys = jax.random.split(jax.random.key(shape != "none"), draws)
        p_values = {k: np.asarray(v) for k, v in jax.jit(lambda k, f=ours: jax.lax.map(f, k))(keys).items()}
        samples = [np.asarray(v, np.float64) for v in jax.vmap(draw)(keys)]
        theirs = [kci.KCI_CInd().compute_pvalue(*parts)[0] for parts in zip(*samples, strict=True)]
        p_values["causal-learn KCI"] = np.asarray(theirs)
        if shape == "none":
            thresholds = {name: float(np.quantile(p, 0.05)) for name, p in p_values.items()}
        found = ", ".join(
            f"{name} {np.mean(p <= 0.05):.3f} : {np.mean(p <= thresholds[name]):.3f}" for name, p in p_values.items()
        )
        print(f"power, {shape}, n={n}, {draws} draws: {found}", flush=True)


def main(_: list[str]) -> None:
    """Runs the measurements that the flags name."""
    start = time.perf_counter()
    if _LEARNED.value:
        print(f"causal-learn, use_gp=True, n=1000: {learned_width_seconds():.1f} s")
    elif _PRECISION_FLAG.value:
        precision()
    elif _POWER.value:
        power()
    elif _LARGE.value:
        large()
    else:
        harness.write(rows(), _JSON.value)
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    _JSON = flags.DEFINE_string("json", None, "Where the figures go.")
    _LARGE = flags.DEFINE_bool("large", False, "Exact HSIC of 100,000 samples instead.")
    _LEARNED = flags.DEFINE_bool("learned", False, "causal-learn with learned widths instead.")
    _POWER = flags.DEFINE_bool("power", False, "Power against causal-learn's KCI instead.")
    _PRECISION_FLAG = flags.DEFINE_bool("precision", False, "float32 beside float64 instead.")
    app.run(main)
