"""Mechanisms of a structural causal model: how a variable comes about from its parents and from chance."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations.ladder import MAX_SEVERITY

# Nodes of every graph: scene, label, image, performance.
_NODES = ("S", "Y", "X", "M")


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable with its mechanism.

    Attributes:
      name: letters, digits and underscores.
      parents: names of variables or given factors, its direct causes.
      fn: `fn(key, *parents) -> value` for one image; pure, traced. It uses the key for its own noise, or not at all.
    """

    name: str
    parents: tuple[str, ...]
    fn: Callable[..., jax.Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parents", tuple(self.parents))
        if not self.name.replace("_", "a").isalnum() or self.name in _NODES:
            shown = ", ".join(_NODES)
            raise _checks.InputError(f"variable {self.name!r}: expected letters, digits and _, and none of {shown}")


def linear(
    name: str,
    parents: Mapping[str, float],
    *,
    intercept: float = 0.0,
    noise: float = 0.0,
    low: float = -np.inf,
    high: float = np.inf,
) -> Variable:
    """A linear mechanism, clip(intercept + sum_i w_i parent_i + noise z, low, high), z standard normal.

    Args:
      name: name of the variable.
      parents: name -> weight of scalar parents.
      intercept: its value where all parents are 0.
      noise: standard deviation.
      low: least value.
      high: largest value.

    Returns:
      The variable.
    """

    def fn(key: jax.Array, *values: jax.Array) -> jax.Array:
        return jnp.clip(_score(intercept, parents, values) + noise * jax.random.normal(key), low, high)

    return Variable(name, tuple(parents), fn)


def squashed(
    name: str,
    parents: Mapping[str, float],
    *,
    intercept: float = 0.0,
    noise: float = 0.0,
    low: float = 0.0,
    high: float = float(MAX_SEVERITY),
) -> Variable:
    """A linear mechanism through a sigmoid, low + (high - low) sigmoid(...): every severity is possible everywhere.

    Args:
      name: name of the variable.
      parents: name -> weight of scalar parents.
      intercept: intercept of the linear part.
      noise: standard deviation of the normal noise of the linear part.
      low: limit below.
      high: limit above.

    Returns:
      The variable.
    """

    def fn(key: jax.Array, *values: jax.Array) -> jax.Array:
        return low + (high - low) * jax.nn.sigmoid(_score(intercept, parents, values) + noise * jax.random.normal(key))

    return Variable(name, tuple(parents), fn)


def logistic(name: str, parents: Mapping[str, float], *, intercept: float = 0.0) -> Variable:
    """A binary variable, 1 with probability sigmoid(intercept + sum_i w_i parent_i).

    Args:
      name: name of the variable.
      parents: name -> weight of scalar parents.
      intercept: log odds where all parents are 0.

    Returns:
      The variable, int32.
    """

    def fn(key: jax.Array, *values: jax.Array) -> jax.Array:
        probability = jax.nn.sigmoid(_score(intercept, parents, values))
        return (jax.random.uniform(key) < probability).astype(jnp.int32)

    return Variable(name, tuple(parents), fn)


def categorical(name: str, parents: Mapping[str, Sequence[float]], *, intercepts: Sequence[float]) -> Variable:
    """A choice among k, with probabilities softmax(intercepts + sum_i w_i parent_i).

    Args:
      name: name of the variable.
      parents: name -> k weights of scalar parents.
      intercepts: k logits where all parents are 0.

    Returns:
      The variable, int32 in [0, k).

    Raises:
      InputError: when the lengths differ.
    """
    for parent, weights in parents.items():
        if len(weights) != len(intercepts):
            raise _checks.InputError(f"parents: expected {len(intercepts)} weights of {parent}, got {len(weights)}")

    def fn(key: jax.Array, *values: jax.Array) -> jax.Array:
        logits = jnp.asarray(intercepts, jnp.float32)
        for weights, value in zip(parents.values(), values, strict=True):
            logits = logits + jnp.asarray(weights, jnp.float32) * value
        return jax.random.categorical(key, logits).astype(jnp.int32)

    return Variable(name, tuple(parents), fn)


def uniform(name: str, *, low: float, high: float) -> Variable:
    """An exogenous variable, uniform in [low, high): with `do`, a randomised trial."""
    return Variable(name, (), lambda key: jax.random.uniform(key, minval=low, maxval=high))


def _score(intercept: float, parents: Mapping[str, float], values: Sequence[jax.Array]) -> jax.Array:
    return sum((weight * value for weight, value in zip(parents.values(), values, strict=True)), jnp.float32(intercept))
