"""A judged network's outputs for one image: what is kept of them, and how stable they are over changed views of it."""

from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import backbones, rivals

# Most probable classes kept of every image.
KEPT_CLASSES = 32
# Of the views: largest shift as a fraction of the side, and the deviation of the noise, two grey levels of 255.
_SHIFT, _NOISE = 1 / 16, 2 / 255


def performance(network: backbones.Network, params: Any, image: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
    """Judges one image.

    Args:
      network: the network that is judged.
      params: its parameters.
      image: [S, S, 3] in [0, 1], of any side.
      label: scalar int.

    Returns:
      "correct", "p_true", "confidence", "prediction", "entropy" (nats), "margin" (of the two largest probabilities) and
      "energy" (log-sum-exp of the logits), scalars; the KEPT_CLASSES largest "probabilities" float16 and their
      "classes" uint16.
    """
    logits, _ = network.apply(params, backbones.geometry(network.preprocessing, image))
    probabilities = jax.nn.softmax(logits)
    likely, classes = jax.lax.top_k(probabilities, min(KEPT_CLASSES, network.num_classes))
    prediction = jnp.argmax(logits)
    return {
        "correct": prediction == label,
        "p_true": probabilities[label],
        "confidence": likely[0],
        "prediction": prediction,
        "entropy": jax.scipy.special.entr(probabilities).sum(),
        "margin": likely[0] - likely[1],
        "energy": jax.nn.logsumexp(logits),
        "probabilities": likely.astype(jnp.float16),
        "classes": classes.astype(jnp.uint16),
    }


def changed_view(key: jax.Array, image: jax.Array, number: jax.Array) -> jax.Array:
    """One slightly changed view: every second one mirrored, shifted by up to a sixteenth of the side, slight noise.

    Args:
      key: random key of this view.
      image: [S, S, 3] in [0, 1], at the network's input size.
      number: of the view; odd ones are mirrored.

    Returns:
      [S, S, 3] in [0, 1]; what a shift uncovers is the image reflected at its border.
    """
    key_shift, key_noise = jax.random.split(key)
    reach = max(1, round(_SHIFT * min(image.shape[:2])))
    mirrored = jnp.where(number % 2 == 1, image[:, ::-1], image)
    padded = jnp.pad(mirrored, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    row, column = jax.random.randint(key_shift, (2,), 0, 2 * reach + 1)
    shifted = jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)
    return jnp.clip(shifted + _NOISE * jax.random.normal(key_noise, image.shape), 0.0, 1.0)


def stability(
    key: jax.Array, network: backbones.Network, params: Any, image: jax.Array, *, num_views: int
) -> dict[str, jax.Array]:
    """Runs the network on views of one image, one after the other.

    Args:
      key: random key of the views.
      network: the network that is judged.
      params: its parameters.
      image: [S, S, 3] in [0, 1], of any side.
      num_views: passes, static int, at least 2.

    Returns:
      "prediction_agreement", "prediction_information" and "ser_fiq" of `rivals.TABLE`, scalars, higher is better.
    """
    seen = backbones.geometry(network.preprocessing, image)

    def one(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, features = network.apply(params, changed_view(jax.random.fold_in(key, number), seen, number))
        return logits, features[backbones.PENULTIMATE]

    # One view at a time: a block's activations stay what they are without this.
    logits, embeddings = jax.lax.map(one, jnp.arange(num_views))
    return {
        "prediction_agreement": rivals.prediction_agreement(logits),
        "prediction_information": rivals.prediction_information(logits),
        "ser_fiq": rivals.ser_fiq(embeddings),
    }
