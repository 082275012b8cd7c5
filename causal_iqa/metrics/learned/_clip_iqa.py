"""CLIP-IQA: how much closer an image is to a good prompt than to its antonym, in any joint embedding."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks

# Reference [1], section 3.1 and table 1; "quality" is the paper's score of overall quality.
ANTONYMS = (
    ("quality", "Good photo.", "Bad photo."),
    ("sharpness", "Sharp photo.", "Blurry photo."),
    ("noisiness", "Clean photo.", "Noisy photo."),
    ("brightness", "Bright photo.", "Dark photo."),
    ("contrast", "High contrast photo.", "Low contrast photo."),
    ("colorfulness", "Colorful photo.", "Dull photo."),
)


def _unit(x: jax.Array) -> jax.Array:
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * jnp.where(square > 0, jax.lax.rsqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def clip_iqa(embedding: jax.Array, prompts: jax.Array, scale: jax.Array | float) -> jax.Array:
    """Softmax share of the good prompt against its antonym, averaged over pairs.

    s = exp(t cos(e, good)) / (exp(t cos(e, good)) + exp(t cos(e, bad))).

    Args:
      embedding: float32 [d], of the image, of any length.
      prompts: float32 [pairs, 2, d], embeddings of (good, bad), of any length.
      scale: t, the network's logit scale (about 100 for CLIP).

    Returns:
      Scalar in [0, 1]; higher is better. 0.5 when the image is as close to both.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] Wang, Chan, Loy, "Exploring CLIP for assessing the look and feel of images", AAAI 2023, eq. 2 and 3.

    Examples:
      >>> good, bad = np.float32([1, 0]), np.float32([0, 1])
      >>> image = np.float32([0.8, 0.6])  # nearer to the good prompt
      >>> print(f"{metrics.clip_iqa(image, np.stack([[good, bad]]), 10.0):.2f}")
      0.88
    """
    shape = jnp.shape(prompts)
    if len(jnp.shape(embedding)) != 1 or len(shape) != 3 or shape[1:] != (2, *jnp.shape(embedding)):
        raise ValueError(f"embedding, prompts: expected [d] and [pairs, 2, d], got {jnp.shape(embedding)} and {shape}")
    cosine = jnp.sum(_unit(prompts) * _unit(embedding).reshape(1, 1, -1), axis=-1)
    return jnp.mean(jax.nn.sigmoid(scale * (cosine[:, 0] - cosine[:, 1])))


def scorer(
    encode_image: Callable[[jax.Array], jax.Array],
    encode_text: Callable[[Sequence[str]], np.ndarray],
    scale: float,
    *,
    antonyms: Sequence[tuple[str, str, str]] = ANTONYMS[:1],
) -> Callable[[jax.Array], jax.Array]:
    """Makes the metric of a network with a joint embedding; the prompts are embedded once, here.

    Args:
      encode_image: float32 [H, W, 3] in [0, 1] -> [d]; resizing and normalisation are its own.
      encode_text: texts -> [n, d].
      scale: the network's logit scale.
      antonyms: (name, good, bad) prompts; several are averaged.

    Returns:
      image -> score, see `clip_iqa`.

    Raises:
      ValueError: without prompts, or when they are not embedded one row each.
    """
    texts = [text for _, *pair in antonyms for text in pair]
    rows = np.asarray(encode_text(texts), np.float32) if texts else np.zeros((0, 0), np.float32)
    if not texts or rows.ndim != 2 or len(rows) != len(texts):
        raise ValueError(f"antonyms: expected one embedding for each of {len(texts)} texts, got shape {rows.shape}")
    prompts = rows.reshape(len(antonyms), 2, -1)

    def score(image: jax.Array) -> jax.Array:
        _checks.check_image(image)
        return clip_iqa(encode_image(image), jnp.asarray(prompts), scale)

    return score
