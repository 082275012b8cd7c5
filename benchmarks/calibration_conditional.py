"""Type-I error of the conditional tests: python -m benchmarks.calibration_conditional --json=PATH --markdown=PATH

Every test of `CONDITIONAL_TESTS` is measured unchanged. Draws are mapped, so the study is one program a test,
scenario and size.
"""

import json
import math
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from causal_iqa import _files
from causal_iqa.dependence import conditional_table

_DRAWS = flags.DEFINE_integer("draws", 2000, "Null draws of each.", lower_bound=1)
_SIZES = flags.DEFINE_list("sizes", ["50", "100", "300"], "Numbers of samples.")
_ONLY = flags.DEFINE_list("tests", [], "Names of tests; all when empty.")
_SCENARIOS = flags.DEFINE_list("scenarios", [], "Names of scenarios; all when empty.")
_BATCH = flags.DEFINE_integer("batch", 25, "Draws mapped at once.", lower_bound=1)
_POWER = flags.DEFINE_bool("power", False, "Power instead of the level: a cause that X and Y share besides Z is added.")
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "Where the table goes.")

Samples = tuple[jax.Array, jax.Array, jax.Array]
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


def _steep(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    return jnp.sin(3 * z) + 0.1 * e, jnp.cos(3 * z) + 0.1 * f, z


def _wiggly(key: jax.Array, n: int) -> Samples:
    e, f, _ = _parts(key, n)
    z = jax.random.uniform(jax.random.fold_in(key, 3), (n, 1), minval=-3.0, maxval=3.0)
    return jnp.abs(jnp.sin(2 * z)) + 0.1 * e, jnp.sign(jnp.sin(3 * z)) + 0.1 * f, z


def _all_binary(key: jax.Array, n: int) -> Samples:
    e, f, z = _parts(key, n)
    z = (z > 0).astype(jnp.float32)
    return (z - 0.5 + e > 0).astype(jnp.float32), (z - 0.5 + f > 0).astype(jnp.float32), z


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


# Name -> (draw, X and Y continuous, Z categorical).
SCENARIOS = {
    "linear": (_linear, True, False),
    "nonlinear": (_nonlinear, True, False),
    "sine": (_sine, True, False),
    "steep": (_steep, True, False),
    "wiggly": (_wiggly, True, False),
    "all binary": (_all_binary, False, False),
    "heteroscedastic": (_heteroscedastic, True, False),
    "t2 noise": (_t2, True, False),
    "all Cauchy": (_cauchy, True, False),
    "three causes": (_three_causes, True, False),
    "binary": (_binary, False, False),
    "groups": (_groups, True, True),
    "counts": (_counts, False, True),
}

# Null -> standard deviation of the noise that X and Y have around their curves over Z. A further common cause of this
# size gives the residuals a correlation of one half.
NOISE = {
    "linear": 1.0,
    "nonlinear": 0.5,
    "sine": 0.3,
    "steep": 0.1,
    "wiggly": 0.1,
    "t2 noise": 1.0,
    "three causes": 1.0,
}


def dependent(scenario: str) -> Callable[[jax.Array, int], Samples]:
    """Returns the draw of a null to which a cause is added that X and Y share besides Z."""

    def draw(key: jax.Array, n: int) -> Samples:
        x, y, z = SCENARIOS[scenario][0](key, n)
        cause = NOISE[scenario] * jax.random.normal(jax.random.fold_in(key, 100), (n, 1))
        return x + cause, y + cause, z

    return draw


_SETTINGS = {"num_strata": _STRATA, "num_permutations": 199, "num_simulations": 999}


def _p_value(spec: conditional_table.ConditionalTestSpec) -> Callable[..., jax.Array]:
    settings = {name: _SETTINGS[name] for name in spec.settings}

    def p_value(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
        condition = z[:, 0].astype(jnp.int32) if spec.categorical else z
        return spec.fn(key, x, y, condition, **settings).p_value

    return p_value


# Name -> vmappable f(key, x, y, z) -> p.
TESTS = {name: _p_value(spec) for name, spec in conditional_table.CONDITIONAL_TESTS.items()}


def applies(test: str, scenario: str) -> bool:
    """Returns whether the test is for a condition of this kind: only a categorical one has strata to permute within."""
    categorical = SCENARIOS[scenario][2]
    return test != "local_permutation" if categorical else not conditional_table.CONDITIONAL_TESTS[test].categorical


def rejections(
    test: str, scenario: str, n: int, draws: int, *, batch: int, alpha: float = 0.05, power: bool = False
) -> float:
    """Returns the share of draws that the test rejects at alpha: under the null, or for its power of `dependent`."""
    draw, p_value = dependent(scenario) if power else SCENARIOS[scenario][0], TESTS[test]

    def one(key: jax.Array) -> jax.Array:
        key_data, key_test = jax.random.split(key)
        return p_value(key_test, *draw(key_data, n))

    keys = jax.random.split(jax.random.key(7), draws)
    p = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=min(draws, batch)))(keys))
    if not np.all(np.isfinite(p)):
        raise ValueError(f"{test}, {scenario}, n = {n}: {np.sum(~np.isfinite(p))} of {draws} p-values are not finite")
    return float(np.mean(p <= alpha + 1e-6))


def study(
    draws: int, sizes: list[int], tests: list[str], scenarios: list[str], *, batch: int, power: bool = False
) -> list[dict]:
    """Returns one row a test, scenario and size: the share rejected at .05, and whether a level is in bounds."""
    rows = []
    for test in tests:
        for scenario in scenarios:
            if not applies(test, scenario):
                continue
            continuous = SCENARIOS[scenario][1]
            for n in sizes:
                start = time.perf_counter()
                share = rejections(test, scenario, n, draws, batch=batch, power=power)
                held = power or (share <= 0.065 and (share >= 0.035 or not continuous))
                seconds = time.perf_counter() - start
                rows.append({"test": test, "scenario": scenario, "n": n, "rejected": share, "held": held})
                print(f"{test:<26} {scenario:<16} n={n:<4} {share:.4f} {'' if held else 'OUT':<3} {seconds:6.1f} s")
    return rows


def markdown(rows: list[dict], draws: int, *, power: bool = False) -> str:
    """Returns the table, one line a test and scenario."""
    sizes = sorted({row["n"] for row in rows})
    title = (
        f"Share of {draws} draws with a further common cause rejected at .05."
        if power
        else f"Share of {draws} null draws rejected at .05 (standard error {math.sqrt(0.05 * 0.95 / draws):.4f}); "
        "bold: above .065, or on continuous data below .035."
    )
    lines = [
        title,
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
    sizes = [int(n) for n in _SIZES.value]
    tests, scenarios = _ONLY.value or list(TESTS), _SCENARIOS.value or list(NOISE if _POWER.value else SCENARIOS)
    rows = study(_DRAWS.value, sizes, tests, scenarios, batch=_BATCH.value, power=_POWER.value)
    if _JSON.value:
        _files.write_text(_JSON.value, json.dumps({"draws": _DRAWS.value, "rows": rows}, indent=1) + "\n")
    if _MARKDOWN.value:
        _files.write_text(_MARKDOWN.value, markdown(rows, _DRAWS.value, power=_POWER.value))


if __name__ == "__main__":
    app.run(main)
