"""A boundary of fusion changes no value, no derivative and no batch."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _xla


def test_values_derivatives_and_batches_pass_through():
    tree = {"a": jnp.arange(3.0), "b": (jnp.float32(2.0),)}
    for function in (_xla.settle, jax.jit(_xla.settle)):
        jax.tree.map(np.testing.assert_array_equal, function(tree), tree)
    x = jnp.linspace(0.1, 1.0, 4)
    np.testing.assert_allclose(jax.grad(lambda x: (_xla.settle(x) ** 2).sum())(x), 2 * x)
    np.testing.assert_array_equal(jax.vmap(lambda x: _xla.settle(x) + 1)(x), x + 1)


def test_the_compiler_keeps_the_call():
    compiled = jax.jit(lambda x: _xla.settle(jnp.sin(x)) + 1).lower(jnp.zeros(4)).compile()
    assert 'inlineable="false"' in str(compiled.as_text())
