"""What training minimises: cross-entropy on labels, or self-supervised losses that read no label.

References:
  [1] Bardes, Ponce, LeCun. VICReg: variance-invariance-covariance regularization for self-supervised learning.
      ICLR 2022.
  [2] Chen, Kornblith, Norouzi, Hinton. A simple framework for contrastive learning of visual representations.
      ICML 2020 (SimCLR).
  [3] Gidaris, Singh, Komodakis. Unsupervised representation learning by predicting image rotations. ICLR 2018.
  [4] Szegedy, Vanhoucke, Ioffe, Shlens, Wojna. Rethinking the Inception architecture for computer vision. CVPR 2016.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping

import dm_pix
import jax
import jax.numpy as jnp
import optax

# VICReg's weights ([1], section 4.2) and SimCLR's temperature ([2], table 5).
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0
_TEMPERATURE = 0.5
_EMBEDDING = 128
_QUARTER_TURNS = 4


def cross_entropy(outputs: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Mean cross-entropy of logits and labels.

    Args:
      outputs: logits [n, 1, c].
      labels: int [n].
      smoothing: share of the wanted distribution that is spread evenly over the classes [4], in [0, 1).

    Returns:
      Scalar, lower is better.
    """
    logits = outputs[:, 0]
    if smoothing:
        wanted = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)
        return optax.softmax_cross_entropy(logits, wanted).mean()
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def vicreg(first: jax.Array, second: jax.Array) -> jax.Array:
    """VICReg loss: views agree, every dimension varies, dimensions are uncorrelated.

    Args:
      first: embeddings of one view [n, e].
      second: embeddings of the other view of the same objects [n, e].

    Returns:
      Scalar, lower is better.

    References:
      [1] equations 1 to 6.
    """
    loss = _INVARIANCE * ((first - second) ** 2).mean()
    for z in (first, second):
        centred = z - z.mean(axis=0, keepdims=True)
        variance = (centred**2).sum(axis=0) / (z.shape[0] - 1)
        loss += _VARIANCE * jnp.maximum(0.0, 1.0 - jnp.sqrt(variance + 1e-4)).mean() / 2
        covariance = centred.T @ centred / (z.shape[0] - 1)
        off_diagonal = covariance * (1 - jnp.eye(z.shape[1]))
        loss += _COVARIANCE * (off_diagonal**2).sum() / z.shape[1]
    return loss


def nt_xent(first: jax.Array, second: jax.Array, temperature: float = _TEMPERATURE) -> jax.Array:
    """SimCLR's loss: each view must find its partner among all other views by cosine.

    Args:
      first: embeddings of one view [n, e].
      second: embeddings of the other view of the same images [n, e].
      temperature: divides the cosines.

    Returns:
      Scalar, lower is better; log(2 n - 1) when embeddings say nothing.

    References:
      [2] equation 1.
    """
    z = jnp.concatenate([first, second])
    z = z / jnp.sqrt((z * z).sum(axis=1, keepdims=True) + 1e-12)
    count = len(first)
    cosines = jnp.where(jnp.eye(2 * count, dtype=bool), -jnp.inf, z @ z.T / temperature)
    partner = (jnp.arange(2 * count) + count) % (2 * count)
    return optax.softmax_cross_entropy_with_integer_labels(cosines, partner).mean()


def turn(image: jax.Array, quarters: jax.Array) -> jax.Array:
    """Turns a square image [S, S, 3] by a traced number of quarter turns."""
    return jax.lax.switch(quarters, [lambda x, k=k: jnp.rot90(x, k) for k in range(_QUARTER_TURNS)], image)


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a run minimises.

    Attributes:
      loss: (outputs [n, views, e], labels [n]) -> scalar.
      views: how many an image gives: 1, or 2 that are compared.
      renders: whether the two views are renderings of one object, which only scenes make; otherwise augmentations.
      turns: whether every image is turned by a random number of quarters, which is its label.
      augments: whether views differ by strong augmentation instead of a small crop.
      num_outputs: number of outputs of the network, None: the number of classes.
      score: name of the number that evaluation gives, higher is better.
    """

    loss: Callable[[jax.Array, jax.Array], jax.Array]
    views: int
    score: str
    renders: bool = False
    turns: bool = False
    augments: bool = False
    num_outputs: int | None = None


def _two(loss: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    return lambda outputs, labels: loss(outputs[:, 0], outputs[:, 1])


OBJECTIVES: Mapping[str, Objective] = types.MappingProxyType(
    {
        "label": Objective(cross_entropy, 1, "accuracy"),
        "views": Objective(_two(vicreg), 2, "view_retrieval", renders=True, num_outputs=_EMBEDDING),
        "vicreg": Objective(_two(vicreg), 2, "view_retrieval", augments=True, num_outputs=_EMBEDDING),
        "simclr": Objective(_two(nt_xent), 2, "view_retrieval", augments=True, num_outputs=_EMBEDDING),
        "rotation": Objective(cross_entropy, 1, "rotation_accuracy", turns=True, num_outputs=_QUARTER_TURNS),
    }
)


def random_crop(key: jax.Array, image: jax.Array, padding: int, *, flip: bool = False) -> jax.Array:
    """A random crop of the image reflected by `padding`, and a small change of gain.

    No damage is added, so that robustness comes from the data alone.

    Args:
      key: random key.
      image: float32 [S, S, 3] in [0, 1].
      padding: pixels that are reflected on every side.
      flip: whether the crop is mirrored with probability one half.

    Returns:
      float32 [S, S, 3] in [0, 1].
    """
    crop_key, gain_key = jax.random.split(key)
    padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    cropped = dm_pix.random_crop(crop_key, padded, image.shape)
    if flip:
        cropped = dm_pix.random_flip_left_right(jax.random.fold_in(key, 2), cropped)
    return jnp.clip(cropped * jax.random.uniform(gain_key, minval=0.9, maxval=1.1), 0.0, 1.0)


def random_view(key: jax.Array, image: jax.Array) -> jax.Array:
    """A strong augmentation: resized crop, flip, gain, contrast and saturation, sometimes grey.

    As in [2], appendix A, at half its strength of colour and without blur: blur and noise are conditions to be judged.

    Args:
      key: random key.
      image: float32 [S, S, 3] in [0, 1].

    Returns:
      float32 [S, S, 3] in [0, 1].
    """
    keys = jax.random.split(key, 7)
    height, width, _ = image.shape
    area = jax.random.uniform(keys[0], minval=0.25, maxval=1.0)
    ratio = jnp.exp(jax.random.uniform(keys[1], minval=-jnp.log(4 / 3), maxval=jnp.log(4 / 3)))
    size = jnp.minimum(jnp.sqrt(area * jnp.stack([ratio, 1 / ratio])), 1.0)
    corner = jax.random.uniform(keys[2], (2,)) * (1.0 - size)
    scale = 1.0 / size
    shift = -corner * jnp.asarray([height, width]) * scale
    image = jax.image.scale_and_translate(image, image.shape, (0, 1), scale, shift, "linear", antialias=False)
    image = jnp.asarray(dm_pix.random_flip_left_right(keys[3], image))
    gain, contrast, saturation = jax.random.uniform(keys[4], (3,), minval=0.6, maxval=1.4)
    image = image * gain
    image = (image - image.mean()) * contrast + image.mean()
    grey = image.mean(axis=2, keepdims=True)
    saturation = jnp.where(jax.random.bernoulli(keys[5], 0.2), 0.0, saturation)
    return jnp.clip(grey + (image - grey) * saturation, 0.0, 1.0)
