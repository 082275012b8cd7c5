"""Type-I error of the conditional tests: python -m benchmarks.calibration_conditional --json=PATH --markdown=PATH

Every test sees normal scores of the data and bandwidths by the rule of `bandwidths`. Draws are mapped, so the study is
one program a test, scenario and size.
"""

import json
import math
import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from causal_iqa import dependence
from causal_iqa.dependence import conditional, randomised, stratified

_DRAWS = flags.DEFINE_integer("draws", 2000, "Null draws of each.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["50", "100", "300"], "Numbers of samples.")
_ONLY = flags.DEFINE_list("tests", [], "Names of tests; all when empty.")
_SCENARIOS = flags.DEFINE_list("scenarios", [], "Names of scenarios; all when empty.")
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes.")

Samples = tuple[jax.Array, jax.Array, jax.Array]
_RIDGE = 1e-3
_PERMUTATIONS = 199
_CELL = 5
_STRATA = 3


def _parts(key: jax.Array, n: int, d_z: int = 1) -> Samples:
    keys = jax.random.split(key, 3)
    return tuple(jax.random.normal(k, (n, d)) for k, d in zip(keys, (1, 1, d_z), strict=True))


def _linear(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return z + e, z + f, z


def _nonlinear(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return jnp.tanh(2 * z) + 0.5 * e, z**2 + 0.5 * f, z


def _sine(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return jnp.sin(2 * z) + 0.3 * e, jnp.cos(2 * z) + 0.3 * f, z


def _heteroscedastic(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return z + (0.2 + jnp.abs(z)) * e, -z + (0.2 + jnp.abs(z)) * f, z


def _t2(key: jax.Array, n: int) -> Samples:
    key_e, key_f, key_z = jax.random.split(key, 3)
    z = jax.random.normal(key_z, (n, 1))
    return z + jax.random.t(key_e, 2.0, (n, 1)), z + jax.random.t(key_f, 2.0, (n, 1)), z


def _cauchy(key: jax.Array, n: int) -> Samples:
    e, f, z = (jax.random.cauchy(k, (n, 1)) for k in jax.random.split(key, 3))
    return z + e, z + f, z


def _three_causes(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n, 3)
    return jnp.sum(z, axis=1, keepdims=True) / 1.7 + e, jnp.tanh(z[:, :1]) + 0.5 * z[:, 1:2] + f, z


def _binary(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return (z + e > 0).astype(jnp.float32), (z + f > 0).astype(jnp.float32), z


def _groups(key: jax.Array, n: int) -> Samples:
    key, key_z = jax.random.split(key)
    z = jax.random.randint(key_z, (n, 1), 0, _STRATA).astype(jnp.float32)
    e, f, _ = _parts(key, n)
    return z + e, z * z + f, z


def _counts(key: jax.Array, n: int) -> Samples:
    key, key_z, key_x = jax.random.split(key, 3)
    z = jax.random.randint(key_z, (n, 1), 0, _STRATA).astype(jnp.float32)
    _, f, _ = _parts(key, n)
    return jax.random.poisson(key_x, 1.0 + z).astype(jnp.float32), (z + f > 1).astype(jnp.float32), z


# Name -> (draw, X and Y continuous, Z categorical, columns of Z).
SCENARIOS = {
    "linear": (_linear, True, False, 1),
    "nonlinear": (_nonlinear, True, False, 1),
    "sine": (_sine, True, False, 1),
    "heteroscedastic": (_heteroscedastic, True, False, 1),
    "t2 noise": (_t2, True, False, 1),
    "all Cauchy": (_cauchy, True, False, 1),
    "three causes": (_three_causes, True, False, 3),
    "binary": (_binary, False, False, 1),
    "groups": (_groups, True, True, 1),
    "counts": (_counts, False, True, 1),
}


def bandwidths(x: jax.Array, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Medians for X and Y, at least a half against ties; for Z a half of it a root of its dimension, so that the
    regression follows curves."""
    of_x, of_y = (jnp.maximum(dependence.median_heuristic(v), 0.5) for v in (x, y))
    return of_x, of_y, 0.5 * z.shape[1] ** 0.5 * jnp.maximum(dependence.median_heuristic(z), 0.5)


def _scored(x: jax.Array, y: jax.Array, z: jax.Array) -> Samples:
    return tuple(map(conditional.normal_scores, (x, y, z)))


def _grams(x: jax.Array, y: jax.Array, z: jax.Array) -> Samples:
    x, y, z = _scored(x, y, z)
    of_x, of_y, of_z = bandwidths(x, y, z)
    return conditional.kci_grams(x, y, z, bandwidth_x=of_x, bandwidth_y=of_y, bandwidth_z=of_z)


def _kci(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    del key
    return conditional.kci_test(*_grams(x, y, z), ridge=_RIDGE).p_value


def _kci_gamma(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    del key
    return conditional.kci_gamma_test(*_grams(x, y, z), ridge=_RIDGE).p_value


def _kci_spectral(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    return conditional.kci_spectral_test(key, *_grams(x, y, z), ridge=_RIDGE, num_simulations=999).p_value


def _randomised(test: Callable[..., randomised.RandomisedTest], joint: bool) -> Callable[..., jax.Array]:
    def p_value(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
        x, y, z = _scored(x, y, z)
        of_x, of_y, of_z = bandwidths(x, y, z)
        of_y = jnp.maximum(dependence.median_heuristic(jnp.concatenate([y, z], axis=1)), 0.5) if joint else of_y
        widths = {"bandwidth_x": of_x, "bandwidth_y": of_y, "bandwidth_z": of_z}
        return test(key, x, y, z, **widths, num_frequencies=3, num_frequencies_z=50, ridge=_RIDGE).p_value

    return p_value


def _own_grams(x: jax.Array, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y, z = _scored(x, y, z)
    of_x, of_y, _ = bandwidths(x, y, z)
    return dependence.rbf(x, x, bandwidth=of_x), dependence.rbf(y, y, bandwidth=of_y)


def _local(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    n, d = z.shape
    parts = max(1, round((n / _CELL) ** (1 / d)))
    largest = n
    for _ in range(d):
        largest = math.ceil(largest / parts)
    labels = stratified.quantile_cells(z, cells=(parts,) * d)
    sizes = {"num_strata": parts**d, "largest": largest, "num_permutations": _PERMUTATIONS}
    return stratified.conditional_permutation_test(key, *_own_grams(x, y, z), labels, **sizes).p_value


def _strata(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    sizes = {"num_strata": _STRATA, "largest": len(z), "num_permutations": _PERMUTATIONS}
    labels = z[:, 0].astype(jnp.int32)
    return stratified.conditional_permutation_test(key, *_own_grams(x, y, z), labels, **sizes).p_value


# Name -> (f(key, x, y, z) -> p, needs a categorical Z: True or False, or takes any: None).
TESTS = {
    "kci": (_kci, None),
    "kci_gamma (published)": (_kci_gamma, None),
    "kci_spectral (published)": (_kci_spectral, None),
    "rcit": (_randomised(randomised.rcit_test, True), None),
    "rcot": (_randomised(randomised.rcot_test, False), None),
    "local permutation": (_local, False),
    "permutation within strata": (_strata, True),
}


def rejections(test: str, scenario: str, n: int, draws: int, *, alpha: float = 0.05) -> float:
    """Returns the share of null draws that the test rejects at alpha."""
    draw, p_value = SCENARIOS[scenario][0], TESTS[test][0]

    def one(key: jax.Array) -> jax.Array:
        key_data, key_test = jax.random.split(key)
        return p_value(key_test, *draw(key_data, n))

    keys = jax.random.split(jax.random.key(7), draws)
    p = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=min(draws, 25)))(keys))
    if not np.all(np.isfinite(p)):
        raise ValueError(f"{test}, {scenario}, n = {n}: {np.sum(~np.isfinite(p))} of {draws} p-values are not finite")
    return float(np.mean(p <= alpha + 1e-6))


def study(draws: int, sizes: list[int], tests: list[str], scenarios: list[str]) -> list[dict]:
    """Returns one row a test, scenario and size: the share rejected at .05, and whether it is within the bounds."""
    rows = []
    for test in tests:
        for scenario in scenarios:
            _, continuous, categorical, _ = SCENARIOS[scenario]
            if TESTS[test][1] not in (None, categorical):
                continue
            for n in sizes:
                start = time.perf_counter()
                share = rejections(test, scenario, n, draws)
                held = share <= 0.065 and (share >= 0.035 or not continuous)
                seconds = time.perf_counter() - start
                rows.append({"test": test, "scenario": scenario, "n": n, "rejected": share, "held": held})
                print(f"{test:<26} {scenario:<16} n={n:<4} {share:.4f} {'' if held else 'OUT':<3} {seconds:6.1f} s")
    return rows


def markdown(rows: list[dict], draws: int) -> str:
    """Returns the table, one line a test and scenario."""
    sizes = sorted({row["n"] for row in rows})
    lines = [
        f"Share of {draws} null draws rejected at .05 (standard error {math.sqrt(0.05 * 0.95 / draws):.4f}); bold: "
        "above .065, or on continuous data below .035.",
        "",
        "| test | null | " + " | ".join(f"n = {n}" for n in sizes) + " |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for test, scenario in dict.fromkeys((row["test"], row["scenario"]) for row in rows):
        cells = {row["n"]: row for row in rows if (row["test"], row["scenario"]) == (test, scenario)}
        shown = [f"{cells[n]['rejected']:.3f}"[1:] if n in cells else "" for n in sizes]
        shown = [s if n not in cells or cells[n]["held"] else f"**{s}**" for n, s in zip(sizes, shown, strict=True)]
        lines.append(f"| {test} | {scenario} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def main(_: list[str]) -> None:
    """Runs the study."""
    rows = study(
        _DRAWS.value, [int(n) for n in _SIZES.value], _ONLY.value or list(TESTS), _SCENARIOS.value or list(SCENARIOS)
    )
    if _JSON.value:
        pathlib.Path(_JSON.value).write_text(json.dumps({"draws": _DRAWS.value, "rows": rows}, indent=1) + "\n")
    if _MARKDOWN.value:
        pathlib.Path(_MARKDOWN.value).write_text(markdown(rows, _DRAWS.value))


if __name__ == "__main__":
    app.run(main)
