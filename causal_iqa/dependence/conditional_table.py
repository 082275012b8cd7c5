"""The table of conditional independence tests, each from samples alone: `CONDITIONAL_TESTS[name].fn(key, x, y, z)`.

All see normal scores of X, Y and a continuous Z, with `conditional_bandwidths` and ridge 1e-3: the settings of the
calibration study. The functions they call take others.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from causal_iqa import _tables
from causal_iqa.dependence import bandwidths, conditional, conditional_kernels, kernels, randomised, stratified

RIDGE = 1e-3
# Frequencies of X and of Y, two features each; Strobl et al. use five features.
_FREQUENCIES = 3
# Frequencies of Z; Strobl et al. use a hundred features.
_FREQUENCIES_Z = 50
# Samples in a cell of the local permutation test: few, so that Z hardly varies in it. HSIC of two is the same either
# way round, so no fewer than three.
_CELL = 3


@dataclasses.dataclass(frozen=True)
class ConditionalTestSpec:
    """One test of conditional independence.

    Attributes:
      name: name in the table.
      fn: `fn(key, x, y, z, **settings)` of samples [n, d]; a NamedTuple with at least statistic, p_value, null_mean and
        null_std.
      random: whether the key decides anything.
      categorical: whether z holds labels [n], integers from 0, in place of samples [n, d].
      settings: names of the keyword arguments it needs, static ints.
      calibrated: whether its level holds everywhere in the calibration study (docs/calibration.md). The published forms
        of KCI are here for parity; local permutation misses where Z has heavy tails or several dimensions.
      smallest_samples: the fewest samples it is defined for.
      reference: where the definition comes from.
    """

    name: str
    fn: Callable[..., tuple]
    random: bool
    categorical: bool
    settings: tuple[str, ...]
    calibrated: bool
    smallest_samples: int
    reference: str


def _scores(*samples: jax.Array) -> tuple[jax.Array, ...]:
    return tuple(map(conditional_kernels.normal_scores, samples))


def _grams(x: jax.Array, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, y, z = _scores(x, y, z)
    names = ("bandwidth_x", "bandwidth_y", "bandwidth_z")
    widths = dict(zip(names, conditional_kernels.conditional_bandwidths(x, y, z), strict=True))
    return conditional_kernels.kci_grams(x, y, z, **widths)


def _kci(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> conditional.KCITest:
    del key
    return conditional.kci_test(*_grams(x, y, z), ridge=RIDGE)


def _kci_gamma(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> conditional.KCITest:
    del key
    return conditional.kci_gamma_test(*_grams(x, y, z), ridge=RIDGE)


def _kci_spectral(
    key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array, *, num_simulations: int
) -> conditional.KCITest:
    return conditional.kci_spectral_test(key, *_grams(x, y, z), ridge=RIDGE, num_simulations=num_simulations)


def _rcot(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> randomised.RandomisedTest:
    x, y, z = _scores(x, y, z)
    of_x, of_y, of_z = conditional_kernels.conditional_bandwidths(x, y, z)
    return _randomised(key, x, y, z, of_x, of_y, of_z)


def _rcit(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> randomised.RandomisedTest:
    x, y, z = _scores(x, y, z)
    joint = jnp.concatenate([y, z], axis=1)
    of_x, _, of_z = conditional_kernels.conditional_bandwidths(x, y, z)
    return _randomised(key, x, joint, z, of_x, bandwidths.median_heuristic(joint), of_z)


def _randomised(key: jax.Array, *arguments: jax.Array) -> randomised.RandomisedTest:
    x, y, z, of_x, of_y, of_z = arguments
    widths = {"bandwidth_x": of_x, "bandwidth_y": of_y, "bandwidth_z": of_z}
    numbers = {"num_frequencies": _FREQUENCIES, "num_frequencies_z": _FREQUENCIES_Z}
    return randomised.rcot_test(key, x, y, z, **widths, **numbers, ridge=RIDGE)


def _own_grams(x: jax.Array, y: jax.Array) -> list[jax.Array]:
    x, y = _scores(x, y)
    of_x, of_y, _ = conditional_kernels.conditional_bandwidths(x, y, x)
    return [kernels.rbf(v, v, bandwidth=width) for v, width in ((x, of_x), (y, of_y))]


def _local(
    key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array, *, num_permutations: int
) -> stratified.StratifiedPermutationTest:
    n, d = z.shape
    parts = max(1, round((n / _CELL) ** (1 / d)))
    largest = n
    for _ in range(d):
        largest = math.ceil(largest / parts)
    labels = stratified.quantile_cells(z, cells=(parts,) * d)
    sizes = {"num_strata": parts**d, "largest": largest, "num_permutations": num_permutations}
    return stratified.conditional_permutation_test(key, *_own_grams(x, y), labels, **sizes)


def _within_strata(
    key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array, *, num_strata: int, num_permutations: int
) -> stratified.StratifiedPermutationTest:
    sizes = {"num_strata": num_strata, "largest": x.shape[0], "num_permutations": num_permutations}
    return stratified.conditional_permutation_test(key, *_own_grams(x, y), z, **sizes)


_KCI = "Zhang, Peters, Janzing, Schoelkopf, UAI 2011"
_RCIT = "Strobl, Zhang, Visweswaran, Journal of Causal Inference 7, 2019"

CONDITIONAL_TESTS = _tables.Table(
    "conditional independence test",
    {
        spec.name: spec
        for spec in (
            ConditionalTestSpec("kci", _kci, False, False, (), True, 4, _KCI + ", with corrected null moments"),
            ConditionalTestSpec("kci_gamma", _kci_gamma, False, False, (), False, 4, _KCI),
            ConditionalTestSpec("kci_spectral", _kci_spectral, True, False, ("num_simulations",), False, 4, _KCI),
            ConditionalTestSpec("rcit", _rcit, True, False, (), True, 4, _RCIT),
            ConditionalTestSpec("rcot", _rcot, True, False, (), True, 4, _RCIT),
            ConditionalTestSpec(
                name="local_permutation",
                fn=_local,
                random=True,
                categorical=False,
                settings=("num_permutations",),
                calibrated=False,
                smallest_samples=2,
                reference="Kim, Neykov, Balakrishnan, Wasserman, Annals of Statistics 50, 2022",
            ),
            ConditionalTestSpec(
                name="stratified_permutation",
                fn=_within_strata,
                random=True,
                categorical=True,
                settings=("num_strata", "num_permutations"),
                calibrated=True,
                smallest_samples=2,
                reference="Rosenbaum, JASA 79, 1984",
            ),
        )
    },
)
