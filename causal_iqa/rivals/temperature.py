"""What a score table keeps of the outputs of a network so that their temperature can be chosen afterwards."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

# Temperatures at which sums over all classes are kept, where the largest probabilities do not hold every class: a
# cubic spline over their logarithm is within .002 of the sum's logarithm from .5 to 8.
TEMPERATURES: tuple[float, ...] = tuple(float(t) for t in 2.0 ** (np.arange(-6, 15) / 4))


def log_power_sums(log_probabilities: jax.Array) -> jax.Array:
    """Logarithm of sum_k p_k^(1/T) at every one of TEMPERATURES: what normalises probabilities at temperature T.

    Args:
      log_probabilities: float [..., K] of all classes.

    Returns:
      [..., G] for the G temperatures; 0 at temperature 1.
    """
    return jnp.stack([special.logsumexp(log_probabilities / t, axis=-1) for t in TEMPERATURES], axis=-1)
