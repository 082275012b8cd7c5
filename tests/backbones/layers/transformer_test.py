"""Forms of convolution and attention that are fast on a CPU, against scipy, numpy and the direct forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from causal_iqa import backbones
from causal_iqa.backbones.layers import transformer


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_softmax_of_products(scale, masked):
    rng = np.random.default_rng(2)
    query, key, value = rng.normal(size=(3, 2, 5, 8))
    mask = np.tril(np.ones((5, 5), bool)) if masked else None
    split = [x.reshape(2, 5, 2, 4) for x in (scale * query, key, value)]
    scores = np.einsum("bqhd,bkhd->bhqk", *split[:2]) / 2.0
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = np.einsum("bhqk,bkhd->bqhd", weights / weights.sum(axis=-1, keepdims=True), split[2]).reshape(2, 5, 8)
    found = transformer.attend(*(jnp.float32(x) for x in (scale * query, key, value)), 2, mask)
    np.testing.assert_allclose(found, expected, atol=2e-6 if scale == 1.0 else 2e-3)


def test_gradient_of_attention_is_that_of_jax_softmax():
    rng = np.random.default_rng(3)
    query, key, value, weight = jnp.float32(rng.normal(size=(4, 1, 5, 4)))

    def plain(q, k, v):
        return jax.nn.softmax(jnp.matmul(q / 2.0, k.swapaxes(1, 2))) @ v

    ours, expected = (
        jax.jit(jax.grad(lambda *qkv, form=form: (form(*qkv) * weight).sum(), (0, 1, 2)))(query, key, value)
        for form in (lambda q, k, v: transformer.attend(q, k, v, 1, None), plain)
    )
    for found, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_gelu_is_its_definition():
    x = np.linspace(-9, 9, 181)
    np.testing.assert_allclose(transformer.gelu(jnp.float32(x)), x * scipy.stats.norm.cdf(x), atol=2e-6)


def test_the_class_token_alone_costs_less():
    tower = transformer.Vision(transformer.Encoder(32, 2, 2, 128), 8, 32, num_classes=3)
    module = transformer.VisionTower(tower, backbones.Preprocessing(32, 1.0, (0.5,) * 3, (0.5,) * 3, 32))
    images = jnp.zeros((2, 32, 32, 3))
    params = jax.eval_shape(module.init, jax.random.key(0), images)

    def operations(program):
        return jax.jit(program).lower(params, images).compile().cost_analysis()["flops"]

    whole = operations(module.apply)
    logits = operations(lambda p, x: module.apply(p, x)[0])
    assert logits < 0.8 * whole  # Of two blocks, the second without its perceptron for 16 of 17 tokens.
