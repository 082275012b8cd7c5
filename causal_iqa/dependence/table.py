"""The tables of dependence measures and of independence tests."""

import dataclasses
from collections.abc import Callable

import jax

from causal_iqa import _tables
from causal_iqa.dependence import aggregated, centred_alignment, distance, hsic, independence


@dataclasses.dataclass(frozen=True)
class MeasureSpec:
    """One measure of dependence; larger always means more dependent.

    Attributes:
      name: name in the table.
      fn: `fn(K, L)`, scalar, for Gram matrices [n, n] over the same samples, or `fn(x, y)` for samples [n, d], [n, e].
      inputs: "grams" or "samples".
      range: smallest and largest possible value, None where unbounded.
      smallest_samples: the fewest samples it is defined for.
      scale_free: whether scaling a kernel, or the samples, leaves it unchanged; such a measure is NaN for a constant
        variable.
      unbiased: whether its expectation under independence is zero, exactly for HSIC and nearly for a ratio.
      reference: where the definition comes from.
    """

    name: str
    fn: Callable[[jax.Array, jax.Array], jax.Array]
    range: tuple[float | None, float | None]
    smallest_samples: int
    scale_free: bool
    unbiased: bool
    reference: str
    inputs: str = "grams"


TABLE = _tables.Table(
    "dependence measure",
    {
        "hsic_biased": MeasureSpec(
            name="hsic_biased",
            fn=hsic.hsic_biased,
            range=(0.0, None),
            smallest_samples=1,
            scale_free=False,
            unbiased=False,
            reference="Gretton, Fukumizu, Teo, Song, Schoelkopf, Smola, NIPS 2007, eq. 4",
        ),
        "hsic_unbiased": MeasureSpec(
            name="hsic_unbiased",
            fn=hsic.hsic_unbiased,
            range=(None, None),
            smallest_samples=4,
            scale_free=False,
            unbiased=True,
            reference="Song, Smola, Gretton, Bedo, Borgwardt, JMLR 13, 2012, eq. 5",
        ),
        "hsic_normalised": MeasureSpec(
            name="hsic_normalised",
            fn=hsic.hsic_normalised,
            range=(0.0, 1.0),
            smallest_samples=2,
            scale_free=True,
            unbiased=False,
            reference="Cortes, Mohri, Rostamizadeh, JMLR 13, 2012, definition 4",
        ),
        "cka": MeasureSpec(
            name="cka",
            fn=centred_alignment.cka,
            range=(0.0, 1.0),
            smallest_samples=2,
            scale_free=True,
            unbiased=False,
            reference="Kornblith, Norouzi, Lee, Hinton, ICML 2019, eq. 4",
        ),
        "cka_debiased": MeasureSpec(
            name="cka_debiased",
            fn=centred_alignment.cka_debiased,
            range=(-1.0, 1.0),
            smallest_samples=4,
            scale_free=True,
            unbiased=True,
            reference="Nguyen, Raghu, Kornblith, ICLR 2021, eq. 3",
        ),
        "distance_covariance_squared": MeasureSpec(
            name="distance_covariance_squared",
            fn=distance.distance_covariance_squared,
            range=(0.0, None),
            smallest_samples=1,
            scale_free=False,
            unbiased=False,
            reference="Szekely, Rizzo, Bakirov, Annals of Statistics 35, 2007, definition 4",
            inputs="samples",
        ),
        "distance_covariance_squared_unbiased": MeasureSpec(
            name="distance_covariance_squared_unbiased",
            fn=distance.distance_covariance_squared_unbiased,
            range=(None, None),
            smallest_samples=4,
            scale_free=False,
            unbiased=True,
            reference="Szekely, Rizzo, Annals of Statistics 42, 2014, proposition 1",
            inputs="samples",
        ),
        "distance_correlation": MeasureSpec(
            name="distance_correlation",
            fn=distance.distance_correlation,
            range=(0.0, 1.0),
            smallest_samples=2,
            scale_free=True,
            unbiased=False,
            reference="Szekely, Rizzo, Bakirov, Annals of Statistics 35, 2007, definition 5",
            inputs="samples",
        ),
        "distance_correlation_squared_unbiased": MeasureSpec(
            name="distance_correlation_squared_unbiased",
            fn=distance.distance_correlation_squared_unbiased,
            range=(-1.0, 1.0),
            smallest_samples=4,
            scale_free=True,
            unbiased=True,
            reference="Szekely, Rizzo, Journal of Multivariate Analysis 117, 2013, eq. 2.10",
            inputs="samples",
        ),
    },
)


@dataclasses.dataclass(frozen=True)
class TestSpec:
    """One test of independence.

    Attributes:
      name: name in the table.
      fn: `fn([key,] K, L, **settings)` of Gram matrices [n, n]; a NamedTuple with at least statistic, p_value,
        null_mean and null_std.
      random: whether it takes a key, first.
      several_kernels: whether K and L are sequences of Gram matrices.
      settings: names of the keyword arguments it needs.
      exact: whether its level holds at every n for exchangeable samples, ties included.
      smallest_samples: the fewest samples it is defined for.
      reference: where the definition comes from.
    """

    name: str
    fn: Callable[..., tuple]
    random: bool
    several_kernels: bool
    settings: tuple[str, ...]
    exact: bool
    smallest_samples: int
    reference: str


TESTS = _tables.Table(
    "independence test",
    {
        "permutation": TestSpec(
            name="permutation",
            fn=independence.hsic_permutation_test,
            random=True,
            several_kernels=False,
            settings=("num_permutations",),
            exact=True,
            smallest_samples=2,
            reference="Gretton et al., NIPS 2007, section 4; Hemerik, Goeman, TEST 27, 2018",
        ),
        "gamma": TestSpec(
            name="gamma",
            fn=independence.hsic_gamma_test,
            random=False,
            several_kernels=False,
            settings=(),
            exact=False,
            smallest_samples=4,
            reference="Gretton et al., NIPS 2007, section 3; Kazi-Aoual et al., CSDA 20, 1995",
        ),
        "spectral": TestSpec(
            name="spectral",
            fn=independence.hsic_spectral_test,
            random=True,
            several_kernels=False,
            settings=("num_samples",),
            exact=False,
            smallest_samples=4,
            reference="Gretton, Fukumizu, Harchaoui, Sriperumbudur, NIPS 2009; Zhang et al., Stat. Comput. 28, 2018",
        ),
        "aggregated": TestSpec(
            name="aggregated",
            fn=aggregated.hsic_aggregated_test,
            random=True,
            several_kernels=True,
            settings=("num_permutations", "level"),
            exact=True,
            smallest_samples=2,
            reference="Schrab, Kim, Guedj, Gretton, NeurIPS 2022, section 5",
        ),
    },
)
