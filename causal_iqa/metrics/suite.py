"""Several metrics of one image at once, their common maps computed once."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa.metrics import spec
from causal_iqa.metrics.table import TABLE

# What a study scores unless told otherwise: well known, cheap, and defined on small images; "all" is every row.
STANDARD = (
    "mse",
    "psnr",
    "ssim",
    "ssim_wang2004",
    "vifp",
    "gmsd",
    "mdsi",
    "haarpsi",
    "nlpd",
    "variance_of_laplacian",
    "total_variation",
    "entropy",
    "rms_contrast",
    "noise_sigma",
    "tenengrad",
    "colourfulness",
    "piqe",
)


def suite_names(*, suite: str = "classical", side: int | None = None, with_reference: bool = True) -> tuple[str, ...]:
    """Names of the metrics of a suite, in the order of the table.

    Args:
      suite: "classical" or "learned".
      side: shorter side of the images in pixels; where given, metrics undefined there are left out.
      with_reference: whether the full-reference metrics are meant too.

    Returns:
      The names.

    Raises:
      InputError: when the suite is unknown.

    Examples:
      >>> len(metrics.suite_names()) > 20
      True
    """
    _checks.check_choice(suite, spec.SUITES, "suite")
    return tuple(
        name
        for name, row in TABLE.items()
        if row.suite == suite
        and (side is None or side >= row.smallest_side)
        and (with_reference or not row.needs_reference)
    )


def evaluate_all(names: Iterable[str], reference: jax.Array | None, image: jax.Array) -> dict[str, jax.Array]:
    """Scores one image by several metrics.

    Under `jax.jit` the parts that metrics share are computed once: luma, gradients, the phase congruency of fsim and
    fsimc, the pyramids. XLA merges them, as equal maps come from equal calls; without jit nothing is shared.

    On a CPU, `jax.lax.map` this over a batch rather than `jax.vmap` it: the maps of one image stay in the cache, which
    more than halves the time of the FFT-based metrics. On a GPU, `jax.vmap`.

    Args:
      names: rows of `metrics.TABLE`; static.
      reference: float32 [H, W, 3] in [0, 1], the pristine image, or None.
      image: float32 [H, W, 3] in [0, 1], the image to judge.

    Returns:
      name: scalar score, in the order of `names`; `TABLE[name].higher_is_better` gives the direction. NaN where the
      metric is undefined: below its smallest side, without the reference it needs, or as its spec says.

    Raises:
      InputError: when a name is unknown.
      ValueError: when shapes differ or are not [H, W, 3].

    Examples:
      >>> image = np.full((32, 32, 3), 0.5, np.float32)
      >>> sorted(metrics.evaluate_all(["mse", "psnr"], image, image))
      ['mse', 'psnr']
    """
    rows = {name: _checks.lookup(TABLE, name, "metric") for name in names}
    _checks.check_image(image)
    if reference is not None:
        _checks.check_image(reference, "reference")
        _checks.check_same_shape(reference, image, "reference, image")
    scores = {}
    for name, row in rows.items():
        defined = min(image.shape[:2]) >= row.smallest_side and (reference is not None or not row.needs_reference)
        scores[name] = spec.evaluate(row, reference, image) if defined else jnp.asarray(jnp.nan, image.dtype)
    return scores
