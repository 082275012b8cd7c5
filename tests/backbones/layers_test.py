"""Forms of convolution and attention that are fast on a CPU, against scipy, numpy and the direct forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from causal_iqa import backbones
from causal_iqa.backbones import compilation
from causal_iqa.backbones.layers import convolutions, transformer, winograd


def correlated(x: np.ndarray, kernel: np.ndarray, shape: convolutions.Shape) -> np.ndarray:
    """The definition, channel by channel in float64, by scipy."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (shape.pad,) * 2, (shape.pad,) * 2, (0, 0)))
    maps = [
        [
            sum(scipy.signal.correlate2d(image[..., c], kernel[..., c, o], "valid") for c in range(shape.before))
            for o in range(shape.after)
        ]
        for image in padded
    ]
    return np.moveaxis(np.asarray(maps), 1, -1)[:, :: shape.stride, :: shape.stride]


@pytest.mark.parametrize(
    ("shape", "side", "columns"),
    [
        (convolutions.Shape(3, 16), (5, 8), 4),
        (convolutions.Shape(3, 16, 3, 2), (7, 15), 4),
        (convolutions.Shape(3, 32, 3, 2), (8, 12), 2),
        (convolutions.Shape(16, 16), (4, 6), 2),
        (convolutions.Shape(16, 16), (4, 7), 1),
        (convolutions.Shape(3, 64, 7, 2), (9, 8), 1),
        (convolutions.Shape(4, 512), (3, 4), 1),
        (convolutions.Shape(4, 512, 3, 2), (5, 4), 1),
    ],
)  # fmt: skip
def test_narrow_and_wide_convolutions_are_the_definition(shape, side, columns):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *side, shape.before)).astype(np.float32)
    kernel = rng.normal(size=(shape.size, shape.size, shape.before, shape.after)).astype(np.float32)
    width = (side[1] + 2 * shape.pad - shape.size) // shape.stride + 1
    assert convolutions._columns_at_once(shape, width) == columns
    expected = correlated(x, kernel, shape)
    found = jax.jit(functools.partial(convolutions.convolve, shape=shape))(x, kernel)
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


def test_where_winograds_form_pays():
    pays = [
        convolutions._minimal(convolutions.Shape(32, 64, *more), rows)
        for more, rows in (((), 8), ((3, 2), 8), ((), 14), ((), 4))
    ]
    assert pays == [True, False, False, False]
    assert not convolutions._minimal(convolutions.Shape(16, 32), 8)


@pytest.mark.parametrize(("pad", "side"), [(1, (8, 5)), (0, (6, 7)), (1, (7, 4))])
def test_winograds_form_is_the_definition(pad, side):
    shape = convolutions.Shape(6, 4, padding=pad)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, *side, 6)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 6, 4)).astype(np.float32)
    expected = correlated(x, kernel, shape)
    found = jax.jit(functools.partial(winograd.convolve, pad=pad))(x, kernel)
    np.testing.assert_allclose(found, expected, atol=5e-6 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [convolutions.Shape(16, 16), convolutions.Shape(4, 512), convolutions.Shape(32, 32)])
def test_their_gradients_are_those_of_the_direct_form(shape):
    rng = np.random.default_rng(1)
    x = jnp.float32(rng.normal(size=(2, 8, 6, shape.before)))
    kernel = jnp.float32(rng.normal(size=(3, 3, shape.before, shape.after)))
    weight = jnp.float32(rng.normal(size=(2, 8, 6, shape.after)))
    both = [
        jax.jit(jax.grad(lambda a, b, form=form: (form(a, b, shape) * weight).sum(), (0, 1)))(x, kernel)
        for form in (convolutions.convolve, convolutions._convolve_directly)
    ]
    for found, expected in zip(*both, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


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


def test_compiler_options_are_those_this_xla_takes(monkeypatch):
    assert backbones.compiler_options("tpu") == {}
    options = backbones.compiler_options("cpu")
    assert jax.jit(lambda x: x + 1, compiler_options=options)(1) == 2
    alone = backbones.compiler_options("cpu", num_devices=max(2, compilation.cores()))
    assert alone == {**options, "xla_cpu_multi_thread_eigen": False}
    assert jax.jit(lambda x: x + 2, compiler_options=alone)(1) == 3
    assert backbones.compiler_options("tpu", num_devices=64) == {}
    unknown, known = {"xla_no_such_option": "1"}, {"xla_cpu_experimental_ynn_fusion_type": ""}
    compilation._chosen.cache_clear()
    monkeypatch.setattr(compilation, "_CANDIDATES", {"cpu": (unknown, known)})
    assert backbones.compiler_options("cpu") == known
    compilation._chosen.cache_clear()
    monkeypatch.setattr(compilation, "_CANDIDATES", {"cpu": (unknown,)})
    assert backbones.compiler_options("cpu") == {}
    compilation._chosen.cache_clear()  # Of the patched table.


def test_only_a_refused_option_counts_as_refused(monkeypatch):
    def broken(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(compilation.jax, "jit", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        compilation._compiles({}, "cpu")
