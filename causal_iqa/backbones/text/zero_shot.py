"""Class names as anchors: prompts, their embeddings, and the classifier they make of a network with a text tower.

References:
  [1] Radford et al. Learning transferable visual models from natural language supervision. ICML 2021, section 3.1.4;
      the 80 templates and the seven that do nearly as well are those of the authors' prompt engineering notebook.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import Params
from causal_iqa.backbones import compilation, networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.text import tokenizers

_IMAGENET = """
a bad photo of a {}.|a photo of many {}.|a sculpture of a {}.|a photo of the hard to see {}.
a low resolution photo of the {}.|a rendering of a {}.|graffiti of a {}.|a bad photo of the {}.
a cropped photo of the {}.|a tattoo of a {}.|the embroidered {}.|a photo of a hard to see {}.
a bright photo of a {}.|a photo of a clean {}.|a photo of a dirty {}.|a dark photo of the {}.|a drawing of a {}.
a photo of my {}.|the plastic {}.|a photo of the cool {}.|a close-up photo of a {}.
a black and white photo of the {}.|a painting of the {}.|a painting of a {}.|a pixelated photo of the {}.
a sculpture of the {}.|a bright photo of the {}.|a cropped photo of a {}.|a plastic {}.|a photo of the dirty {}.
a jpeg corrupted photo of a {}.|a blurry photo of the {}.|a photo of the {}.|a good photo of the {}.
a rendering of the {}.|a {} in a video game.|a photo of one {}.|a doodle of a {}.|a close-up photo of the {}.
a photo of a {}.|the origami {}.|the {} in a video game.|a sketch of a {}.|a doodle of the {}.|a origami {}.
a low resolution photo of a {}.|the toy {}.|a rendition of the {}.|a photo of the clean {}.
a photo of a large {}.|a rendition of a {}.|a photo of a nice {}.|a photo of a weird {}.|a blurry photo of a {}.
a cartoon {}.|art of a {}.|a sketch of the {}.|a embroidered {}.|a pixelated photo of a {}.|itap of the {}.
a jpeg corrupted photo of the {}.|a good photo of a {}.|a plushie {}.|a photo of the nice {}.
a photo of the small {}.|a photo of the weird {}.|the cartoon {}.|art of the {}.|a drawing of the {}.
a photo of the large {}.|a black and white photo of a {}.|the plushie {}.|a dark photo of a {}.|itap of a {}.
graffiti of the {}.|a toy {}.|itap of my {}.|a photo of a cool {}.|a photo of a small {}.|a tattoo of the {}.
"""

# Name -> templates, {} for the class name.
TEMPLATES: Mapping[str, tuple[str, ...]] = types.MappingProxyType(
    {
        "plain": ("a photo of a {}.",),
        "short": (
            "itap of a {}.",
            "a bad photo of the {}.",
            "a origami {}.",
            "a photo of the large {}.",
            "a {} in a video game.",
            "art of the {}.",
            "a photo of the small {}.",
        ),
        "imagenet80": tuple(_IMAGENET.strip().replace("\n", "|").split("|")),
    }
)
_PROMPTS_AT_ONCE = 64


def unit(x: jax.Array) -> jax.Array:
    """Scales vectors [..., d] to length 1; zero stays zero."""
    length = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
    return x / jnp.where(length > 0, length, 1.0)


def _with_text(network: networks.Network) -> networks.TextTower:
    if network.text is None:
        raise _checks.InputError(f"{network.name}: has no text tower; expected a network such as clip_vit_b32")
    return network.text


def embed_prompts(
    network: networks.Network,
    tokenizer: tokenizers.Tokenizer,
    prompts: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Embeds texts in a network's joint space.

    Args:
      network: a network with a text tower.
      tokenizer: tokenizer of the tower's kind.
      prompts: n texts.
      progress: called with (prompts done, n).

    Returns:
      float32 [n, d], of length 1.

    Raises:
      InputError: without a text tower, or for a tokenizer of another kind or vocabulary.

    Examples:
      >>> import dataclasses
      >>> count_letters = lambda params, tokens: jax.nn.one_hot(tokens, 256).sum(axis=0)  # no transformer
      >>> tower = backbones.TextTower(count_letters, 32, 256, "clip", lambda params: (1.0, 0.0))
      >>> network = dataclasses.replace(backbones.load_packaged("scene_cnn_a"), text=tower)
      >>> tokenizer = backbones.Tokenizer("clip", lambda text: list(text.encode()), end=0, padding=0)
      >>> backbones.embed_prompts(network, tokenizer, ["a photo of a cat."]).shape
      (1, 256)
    """
    tower = _with_text(network)
    if tokenizer.kind != tower.tokenizer:
        raise _checks.InputError(f"tokenizer: {network.name} reads {tower.tokenizer} tokens, got {tokenizer.kind}")
    tokens = tokenizer(prompts, tower.context)
    if tokens.size and tokens.max() >= tower.vocabulary:
        raise _checks.InputError(
            f"tokenizer: token {tokens.max()} is outside the {tower.vocabulary} of {network.name}; another vocabulary?"
        )
    embed = jax.jit(
        lambda params, batch: unit(jax.vmap(tower.apply, (None, 0))(params, batch)),
        compiler_options=compilation.compiler_options(jax.local_devices()[0].platform),
    )
    size = min(_PROMPTS_AT_ONCE, len(tokens))
    rows = []
    for first in range(0, len(tokens), max(size, 1)):
        batch = tokens[first : first + size]
        padded = np.pad(batch, ((0, size - len(batch)), (0, 0)))
        rows.append(np.asarray(embed(network.params, padded))[: len(batch)])
        if progress:
            progress(first + len(batch), len(tokens))
    return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def class_embeddings(
    network: networks.Network,
    tokenizer: tokenizers.Tokenizer,
    class_names: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES["short"],
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Text anchors: for each class the mean embedding of its prompts [1].

    Args:
      network: a network with a text tower.
      tokenizer: tokenizer of the tower's kind.
      class_names: c of them; underscores count as spaces.
      templates: prompts with {} where the class name stands.
      progress: called with (prompts done, all).

    Returns:
      float32 [c, d], of length 1.

    Raises:
      InputError: without classes or templates, for a template without {}, or from `embed_prompts`.

    Examples:
      >>> import dataclasses
      >>> count_letters = lambda params, tokens: jax.nn.one_hot(tokens, 256).sum(axis=0)  # no transformer
      >>> tower = backbones.TextTower(count_letters, 32, 256, "clip", lambda params: (1.0, 0.0))
      >>> network = dataclasses.replace(backbones.load_packaged("scene_cnn_a"), text=tower)
      >>> tokenizer = backbones.Tokenizer("clip", lambda text: list(text.encode()), end=0, padding=0)
      >>> backbones.class_embeddings(network, tokenizer, ["cat", "dog"]).shape
      (2, 256)
    """
    if not class_names or not templates:
        raise _checks.InputError("class_names, templates: expected at least one of each")
    without = [template for template in templates if "{}" not in template]
    if without:
        raise _checks.InputError(f"templates: expected {{}} where the class name stands, got {without[0]!r}")
    names = [name.replace("_", " ") for name in class_names]
    prompts = [template.replace("{}", name) for name in names for template in templates]
    embeddings = embed_prompts(network, tokenizer, prompts, progress=progress)
    means = embeddings.reshape(len(names), len(templates), -1).mean(axis=1)
    return np.asarray(unit(means))


def zero_shot_classifier(network: networks.Network, anchors: np.ndarray) -> networks.Network:
    """Makes a classifier of text anchors: logits = scale * cosine(image, anchor) + bias.

    Args:
      network: a network with a text tower.
      anchors: float32 [c, d] of length 1, from `class_embeddings`.

    Returns: A network of c classes; its softmax is CLIP's zero-shot probability. Its "penultimate" stage is the
      embedding of the image scaled to length 1, which the linear head of the anchors reads. The other stages are those
      of the given network.

    Raises:
      InputError: without a text tower.

    Examples:
      >>> import dataclasses
      >>> nothing, scale = lambda params, tokens: jnp.zeros(64), lambda params: (100.0, 0.0)
      >>> tower = backbones.TextTower(nothing, 77, 49408, "clip", scale)
      >>> network = dataclasses.replace(backbones.load_packaged("scene_cnn_a"), text=tower)
      >>> embeddings = np.eye(2, 64, dtype=np.float32)  # in the place of those of `class_embeddings`
      >>> backbones.zero_shot_classifier(network, embeddings).num_classes
      2
    """
    tower = _with_text(network)
    penultimate = networks.PENULTIMATE

    def head(params: Params) -> tuple[jax.Array, jax.Array]:
        scale, bias = tower.temperature(params["network"])
        return scale * params["anchors"].T, jnp.full(len(params["anchors"]), bias)

    def apply(params: Params, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        _, features = network.apply(params["network"], image)
        embedding = unit(features[transformer.EMBEDDING])
        kernel, bias = head(params)
        return jnp.matmul(embedding, kernel, precision="highest") + bias, {**features, penultimate: embedding}

    params = {"network": network.params, "anchors": np.asarray(anchors, np.float32)}
    return dataclasses.replace(
        network, apply=apply, params=params, num_classes=len(anchors), classifier=head, text=None
    )
