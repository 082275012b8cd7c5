"""Phase congruency of known images."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.metrics import phase_congruency
from tests.golden import metrics_similarity as cases
from tests.metrics import similarity_oracles as oracles


def test_phase_congruency_map():
    shape = (33, 50)
    plane = oracles.planes(cases.pair((65, 97), "noise")[0], oracles.YIQ)[0][: shape[0], : shape[1]]
    ours = jax.jit(phase_congruency.phase_congruency)(jnp.asarray(plane, jnp.float32))
    np.testing.assert_allclose(ours, oracles.phase_congruency(plane), atol=2e-5)
    assert ours.max() > 0.3


def test_noise_alone_has_little_phase_congruency():
    # The threshold is set so that noise mostly stays below it; a step edge stands far above.
    rng = np.random.default_rng(1)
    noise = jnp.asarray(128 + 10 * rng.standard_normal((64, 64)), jnp.float32)
    edge = noise.at[:, 32:].add(200.0)
    congruency = jax.jit(phase_congruency.phase_congruency)
    assert float(jnp.mean(congruency(noise))) < 0.15
    assert float(jnp.mean(congruency(edge)[:, 31:33])) > 0.5
