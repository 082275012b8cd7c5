"""CLIP-IQA in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.metrics.learned import _clip_iqa


def test_clip_iqa_in_closed_form():
    embedding = jnp.asarray([3.0, 4.0, 0.0])
    prompts = jnp.asarray([[[10.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [[0.0, 0.0, 2.0], [0.0, 0.0, 2.0]]])
    first = 1 / (1 + np.exp(-10.0 * (0.6 - 0.8)))
    np.testing.assert_allclose(_clip_iqa.clip_iqa(embedding, prompts[:1], 10.0), first, rtol=1e-6)
    np.testing.assert_allclose(_clip_iqa.clip_iqa(embedding, prompts, 10.0), (first + 0.5) / 2, rtol=1e-6)
    assert np.isfinite(jax.grad(lambda e: _clip_iqa.clip_iqa(e, prompts, 100.0))(jnp.zeros(3))).all()
    for bad in (prompts[0], prompts[..., :2]):
        with pytest.raises(ValueError, match=r"expected \[d\] and \[pairs, 2, d\]"):
            _clip_iqa.clip_iqa(embedding, bad, 10.0)


def test_clip_iqa_of_callables():
    """An encoder of the mean colour, and prompts that stand for bright and dark."""
    asked = []

    def encode_text(texts):
        asked.extend(texts)
        return np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])

    score = _clip_iqa.scorer(lambda image: image.mean(axis=(0, 1)) - 0.5, encode_text, 5.0)
    assert asked == ["Good photo.", "Bad photo."]
    bright, dark = (float(jax.jit(score)(jnp.full((4, 5, 3), level))) for level in (0.8, 0.2))
    np.testing.assert_allclose([bright, dark], [1 / (1 + np.exp(-10.0)), 1 / (1 + np.exp(10.0))], rtol=1e-4)
    with pytest.raises(ValueError, match="one embedding for each of 2 texts"):
        _clip_iqa.scorer(lambda image: image[0, 0], lambda texts: np.zeros((1, 3)), 5.0)
