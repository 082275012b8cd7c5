"""The table of conditional independence tests, each a function of samples: `CONDITIONAL_TESTS[name].fn(key, x, y, z)`.

All see normal scores of X, Y and a continuous Z, with `conditional_bandwidths` and ridge 1e-3: the settings of the
calibration study. The functions they call take others.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _tables
from causal_iqa.dependence import (
    bandwidths,
    conditional,
    conditional_kernels,
    kernels,
    learned_widths,
    randomised,
    stratified,
)

RIDGE = 1e-3
# Frequencies of X and of Y, two features each; Strobl et al. use five features.
_FREQUENCIES = 3
# Frequencies of Z; Strobl et al. use a hundred features.
_FREQUENCIES_Z = 50
# Samples in a cell of the local permutation test: few, so that Z hardly varies in it. HSIC of two is the same either
# way round, so no fewer than three.
_CELL = 3
# The nulls of the calibration study: from so few samples on, up to so many dimensions of Z, one of X and of Y.
_LEAST_SHOWN, _MOST_CONDITIONED = 50, 3
# Samples of fewer distinct values than this share count as discrete.
_DISCRETE_SHARE = 0.1


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


def _kci_learned(key: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> conditional.KCITest:
    del key
    x, y, z = _scores(x, y, z)
    of_x, of_y, of_z = conditional_kernels.conditional_bandwidths(x, y, z)
    alone = kernels.rbf(x, x, bandwidth=of_x)
    joint, K_y, _ = conditional_kernels.kci_grams(x, y, z, bandwidth_x=of_x, bandwidth_y=of_y, bandwidth_z=of_z)
    learned = learned_widths.learn_regression(alone, K_y, z, bandwidth=of_z)
    return conditional.kci_test(joint, K_y, kernels.rbf(z, z, bandwidth=learned.bandwidth), ridge=learned.ridge)


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


def _own_grams(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, y = _scores(x, y)
    of_x, of_y, _ = conditional_kernels.conditional_bandwidths(x, y, x)
    return kernels.rbf(x, x, bandwidth=of_x), kernels.rbf(y, y, bandwidth=of_y)


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
            ConditionalTestSpec("kci_learned", _kci_learned, False, False, (), True, 4, _KCI + ", section 3.4"),
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


def outside_calibration(name: str, x: jax.Array, y: jax.Array, z: jax.Array) -> tuple[str, ...]:
    """Says why the level of a conditional test is not shown for these samples.

    Compares them with the nulls of the calibration study (docs/calibration.md): at least 50 samples, one dimension of X
    and of Y, at most three of Z, not all of them discrete, and, for tests whose width of Z is fixed by rule, curves
    that a regression of that width can follow (by leave-one-out error, see `learn_regression`).

    Args:
      name: name of the test in `CONDITIONAL_TESTS`.
      x: samples [n, d_x].
      y: samples [n, d_y].
      z: samples [n, d_z], or labels [n] of a categorical test.

    Returns:
      One sentence for each reason; empty where the samples are like those of the study.

    Raises:
      ValueError: when the numbers of samples differ or a name is unknown.

    Examples:
      >>> import jax
      >>> x, y, z = jax.random.normal(jax.random.key(0), (3, 40, 1))
      >>> outside_calibration("kci", x, y, z)
      ('40 samples, and its level is shown from 50 on',)
    """
    spec = CONDITIONAL_TESTS[name]
    sizes = [len(values) for values in (x, y, z)]
    if len(set(sizes)) != 1:
        raise ValueError(f"x, y, z: expected the same number of samples, got {sizes[0]}, {sizes[1]} and {sizes[2]}")
    found = []
    if not spec.calibrated:
        found.append("its level did not hold everywhere in the calibration study")
    if sizes[0] < _LEAST_SHOWN:
        found.append(f"{sizes[0]} samples, and its level is shown from {_LEAST_SHOWN} on")
    if spec.categorical:
        return tuple(found)
    for label, values in (("x", x), ("y", y)):
        if np.shape(values)[1] > 1:
            found.append(f"{label} has {np.shape(values)[1]} dimensions, and its level is shown for one")
    if np.shape(z)[1] > _MOST_CONDITIONED:
        found.append(f"z has {np.shape(z)[1]} dimensions, and its level is shown up to {_MOST_CONDITIONED}")
    if all(len(np.unique(np.asarray(v), axis=0)) < _DISCRETE_SHARE * sizes[0] for v in (x, y, z)):
        found.append("x, y and z are all discrete; stratified_permutation is exact there")
    elif name != "kci_learned" and bool(_is_too_wide(*(jnp.asarray(v) for v in (x, y, z)))):
        found.append("x or y varies with z more quickly than its fixed width can follow; kci_learned learns the width")
    return tuple(found)


@jax.jit
def _is_too_wide(x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    x, y, z = _scores(x, y, z)
    of_x, of_y, of_z = conditional_kernels.conditional_bandwidths(x, y, z)
    K_x, K_y = (kernels.rbf(v, v, bandwidth=width) for v, width in ((x, of_x), (y, of_y)))
    return learned_widths.learn_regression(K_x, K_y, z, bandwidth=of_z).bandwidth < of_z / 2


def conditional_independence_test(
    key: jax.Array, name: str, x: jax.Array, y: jax.Array, z: jax.Array, **settings: int
) -> tuple:
    """Runs a test of the table on concrete samples, and warns where its level is not shown for such samples.

    Args:
      key: typed PRNG key; decides nothing where the test is not random.
      name: name of the test in `CONDITIONAL_TESTS`.
      x: samples [n, d_x].
      y: samples [n, d_y].
      z: samples [n, d_z], or labels [n] of a categorical test.
      **settings: the static ints that the test needs.

    Returns:
      The result of the test, a NamedTuple with at least statistic, p_value, null_mean and null_std.

    Raises:
      ValueError: when shapes do not agree, a name is unknown, or there are fewer samples than the test is defined for.

    Warns:
      UserWarning: one for each reason of `outside_calibration`.

    Examples:
      >>> import jax
      >>> x, y, z = jax.random.normal(jax.random.key(0), (3, 60, 1))
      >>> float(conditional_independence_test(jax.random.key(1), "kci_learned", x, y, z).p_value) > 0.01
      True
    """
    spec = CONDITIONAL_TESTS[name]
    if len(x) < spec.smallest_samples:
        raise ValueError(f"x: {name} needs at least {spec.smallest_samples} samples, got {len(x)}")
    for reason in outside_calibration(name, x, y, z):
        warnings.warn(f"{name}: {reason}", stacklevel=2)
    return jax.jit(spec.fn, static_argnames=spec.settings)(key, x, y, z, **settings)
