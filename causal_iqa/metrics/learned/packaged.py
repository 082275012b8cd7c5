"""NIQE with the model of pristine photographs that comes with the library."""

import functools
import importlib.resources

import jax

from causal_iqa.backbones.weights import array_files
from causal_iqa.metrics import _niqe, _pixels, spec

_PACKAGED = "niqe_imagenet_sample"
_REFERENCE = "Mittal, Soundararajan, Bovik, IEEE Signal Processing Letters 20(3), 2013"


def read_npz(content: bytes) -> _niqe.PristineModel:
    """Reads a model from an .npz file, by this library's names or those of the original MATLAB workspace.

    Args:
      content: the file's bytes; arrays `mean` and `covariance`, or `mu_prisparam` and `cov_prisparam` in any spelling
        that starts with "mu" and "cov".

    Returns:
      The model.

    Raises:
      ValueError: when the arrays are missing or misshapen (InputError), or the file is damaged.
    """
    return _niqe.from_arrays(array_files.load_npz(content, "pristine model"))


@functools.lru_cache(maxsize=1)
def packaged_model() -> _niqe.PristineModel:
    """Returns the model that comes with the library, fitted on sharp blocks of an ImageNet sample."""
    file = importlib.resources.files("causal_iqa.metrics") / "parameters" / f"{_PACKAGED}.npz"
    return read_npz(file.read_bytes())


def niqe_imagenet_sample(image: jax.Array) -> jax.Array:
    """NIQE with the model that comes with the library: `_niqe.niqe(image, packaged_model())`.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 96.

    Returns:
      Scalar, not negative; lower is better. NaN when every block is flat.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 96 pixels.

    References:
      [1] Mittal, Soundararajan, Bovik, "Making a completely blind image quality analyzer", IEEE SPL 2013.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.niqe_imagenet_sample, image).shape  # traced, not run
      ()
    """
    _pixels.check_single(image, _niqe.BLOCK, _PACKAGED)
    return _niqe.niqe(image, packaged_model())


SPECS = (
    spec.MetricSpec(
        name=_PACKAGED,
        fn=niqe_imagenet_sample,
        family="no_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=_niqe.BLOCK,
        differentiable=True,
        convention=(
            "luma as MATLAB's rgb2gray, cut at the right and bottom to multiples of 96, all blocks; flat windows are "
            "zeros; pristine model of this library: 2458 sharp blocks of 609 ImageNet validation photographs"
        ),
        reference=_REFERENCE,
        worse_with=("blur", "noise"),
        data_range="0-255 rounded",
        window="7x7 Gaussian, sigma 7/6",
        border="edge",
        downsampling="features at full and at half size (antialiased bicubic)",
        undefined="every block of 96 pixels is flat or has values of one sign only",
        suite="learned",
    ),
)
