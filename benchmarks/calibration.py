"""Type-I error and power of the unconditional tests: python -m benchmarks.calibration --json=PATH --markdown=PATH

`--power` measures power on hyppo's simulations instead, beside hyppo's Hsic and causal-learn's KCI (the bench extra).
The conditional tests have their own study, benchmarks.calibration_conditional. Draws are mapped: one program a test,
scenario and size.
"""

import importlib
import json
import time
import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from causal_iqa import _files, dependence

_DRAWS = flags.DEFINE_integer("draws", 2000, "Draws of each.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["50", "100", "300"], "Numbers of samples.")
_ONLY = flags.DEFINE_list("tests", [], "Names of tests; all when empty.")
_SCENARIOS = flags.DEFINE_list("scenarios", [], "Names of scenarios; all when empty.")
_BATCH = flags.DEFINE_integer("batch", 25, "Draws mapped at once.", lower_bound=1)
_POWER = flags.DEFINE_bool("power", False, "Power beside the peers' instead of the level.")
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes.")

_ALPHA = 0.05
# Above this over 2000 draws no test may reject a true null at .05, nor below the other on continuous data.
_BOUNDS = (0.035, 0.065)
_PERMUTATIONS = 199
# The smallest of several p-values ties often, which makes a test careful, unless there are many permutations.
_AGGREGATED_PERMUTATIONS = 499
_SPECTRAL_SAMPLES = 500

Draw = Callable[[jax.Array, int], jax.Array]
PValue = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def gram(x: jax.Array, factor: float = 1.0) -> jax.Array:
    """The kernel of the study: delta on labels, else the Gaussian with the median heuristic times a factor."""
    if jnp.issubdtype(x.dtype, jnp.integer):
        return dependence.delta(x[:, 0], x[:, 0])
    median = dependence.median_heuristic(x)
    # Counts may coincide in most pairs.
    return dependence.rbf(x, x, bandwidth=factor * jnp.where(median > 0, median, 1.0))


def _permutation(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    return dependence.hsic_permutation_test(key, gram(x), gram(y), num_permutations=_PERMUTATIONS).p_value


def _gamma(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    del key
    return dependence.hsic_gamma_test(gram(x), gram(y)).p_value


def _spectral(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    return dependence.hsic_spectral_test(key, gram(x), gram(y), num_samples=_SPECTRAL_SAMPLES).p_value


def _aggregated(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    Ks, Ls = ([gram(z, f) for f in ((1.0,) if z.dtype == jnp.int32 else (0.5, 1.0, 2.0))] for z in (x, y))
    return dependence.hsic_aggregated_test(key, Ks, Ls, num_permutations=_AGGREGATED_PERMUTATIONS, level=_ALPHA).p_value


def _distance(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    K, L = (-dependence.distances(z.astype(jnp.float32), z.astype(jnp.float32)) for z in (x, y))
    return dependence.hsic_permutation_test(key, K, L, num_permutations=_PERMUTATIONS).p_value


def _unless_constant(result: dependence.KCITest) -> jax.Array:
    # Undefined where a variable of the draw has one value: that rejects nothing.
    return jnp.where(result.null_mean > 0, result.p_value, 1.0)


def _kci_gamma(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    del key
    return _unless_constant(dependence.kci_unconditional_gamma_test(gram(x), gram(y)))


def _kci_spectral(key: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    settings = {"num_eigenvalues": 32, "num_simulations": _SPECTRAL_SAMPLES - 1}
    return _unless_constant(dependence.kci_unconditional_spectral_test(key, gram(x), gram(y), **settings))


# Name -> vmappable f(key, x, y) -> p. Every row of dependence.TESTS, distance covariance by permutation, and the
# published unconditional forms of KCI.
TESTS: dict[str, PValue] = {
    "permutation": _permutation,
    "gamma": _gamma,
    "spectral": _spectral,
    "aggregated": _aggregated,
    "distance permutation": _distance,
    "kci unconditional, gamma": _kci_gamma,
    "kci unconditional, spectral": _kci_spectral,
}


def _normal(d: int) -> Draw:
    return lambda key, n: jax.random.normal(key, (n, d))


def _labels(*probabilities: float) -> Draw:
    weights = jnp.log(jnp.asarray(probabilities))
    return lambda key, n: jax.random.categorical(key, weights, shape=(n, 1)).astype(jnp.int32)


def _cauchy(key: jax.Array, n: int) -> jax.Array:
    return jax.random.cauchy(key, (n, 1))


def _t2(key: jax.Array, n: int) -> jax.Array:
    return jax.random.t(key, 2.0, (n, 3))


def _lognormal(key: jax.Array, n: int) -> jax.Array:
    return jnp.exp(1.5 * jax.random.normal(key, (n, 1)))


def _counts(key: jax.Array, n: int) -> jax.Array:
    return jax.random.poisson(key, 1.0, (n, 1)).astype(jnp.float32)


# Name -> (draw of X, draw of Y, both continuous).
SCENARIOS: dict[str, tuple[Draw, Draw, bool]] = {
    "normal": (_normal(1), _normal(1), True),
    "normal, 20 and 5 dimensions": (_normal(20), _normal(5), True),
    "Cauchy": (_cauchy, _cauchy, True),
    "t2, 3 dimensions": (_t2, _t2, True),
    "log-normal and normal": (_lognormal, _normal(1), True),
    "counts": (_counts, _counts, False),
    "normal and 4 classes": (_normal(1), _labels(0.25, 0.25, 0.25, 0.25), False),
    "2 even classes": (_labels(0.5, 0.5), _labels(0.5, 0.5), False),
    "2 uneven classes": (_labels(0.9, 0.1), _labels(0.8, 0.2), False),
    "10 classes": (_labels(*[0.1] * 10), _labels(*[0.1] * 10), False),
}


def rejections(p_value: PValue, scenario: str, n: int, draws: int, batch: int) -> float:
    """Returns the share of null draws that a test rejects at .05."""
    draw_x, draw_y, _ = SCENARIOS[scenario]

    def one(key: jax.Array) -> jax.Array:
        key_x, key_y, key_test = jax.random.split(key, 3)
        return p_value(key_test, draw_x(key_x, n), draw_y(key_y, n))

    keys = jax.random.split(jax.random.key(7), draws)
    p = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=min(batch, draws)))(keys))
    if not np.all(np.isfinite(p)):
        raise ValueError(f"{scenario}, n = {n}: {np.sum(~np.isfinite(p))} of {draws} p-values are not finite")
    return float(np.mean(p <= _ALPHA + 1e-6))


def level_study(tests: Sequence[str], scenarios: Sequence[str], sizes: Sequence[int], draws: int, batch: int) -> list:
    """Returns one row a test, scenario and size: the share rejected, and whether it is within the bounds."""
    rows = []
    for n in sizes:
        for scenario in scenarios:
            for test in tests:
                start = time.perf_counter()
                rate = rejections(TESTS[test], scenario, n, draws, batch)
                within = rate <= _BOUNDS[1] and (rate >= _BOUNDS[0] or not SCENARIOS[scenario][2])
                rows.append({"test": test, "scenario": scenario, "n": n, "rate": rate, "within": within})
                seconds = time.perf_counter() - start
                print(
                    f"{n:5d}  {scenario:28s} {test:22s} {rate:.4f} {'' if within else 'OUT'}  {seconds:.0f} s",
                    flush=True,
                )
    return rows


# hyppo's name of each simulation of the study, and its own noise or none.
_SIMULATIONS = ("linear", "quadratic", "sin_four_pi", "circle", "step", "multiplicative_noise")


def _mapped(p_value: PValue, batch: int) -> Callable[..., np.ndarray]:
    run = jax.jit(lambda *draws: jax.lax.map(lambda draw: p_value(*draw), draws, batch_size=batch))
    return lambda *draws: np.asarray(run(*draws))


def power_study(tests: Sequence[str], sizes: Sequence[int], draws: int, batch: int) -> list:
    """Returns one row a simulation and size: the share rejected at .05 by each test, hyppo's Hsic and causal-learn."""
    simulations = importlib.import_module("hyppo.tools")
    hsic = importlib.import_module("hyppo.independence").Hsic
    kci = importlib.import_module("causallearn.utils.KCI.KCI").KCI_UInd
    rows = []
    for name in _SIMULATIONS:
        for n in sizes:
            np.random.seed(0)  # noqa: NPY002, the simulations draw from it
            samples = [
                getattr(simulations, name)(n, 1, noise=True)
                if name != "multiplicative_noise"
                else simulations.multiplicative_noise(n, 1)
                for _ in range(draws)
            ]
            x, y = (jnp.asarray(np.stack(side), jnp.float32) for side in zip(*samples, strict=True))
            keys = jax.random.split(jax.random.key(8), draws)
            powers = {}
            for test in tests:
                powers[test] = float(np.mean(_mapped(TESTS[test], batch)(keys, x, y) <= _ALPHA + 1e-6))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                powers["hyppo Hsic"] = float(np.mean([hsic().test(a, b)[1] <= _ALPHA for a, b in samples]))
                found = [kci().compute_pvalue(a.copy(), b.copy())[0] <= _ALPHA for a, b in samples]
            powers["causal-learn KCI"] = float(np.mean(found))
            rows.append({"simulation": name, "n": n, "draws": draws, **powers})
            print(f"{name:22s} {n:4d}  " + "  ".join(f"{k} {v:.3f}" for k, v in powers.items()), flush=True)
    return rows


def _table(rows: list[dict], keys: Sequence[str], columns: Sequence[str], cell: Callable[[dict, str], str]) -> str:
    lines = ["| " + " | ".join([*keys, *columns]) + " |", "|" + "---|" * (len(keys) + len(columns))]
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    for values, group in groups.items():
        cells = [next((text for row in group if (text := cell(row, column))), "") for column in columns]
        lines.append("| " + " | ".join([*map(str, values), *cells]) + " |")
    return "\n".join(lines) + "\n"


def main(_: list[str]) -> None:
    """Runs the study that was asked for and writes what was asked for."""
    tests = _ONLY.value or list(TESTS)
    sizes = [int(n) for n in _SIZES.value]
    if _POWER.value:
        rows = power_study(tests, sizes, _DRAWS.value, _BATCH.value)
        table = _table(
            rows, ("simulation", "n"), (*tests, "hyppo Hsic", "causal-learn KCI"), lambda row, c: f"{row[c]:.2f}"
        )
    else:
        rows = level_study(tests, _SCENARIOS.value or list(SCENARIOS), sizes, _DRAWS.value, _BATCH.value)
        bold = {True: "{:.3f}", False: "**{:.3f}**"}
        table = _table(
            rows, ("scenario", "n"), tests, lambda r, c: bold[r["within"]].format(r["rate"]) if r["test"] == c else ""
        )
    if _JSON.value:
        content = {"draws": _DRAWS.value, "level": _ALPHA, "rows": rows}
        _files.write_text(_JSON.value, json.dumps(content, indent=1) + "\n")
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, table)


if __name__ == "__main__":
    app.run(main)
