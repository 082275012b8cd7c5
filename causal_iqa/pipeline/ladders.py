"""Conditions of one structure as one function: a ladder of severities of every image."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import degradations
from causal_iqa.degradations import Condition


def by_structure(conditions: Sequence[Condition]) -> dict[Condition, list[int]]:
    """Gathers conditions that differ in severity only.

    Args:
      conditions: C of them.

    Returns:
      Structure -> places of its conditions.
    """
    places: dict[Condition, list[int]] = {}
    for place, condition in enumerate(conditions):
        places.setdefault(condition.structure, []).append(place)
    return places


def degrading(structure: Condition, conditions: Sequence[Condition]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Makes the function that degrades a batch under all conditions of a structure.

    Args:
      structure: structure of the conditions.
      conditions: K of them.

    Returns:
      A function of the data of keys uint32 [B, 2] and clean images [B, S, S, 3] -> [K, B, S, S, 3].
    """
    if structure == Condition():
        return functools.partial(_repeated, len(conditions))
    severities = np.asarray([condition.severities for condition in conditions], np.float32)
    return functools.partial(_ladder, structure, severities)


def _repeated(count: int, keys: jax.Array, clean: jax.Array) -> jax.Array:
    return jnp.broadcast_to(clean, (count, *clean.shape))


def _ladder(structure: Condition, severities: np.ndarray, keys: jax.Array, clean: jax.Array) -> jax.Array:
    graded = degradations.do_graded(structure)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        # One key for all severities: the same photons and the same fog, only more of it. The ladder is then a set of
        # counterfactuals of one image, and all parts that do not depend on severity are computed once.
        return jax.vmap(functools.partial(graded, jax.random.wrap_key_data(key), image))(severities)

    return jnp.moveaxis(jax.vmap(one)(keys, clean), 1, 0)


def degrade_all(conditions: Sequence[Condition], keys: jax.Array, clean: jax.Array) -> jax.Array:
    """Degrades a batch under all conditions.

    Args:
      conditions: C of them.
      keys: [B] of the images.
      clean: [B, S, S, 3] in [0, 1].

    Returns:
      [C, B, S, S, 3], in the order of `conditions`.
    """
    places = by_structure(conditions)
    data = jax.random.key_data(keys)
    parts = [degrading(one, [conditions[i] for i in members])(data, clean) for one, members in places.items()]
    return jnp.concatenate(parts)[np.argsort(np.concatenate(list(places.values())))]
