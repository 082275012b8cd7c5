"""Traces of coding: steps at the borders of blocks, and runs of equal pixels.

References:
  [1] Fan, de Queiroz. Identification of bitmap compression history. IEEE TIP 2003 (blocking by phase).
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.diagnosis import _maps

_BLOCK = 8
_LONGEST_RUN = 6


def coding(luma: jax.Array, image: jax.Array) -> _maps.Named:
    """Steps at every eighth row and column [1]; runs of equal pixels."""
    runs, zero = [], []
    for x in (luma, luma.T):
        step = jnp.abs(x[:, 1:] - x[:, :-1])
        jump = jnp.maximum(step[:, 1:-1] - 0.5 * (step[:, :-2] + step[:, 2:]), 0.0).mean(0)
        count = len(jump) // _BLOCK * _BLOCK
        zero.append(jump[:count].reshape(-1, _BLOCK).mean(0))
    planes = jnp.moveaxis(image, -1, 0)
    same = jnp.all(jnp.abs(planes[:, :, 1:] - planes[:, :, :-1]) < 0.5 * _maps.STEP, axis=0)
    also = jnp.all(jnp.abs(planes[:, 1:] - planes[:, :-1]) < 0.5 * _maps.STEP, axis=0).T
    for x in (same, also):
        x = x.astype(jnp.float32)
        beyond = jnp.pad(x, ((0, 0), (0, _LONGEST_RUN)))

        def longer(run: jax.Array, length: jax.Array, beyond: jax.Array = beyond) -> tuple[jax.Array, jax.Array]:
            following = jax.lax.dynamic_slice(beyond, (0, length), run.shape)
            return run * following, _maps.sum_of(run)

        # No run continues past the edge, so that the sums are those of the runs that fit.
        sums = jax.lax.scan(longer, x, jnp.arange(1, _LONGEST_RUN + 1))[1]
        runs.append(sums / np.asarray([x.shape[0] * (x.shape[1] - k) for k in range(_LONGEST_RUN)], np.float32))
    phases = jnp.log(sum(zero) + 0.05 * _maps.STEP)
    phases = phases - phases.mean()
    shares = jnp.log(jnp.concatenate(runs) + 1e-4)
    return {
        "phases": phases,
        "blocking": jnp.stack([phases.max(), -phases.min(), phases.std()]),
        "runs": shares,
        "shorter runs": shares[:-1] - shares[1:],
    }
