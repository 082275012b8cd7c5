"""Networks made of a network: in another precision, or without its weights."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from causal_iqa import _checks
from causal_iqa.backbones import numerics
from causal_iqa.backbones.networks import OWN_PRECISION, Applier, Network, Params


def without_weights(network: Network) -> Network:
    """Returns a network that holds the shapes of its parameters alone.

    A program that is given the parameters, and is defined by this network, is one program for all weights.

    Args:
      network: a network.

    Returns:
      The network; its parameters are `jax.ShapeDtypeStruct`, and no hash of weights names it.

    Examples:
      >>> network = backbones.without_weights(backbones.open_network("scene_cnn_a"))
      >>> jax.tree.leaves(network.params)[0].dtype.name
      'float32'
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), network.params)
    return dataclasses.replace(network, params=shapes, weights_sha256="")


def with_precision(network: Network, precision: str) -> Network:
    """Returns a network that computes its layers in another precision; its outputs are float32 all the same.

    Args:
      network: a network with float32 parameters.
      precision: one of `numerics.PRECISIONS`. A function of the user's in JAX takes "bfloat16" as parameters and images
        of that type, and has its own precision of products otherwise.

    Returns:
      The network; the unchanged one where it runs outside JAX.

    Raises:
      InputError: for another precision.

    Examples:
      >>> from causal_iqa import backbones
      >>> network = backbones.load_packaged("scene_cnn_a")
      >>> rough = backbones.with_precision(network, "bfloat16")
      >>> logits, _ = rough.apply(rough.params, jnp.full((48, 48, 3), 0.5))
      >>> logits.dtype.name, rough.passport()["precision"]
      ('float32', 'bfloat16')
    """
    _checks.check_choice(precision, numerics.PRECISIONS, "precision")
    if network.precision in (precision, OWN_PRECISION):
        return network
    text = network.text
    if text is not None:
        text = dataclasses.replace(text, apply=_in_precision(text.apply, precision))
    if isinstance(network.apply, Applier):
        apply: Any = dataclasses.replace(network.apply, precision=precision)
    else:
        apply = _in_precision(network.apply, precision)
    return dataclasses.replace(
        network, apply=apply, params=numerics.rounded(network.params, precision), text=text, precision=precision
    )


def _in_precision(function: Callable[..., Any], precision: str) -> Callable[..., Any]:
    """A function of (params, input) whose layers compute in a precision."""

    def run(params: Params, given: jax.Array) -> Any:
        with numerics.using(precision):
            return numerics.widened(function(params, numerics.rounded(given, precision)))

    return run
