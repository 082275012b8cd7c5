"""Random keys by the name of the procedure that draws, so that no two procedures share their draws."""

import hashlib

import jax


def named(seed: int | jax.Array, procedure: str) -> jax.Array:
    """Returns the key of one procedure.

    Args:
      seed: seed of the study, or a typed key that already belongs to one part of it.
      procedure: what draws, in words, e.g. "bootstrap of images". Another name is another, independent key.

    Returns:
      A typed PRNG key; the same for the same seed and name, whatever else was drawn.

    Raises:
      ValueError: for an empty name.

    Examples:
      >>> bool((named(0, "folds") == named(0, "folds")) & (named(0, "folds") != named(0, "bootstrap")))
      True
    """
    if not procedure:
        raise ValueError("procedure: expected a name, got an empty one")
    number = int.from_bytes(hashlib.blake2b(procedure.encode(), digest_size=4).digest(), "big")
    key = jax.random.key(seed) if isinstance(seed, int) else seed
    return jax.random.fold_in(key, number)
