"""The table of dependence measures between two Gram matrices."""

import dataclasses
import types
from collections.abc import Callable

import jax

from causal_iqa.dependence import centred_alignment, hsic


@dataclasses.dataclass(frozen=True)
class MeasureSpec:
    """One measure of dependence; larger always means more dependent.

    Attributes:
      name: name in the table.
      fn: `fn(K, L)`, scalar, for Gram matrices [n, n] over the same samples.
      range: smallest and largest possible value, None where unbounded.
      smallest_samples: the fewest samples it is defined for.
      scale_free: whether scaling a kernel leaves it unchanged; such a measure is NaN for a constant variable.
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


TABLE = types.MappingProxyType(
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
    }
)
