"""Transformer encoders on tokens, and the vision and text towers built of them.

The blocks of an encoder but the last are one compiled block, scanned over stacked parameters: a deep tower compiles as
fast as a shallow one.

References:
  [1] Vaswani et al. Attention is all you need. NeurIPS 2017.
  [2] Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021.
  [3] Radford et al. Learning transferable visual models from natural language supervision. ICML 2021 (CLIP).
  [4] Touvron et al. Going deeper with image transformers. ICCV 2021 (layer scale).
  [5] Darcet et al. Vision transformers need registers. ICLR 2024.
  [6] Zhai et al. Scaling vision transformers. CVPR 2022, section 3.2 (attention pooling).
"""

import dataclasses
import functools
import math
import types
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from causal_iqa.backbones import networks, numerics

EMBEDDING = "embedding"
# Attention is shut off with a finite number: a row of -inf alone would be NaN.
_SHUT = -1e30


def quick_gelu(x: jax.Array) -> jax.Array:
    """x sigmoid(1.702 x), the approximation of [3]."""
    return x * jax.nn.sigmoid(1.702 * x)


def gelu(x: jax.Array) -> jax.Array:
    """x (1 + erf(x / sqrt(2))) / 2 as PyTorch computes it; jax.nn's, with erfc, takes three times as long on a CPU."""
    return 0.5 * x * (1.0 + jax.lax.erf(x * math.sqrt(0.5)))


ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = types.MappingProxyType(
    {
        "gelu": gelu,
        "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
        "quick_gelu": quick_gelu,
    }
)


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Size and kind of a stack of blocks.

    Attributes:
      width: width of a token.
      depth: number of blocks.
      heads: heads of the attention.
      mlp: hidden units of a block's perceptron.
      activation: a row of ACTIVATIONS.
      epsilon: epsilon of every layer norm.
      layer_scale: whether each branch is scaled per channel before it is added [4].
    """

    width: int
    depth: int
    heads: int
    mlp: int
    activation: str = "gelu"
    epsilon: float = 1e-6
    layer_scale: bool = False


def layer_norm(epsilon: float, name: str) -> nn.LayerNorm:
    """Layer norm whose variance is taken about the mean: E[x^2] - E[x]^2 cancels in float32."""
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, name=name)


def dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    """A linear layer in full float32 on every backend."""
    return nn.Dense(features, use_bias=use_bias, precision=numerics.of_products(), name=name)


def _largest(scores: jax.Array) -> jax.Array:
    """Maxima of the last axis, which XLA's CPU finds faster this way: its own also carries NaN along."""
    scores = jax.lax.stop_gradient(scores)
    lowest = jnp.array(-jnp.inf, scores.dtype)
    return jax.lax.reduce(scores, lowest, lambda a, b: jax.lax.select(a > b, a, b), (scores.ndim - 1,))


def attend(query: jax.Array, key: jax.Array, value: jax.Array, heads: int, mask: jax.Array | None) -> jax.Array:
    """Scaled dot-product attention of several heads [1], eq. 1.

    Args:
      query: [B, q, w].
      key: [B, k, w].
      value: [B, k, w].
      heads: divides w.
      mask: bool [q, k], what may be seen; None: everything.

    Returns:
      [B, q, w].
    """

    def split(x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], heads, x.shape[2] // heads)

    query, key, value = split(query), split(key), split(value)
    scores = jnp.einsum(
        "bqhd,bkhd->bhqk", query * (1.0 / math.sqrt(query.shape[-1])), key, precision=numerics.of_products()
    )
    if mask is not None:
        scores = jnp.where(mask[None, None], scores, _SHUT)
    # Softmax, divided after the sum over keys.
    weights = jnp.exp(scores - _largest(scores)[..., None])
    out = jnp.einsum("bhqk,bkhd->bqhd", weights, value, precision=numerics.of_products())
    out = out / weights.sum(axis=-1).swapaxes(1, 2)[..., None]
    return out.reshape(*out.shape[:2], -1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)), each optionally scaled per channel."""

    size: Encoder

    def _scaled(self, x: jax.Array, name: str) -> jax.Array:
        if not self.size.layer_scale:
            return x
        return x * self.param(name, nn.initializers.ones, (self.size.width,))[None, None]

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None, first: int | None = None) -> tuple[jax.Array, jax.Array]:
        """Returns the tokens twice, as a scan wants it; only the `first` ones where told (then without a mask)."""
        size = self.size
        joined = dense(3 * size.width, "qkv")(layer_norm(size.epsilon, "norm1")(x))
        query, key, value = jnp.split(joined, 3, axis=-1)
        y = attend(query[:, :first], key, value, size.heads, mask)
        x = x[:, :first] + self._scaled(dense(size.width, "out")(y), "scale1")
        y = dense(size.mlp, "fc1")(layer_norm(size.epsilon, "norm2")(x))
        y = dense(size.width, "fc2")(ACTIVATIONS[size.activation](y))
        x = x + self._scaled(y, "scale2")
        return x, x


class Blocks(nn.Module):
    """A stack of blocks.

    Tokens [B, n, w] -> (tokens after the last, tokens after each [depth, B, n, w], the first token after the last
    [B, 1, w]). The first token alone needs little of the last block, and XLA leaves out the rest where nobody reads it.
    """

    size: Encoder

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> tuple[jax.Array, jax.Array, jax.Array]:
        if self.is_initializing():
            scanned = nn.scan(
                Block,
                variable_axes={"params": 0},
                split_rngs={"params": True},
                in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType]
                length=self.size.depth,
            )
            x, every = scanned(self.size, name="blocks")(x, mask)
            return x, every, x[:, :1]
        stacked = self.variables["params"]["blocks"]
        block = Block(self.size, parent=None)

        def step(tokens: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
            # Taken one by one: a slice of all but the last would copy the weights of the whole tower.
            params = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, number, keepdims=False), stacked)
            return block.apply({"params": params}, tokens, mask)  # pyright: ignore[reportReturnType]

        x, every = jax.lax.scan(step, x, jnp.arange(self.size.depth - 1))
        last = jax.tree.map(lambda leaf: leaf[-1], stacked)
        first, _ = block.apply({"params": last}, x, None, 1) if mask is None else (None, None)
        x, _ = block.apply({"params": last}, x, mask)
        return x, jnp.concatenate([every, x[None]]), x[:, :1] if first is None else first


@dataclasses.dataclass(frozen=True)
class Vision:
    """A vision tower.

    Attributes:
      encoder: its blocks.
      patch: side of a patch in pixels.
      side: side of the input in pixels, a multiple of `patch`.
      class_token: whether a learned token stands before the patches.
      registers: learned tokens between the two that are dropped at the end [5].
      class_position: whether the class token has a position of its own.
      patch_bias: whether the patch embedding has a bias.
      pre_norm: whether tokens are normalised before the first block (CLIP).
      pool: "class": the class token; "mean": of the patches; "attention": a learned query [6].
      projection: size of the joint embedding with text, None without.
      num_classes: logits, 0 without a classifier.
    """

    encoder: Encoder
    patch: int
    side: int
    class_token: bool = True
    registers: int = 0
    class_position: bool = True
    patch_bias: bool = True
    pre_norm: bool = False
    pool: str = "class"
    projection: int | None = None
    num_classes: int = 0

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.side // self.patch

    @property
    def positions(self) -> int:
        """Learned positions."""
        return self.grid**2 + (1 if self.class_token and self.class_position else 0)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the feature stages."""
        middle = tuple(f"stage{i}" for i in range(1, 5))
        token = ("class_token",) if self.class_token else ()
        joint = (EMBEDDING,) if self.projection else ()
        return ("stem", *middle, "patch_tokens", *token, networks.PENULTIMATE, *joint)


def patches_of(images: jax.Array, patch: int) -> jax.Array:
    """Cuts [B, H, W, 3] into rows [B, (H / patch)(W / patch), patch * patch * 3]."""
    b, h, w, c = images.shape
    x = images.reshape(b, h // patch, patch, w // patch, patch, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, (h // patch) * (w // patch), patch * patch * c)


class AttentionPool(nn.Module):
    """A learned query attends to the tokens, then a residual perceptron [6]: [B, n, w] -> [B, w]."""

    size: Encoder

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        size = self.size
        probe = self.param("probe", nn.initializers.normal(0.02), (1, size.width))
        query = dense(size.width, "query")(jnp.broadcast_to(probe, (len(tokens), 1, size.width)))
        key, value = jnp.split(dense(2 * size.width, "key_value")(tokens), 2, axis=-1)
        x = dense(size.width, "out")(attend(query, key, value, size.heads, None))[:, 0]
        y = dense(size.mlp, "fc1")(layer_norm(size.epsilon, "norm")(x))
        return x + dense(size.width, "fc2")(ACTIVATIONS[size.activation](y))


class VisionTower(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    tower: Vision
    preprocessing: networks.Preprocessing

    def _tokens(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Patch embeddings with their positions, and the tokens the first block reads."""
        tower, width = self.tower, self.tower.encoder.width
        position = self.param("position", nn.initializers.normal(0.02), (tower.positions, width))
        own = tower.positions - tower.grid**2
        x = stem = x + position[None, own:]
        if tower.class_token:
            token = self.param("class_token", nn.initializers.zeros, (1, width))
            if own:
                token = token + position[:1]
            extra = [token]
            if tower.registers:
                extra.append(self.param("registers", nn.initializers.zeros, (tower.registers, width)))
            extra = jnp.concatenate(extra)[None]
            x = jnp.concatenate([jnp.broadcast_to(extra, (len(x), *extra.shape[1:])), x], axis=1)
        return stem, x

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        tower, size = self.tower, self.tower.encoder
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = dense(size.width, "patches", tower.patch_bias)(patches_of(x, tower.patch))
        stem, x = self._tokens(x)
        first = x.shape[1] - tower.grid**2

        def as_map(tokens: jax.Array) -> jax.Array:
            return tokens.reshape(len(tokens), tower.grid, tower.grid, -1)

        if tower.pre_norm:
            x = layer_norm(size.epsilon, "pre_norm")(x)
        x, every, token = Blocks(size, name="encoder")(x)
        features = {"stem": as_map(stem)}
        for stage in range(1, 5):
            features[f"stage{stage}"] = as_map(every[-(-stage * size.depth // 4) - 1][:, first:])
        norm = layer_norm(size.epsilon, "norm")
        x, token = norm(x), norm(token)[:, 0]
        features["patch_tokens"] = as_map(x[:, first:])
        if tower.class_token:
            features["class_token"] = token
        if tower.pool == "attention":
            pooled = AttentionPool(size, name="pool")(x[:, first:])
        else:
            pooled = token if tower.pool == "class" else x[:, first:].mean(axis=1)
        features[networks.PENULTIMATE] = pooled
        if tower.projection:
            projected = tower.pool != "attention"
            features[EMBEDDING] = dense(tower.projection, "projection", False)(pooled) if projected else pooled
        if not tower.num_classes:
            return jnp.zeros((len(x), 0), x.dtype), features
        return dense(tower.num_classes, "head")(pooled), features


@dataclasses.dataclass(frozen=True)
class Text:
    """A text tower.

    Attributes:
      encoder: its blocks.
      vocabulary: number of tokens.
      context: tokens of a prompt, padding included.
      projection: size of the joint embedding.
      causal: whether a token sees only those before it.
      pool: "end": the token of the largest number, which ends a prompt in CLIP's vocabulary; "last": the last one.
      projection_bias: whether the projection has a bias.
    """

    encoder: Encoder
    vocabulary: int
    context: int
    projection: int
    causal: bool = True
    pool: str = "end"
    projection_bias: bool = False


class TextTower(nn.Module):
    """Tokens int32 [B, context] -> joint embeddings [B, projection], not normalised."""

    tower: Text

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        tower, size = self.tower, self.tower.encoder
        table = self.param("tokens", nn.initializers.normal(0.02), (tower.vocabulary, size.width))
        position = self.param("position", nn.initializers.normal(0.01), (tower.context, size.width))
        x = table[tokens] + position[None]
        mask = jnp.tril(jnp.ones((tower.context, tower.context), bool)) if tower.causal else None
        x, _, _ = Blocks(size, name="encoder")(x, mask)
        x = layer_norm(size.epsilon, "norm")(x)
        x = x[:, -1] if tower.pool == "last" else x[jnp.arange(len(x)), jnp.argmax(tokens, axis=-1)]
        return dense(tower.projection, "projection", tower.projection_bias)(x)
