"""The table of kernels."""

import dataclasses
from collections.abc import Callable

import jax

from causal_iqa import _tables
from causal_iqa.dependence import kernels, radial_kernels


@dataclasses.dataclass(frozen=True)
class KernelSpec:
    """One kernel.

    Attributes:
      name: name in the table and in flags.
      fn: `fn(x, y, **parameters)`, cross-Gram matrix [n, m].
      inputs: "features" for samples [n, d], "labels" for [n].
      parameters: names of the keyword arguments it needs.
      range: smallest and largest possible value, None where unbounded.
      unit_diagonal: whether k(x, x) = 1 for every x, a zero vector apart.
      characteristic: whether HSIC with it is zero only under independence.
      reference: where the definition comes from.
    """

    name: str
    fn: Callable[..., jax.Array]
    inputs: str
    parameters: tuple[str, ...]
    range: tuple[float | None, float | None]
    unit_diagonal: bool
    characteristic: bool
    reference: str


_LEARNING_WITH_KERNELS = "Schoelkopf, Smola, Learning with Kernels, MIT Press 2002"
_GAUSSIAN_PROCESSES = "Rasmussen, Williams, Gaussian Processes for Machine Learning, MIT Press 2006, chapter 4"


def _radial(name: str, fn: Callable[..., jax.Array], reference: str, *more: str) -> KernelSpec:
    """A kernel that falls from 1 to 0 with the distance, and is characteristic."""
    return KernelSpec(name, fn, "features", ("bandwidth", *more), (0.0, 1.0), True, True, reference)


KERNELS = _tables.Table(
    "kernel",
    {
        spec.name: spec
        for spec in (
            _radial("rbf", kernels.rbf, _LEARNING_WITH_KERNELS),
            _radial("laplace", radial_kernels.laplace, "Sriperumbudur et al., JMLR 11, 2010, table 2"),
            _radial("rational_quadratic", radial_kernels.rational_quadratic, _GAUSSIAN_PROCESSES, "shape"),
            _radial("matern12", radial_kernels.matern12, _GAUSSIAN_PROCESSES),
            _radial("matern32", radial_kernels.matern32, _GAUSSIAN_PROCESSES),
            _radial("matern52", radial_kernels.matern52, _GAUSSIAN_PROCESSES),
            KernelSpec(
                name="distance_induced",
                fn=radial_kernels.distance_induced,
                inputs="features",
                parameters=("exponent",),
                range=(None, None),
                unit_diagonal=False,
                characteristic=True,
                reference="Sejdinovic, Sriperumbudur, Gretton, Fukumizu, Annals of Statistics 41, 2013, eq. 4.3",
            ),
            KernelSpec(
                name="linear",
                fn=kernels.linear,
                inputs="features",
                parameters=(),
                range=(None, None),
                unit_diagonal=False,
                characteristic=False,
                reference=_LEARNING_WITH_KERNELS,
            ),
            KernelSpec(
                name="polynomial",
                fn=kernels.polynomial,
                inputs="features",
                parameters=("degree", "offset", "bandwidth"),
                range=(None, None),
                unit_diagonal=False,
                characteristic=False,
                reference=_LEARNING_WITH_KERNELS,
            ),
            KernelSpec(
                name="cosine",
                fn=kernels.cosine,
                inputs="features",
                parameters=(),
                range=(-1.0, 1.0),
                unit_diagonal=True,
                characteristic=False,
                reference=_LEARNING_WITH_KERNELS,
            ),
            KernelSpec(
                name="delta",
                fn=kernels.delta,
                inputs="labels",
                parameters=(),
                range=(0.0, 1.0),
                unit_diagonal=True,
                characteristic=True,
                reference="Song et al., JMLR 13, 2012",
            ),
        )
    },
)
