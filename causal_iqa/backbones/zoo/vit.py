"""Vision transformers with published weights: ViT and DeiT (timm, Hugging Face, Google's .npz) and DINOv2.

References:
  [1] Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021; Steiner et al. How to train your ViT? TMLR 2022.
  [2] Touvron et al. Training data-efficient image transformers. ICML 2021 (DeiT).
  [3] Oquab et al. DINOv2: learning robust visual features without supervision. TMLR 2024; Darcet et al. ICLR 2024.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping

import jax
import numpy as np

from causal_iqa import _checks, images
from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.weights import checkpoints, formats

REFERENCE = "Dosovitskiy et al. ICLR 2021; Touvron et al. ICML 2021; Oquab et al. TMLR 2024"

# The default of ViT and DeiT in transformers, with which their configurations were published.
_HUGGING_FACE_EPSILON = 1e-12
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published vision transformer: its tower and how its images were prepared."""

    tower: transformer.Vision
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_fraction: float


def _encoder(size: str, **kind) -> transformer.Encoder:
    width, depth, heads = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}[size]
    return transformer.Encoder(width, depth, heads, 4 * width, **kind)


def _variants() -> dict[str, Variant]:
    rows = {}
    for size, patch in (("s", 16), ("b", 16), ("l", 16), ("s", 32), ("b", 32)):
        rows[f"vit_{size}{patch}"] = Variant(transformer.Vision(_encoder(size), patch, 224), **_HALF, crop_fraction=0.9)
    for size in ("s", "b"):
        tower = transformer.Vision(_encoder(size), 16, 224)
        rows[f"deit_{size}16"] = Variant(tower, **_IMAGENET, crop_fraction=0.9)
    for size in ("s", "b", "l"):
        for registers in (0, 4):
            tower = transformer.Vision(_encoder(size, layer_scale=True), 14, 224, registers=registers)
            suffix = "_reg" if registers else ""
            rows[f"dinov2_{size}14{suffix}"] = Variant(tower, **_IMAGENET, crop_fraction=0.875)
    return rows


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(_variants())


def _patches(name: str, tower: transformer.Vision) -> list[formats.Entry]:
    """The patch embedding as PyTorch's convolution [w, 3, p, p]."""
    width, p = tower.encoder.width, tower.patch
    kernel = formats.Entry(
        "patches.kernel",
        (f"{name}.weight",),
        ((width, 3, p, p),),
        lambda value: value.transpose(2, 3, 1, 0).reshape(p * p * 3, width),
    )
    return [kernel, formats.same("patches.bias", f"{name}.bias", width)] if tower.patch_bias else [kernel]


def _tokens(tower: transformer.Vision, position: str, token: str, registers: str) -> list[formats.Entry]:
    width, count = tower.encoder.width, tower.positions
    entries = [formats.reshaped("position", position, (1, count, width), (count, width))]
    if tower.class_token:
        entries.append(formats.reshaped("class_token", token, (1, 1, width), (1, width)))
    if tower.registers:
        shape = (tower.registers, width)
        entries.append(formats.reshaped("registers", registers, (1, *shape), shape))
    return entries


def _head(tower: transformer.Vision, name: str) -> list[formats.Entry]:
    return formats.dense("head", name, tower.encoder.width, tower.num_classes) if tower.num_classes else []


def block_entries(size: transformer.Encoder, prefix: str, names: Mapping[str, str | tuple[str, ...]]) -> list:
    """Entries of one block stored as PyTorch modules.

    Args:
      size: size of the encoder.
      prefix: prefix of the block's names.
      names: norm1, qkv (one name, or three for query, key and value), out, norm2, fc1, fc2 and, with layer scale,
        scale1 and scale2 (whole names) -> the name in the file.

    Returns:
      The entries, always in the same order.
    """

    def there(part: str) -> str:
        return f"{prefix}.{names[part]}"

    width = size.width
    if isinstance(names["qkv"], tuple):
        qkv = formats.joined_dense("qkv", [f"{prefix}.{name}" for name in names["qkv"]], width, width)
    else:
        # PyTorch's MultiheadAttention holds a bare tensor, in_proj_weight, where others have a layer.
        separator = "_" if names["qkv"].endswith("in_proj") else "."
        qkv = formats.dense("qkv", there("qkv"), width, 3 * width, separator=separator)
    entries = [
        *formats.norm("norm1", there("norm1"), width),
        *qkv,
        *formats.dense("out", there("out"), width, width),
        *formats.norm("norm2", there("norm2"), width),
        *formats.dense("fc1", there("fc1"), width, size.mlp),
        *formats.dense("fc2", there("fc2"), size.mlp, width),
    ]
    if size.layer_scale:
        entries += [formats.same(scale, there(scale), width) for scale in ("scale1", "scale2")]
    return entries


def stacked_blocks(size: transformer.Encoder, prefix: str, names: Mapping[str, str | tuple[str, ...]]) -> list:
    """Entries of all blocks, `prefix` with {} for the number of the block."""
    layers = [block_entries(size, prefix.format(i), names) for i in range(size.depth)]
    return formats.stacked("encoder.blocks", layers)


_TIMM_BLOCK = {
    "norm1": "norm1", "qkv": "attn.qkv", "out": "attn.proj", "norm2": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
    "scale1": "ls1.gamma", "scale2": "ls2.gamma",
}  # fmt: skip
_HF_ATTENTION = tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))
_HF_BLOCK = {
    "norm1": "layernorm_before", "qkv": _HF_ATTENTION, "out": "attention.output.dense", "norm2": "layernorm_after",
    "fc1": "intermediate.dense", "fc2": "output.dense",
}  # fmt: skip
_HF_DINO_BLOCK = {
    "norm1": "norm1", "qkv": _HF_ATTENTION, "out": "attention.output.dense", "norm2": "norm2", "fc1": "mlp.fc1",
    "fc2": "mlp.fc2", "scale1": "layer_scale1.lambda1", "scale2": "layer_scale2.lambda1",
}  # fmt: skip


def _timm(tower: transformer.Vision, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    registers = "register_tokens" if "register_tokens" in tensors else "reg_token"
    entries = [
        *_tokens(tower, "pos_embed", "cls_token", registers),
        *_patches("patch_embed.proj", tower),
        *stacked_blocks(tower.encoder, "blocks.{}", _TIMM_BLOCK),
        *formats.norm("norm", "norm", tower.encoder.width),
        *_head(tower, "head"),
    ]
    if "mask_token" in tensors:  # Of DINOv2's training.
        entries.append(formats.unused("mask_token", *tensors["mask_token"].shape))
    return entries


def _hugging_face(tower: transformer.Vision, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    root = next((p for p in ("vit.", "deit.", "dinov2.", "dinov2_with_registers.") if _starts(tensors, p)), "")
    names = _HF_DINO_BLOCK if tower.encoder.layer_scale else _HF_BLOCK
    embeddings = f"{root}embeddings"
    entries = [
        *_tokens(
            tower,
            f"{embeddings}.position_embeddings",
            f"{embeddings}.cls_token",
            f"{embeddings}.register_tokens",
        ),
        *_patches(f"{embeddings}.patch_embeddings.projection", tower),
        *stacked_blocks(tower.encoder, f"{root}encoder.layer.{{}}", names),
        *formats.norm("norm", f"{root}layernorm", tower.encoder.width),
        *_head(tower, "classifier"),
    ]
    for name in ("embeddings.mask_token", "pooler.dense.weight", "pooler.dense.bias"):
        if f"{root}{name}" in tensors:
            entries.append(formats.unused(f"{root}{name}", *tensors[f"{root}{name}"].shape))
    return entries


def flax_attention(size: transformer.Encoder, prefix: str) -> list[formats.Entry]:
    """Query, key, value and output of Flax's MultiHeadDotProductAttention as `qkv` and `out`."""
    width, heads = size.width, size.heads
    parts = [f"{prefix}.{part}" for part in ("query", "key", "value")]
    shape = (width, heads, width // heads)

    def kernel(*values: np.ndarray) -> np.ndarray:
        return np.concatenate([value.reshape(width, width) for value in values], axis=1)

    return [
        formats.Entry("qkv.kernel", tuple(f"{p}.kernel" for p in parts), (shape,) * 3, kernel),
        formats.Entry(
            "qkv.bias",
            tuple(f"{p}.bias" for p in parts),
            (shape[1:],) * 3,
            lambda *values: np.concatenate([value.reshape(width) for value in values]),
        ),
        formats.reshaped("out.kernel", f"{prefix}.out.kernel", (*shape[1:], width), (width, width)),
        formats.same("out.bias", f"{prefix}.out.bias", width),
    ]


def flax_dense(here: str, there: str, before: int, after: int) -> list[formats.Entry]:
    """A linear layer of Flax, stored [before, after]."""
    kernel, bias = f"{there}.kernel", f"{there}.bias"
    return [formats.same(f"{here}.kernel", kernel, before, after), formats.same(f"{here}.bias", bias, after)]


def flax_blocks(size: transformer.Encoder, prefix: str, attention: str) -> list[formats.Entry]:
    """Entries of all blocks as Google's Flax code stores them, `prefix` with {} for the number of the block."""
    layers = []
    for i in range(size.depth):
        block = prefix.format(i)
        perceptron = f"{block}.MlpBlock_{0 if attention.endswith('_0') else 3}"
        second = "LayerNorm_1" if attention.endswith("_0") else "LayerNorm_2"
        layers.append(
            [
                *formats.norm("norm1", f"{block}.LayerNorm_0", size.width, ("scale", "bias")),
                *flax_attention(size, f"{block}.{attention}"),
                *formats.norm("norm2", f"{block}.{second}", size.width, ("scale", "bias")),
                *flax_dense("fc1", f"{perceptron}.Dense_0", size.width, size.mlp),
                *flax_dense("fc2", f"{perceptron}.Dense_1", size.mlp, size.width),
            ]
        )
    return formats.stacked("encoder.blocks", layers)


def flax_patches(there: str, tower: transformer.Vision) -> list[formats.Entry]:
    """The patch embedding of Google's Flax code, stored [p, p, 3, w]."""
    width, p = tower.encoder.width, tower.patch
    return [
        formats.reshaped("patches.kernel", f"{there}.kernel", (p, p, 3, width), (p * p * 3, width)),
        formats.same("patches.bias", f"{there}.bias", width),
    ]


def _google(tower: transformer.Vision, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    width, count = tower.encoder.width, tower.positions
    position = "Transformer.posembed_input.pos_embedding"
    entries = [
        formats.reshaped("position", position, (1, count, width), (count, width)),
        formats.reshaped("class_token", "cls", (1, 1, width), (1, width)),
        *flax_patches("embedding", tower),
        *flax_blocks(tower.encoder, "Transformer.encoderblock_{}", "MultiHeadDotProductAttention_1"),
        *formats.norm("norm", "Transformer.encoder_norm", width, ("scale", "bias")),
    ]
    if tower.num_classes:
        entries += flax_dense("head", "head", width, tower.num_classes)
    return entries


def _starts(tensors: Mapping[str, np.ndarray], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def _format(tensors: Mapping[str, np.ndarray]) -> tuple[Callable[..., list[formats.Entry]], str, str]:
    """The format of a file by its names, with those of its positions and its classifier."""
    if "Transformer.posembed_input.pos_embedding" in tensors:
        return _google, "Transformer.posembed_input.pos_embedding", "head.bias"
    position = next((name for name in tensors if name.endswith("embeddings.position_embeddings")), None)
    if position:
        return _hugging_face, position, "classifier.bias"
    return _timm, "pos_embed", "head.bias"


def entries_of(
    tower: transformer.Vision, tensors: Mapping[str, np.ndarray]
) -> tuple[transformer.Vision, list[formats.Entry]]:
    """Returns the tower as the file has it (its side, its classes) and the entries in the file's format."""
    entries, position, head = _format(tensors)
    found = tensors.get(position)
    if found is not None and found.ndim == 3:
        grid = round(found.shape[1] ** 0.5)
        own = found.shape[1] - grid**2
        tower = dataclasses.replace(tower, side=grid * tower.patch, class_position=own == 1)
    bias = tensors.get(head)
    num_classes = len(bias) if bias is not None and bias.ndim == 1 else 0
    tower = dataclasses.replace(tower, num_classes=num_classes)
    return tower, entries(tower, tensors)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds, in the format its names are of.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's: they give the format, the grid of positions and the number of classes.

    Returns:
      Name -> shape.
    """
    return formats.layout(entries_of(VARIANTS[name].tower, tensors)[1])


def resample_positions(position: np.ndarray, own: int, grid: int) -> np.ndarray:
    """Resamples learned positions to another grid, antialiased bicubic, as timm does.

    Args:
      position: float32 [own + g * g, w].
      own: positions of tokens that are no patches, kept.
      grid: grid of the target.

    Returns:
      float32 [own + grid * grid, w].
    """
    old = round((len(position) - own) ** 0.5)
    if old == grid:
        return position
    weights = images.resize_weights(old, grid, "bicubic").astype(np.float64)
    maps = position[own:].reshape(old, old, -1)
    maps = np.einsum("yh,xw,hwc->yxc", weights, weights, maps)
    return np.concatenate([position[:own], maps.reshape(grid * grid, -1)]).astype(np.float32)


def at_side(tower: transformer.Vision, params: dict, side: int) -> tuple[transformer.Vision, dict]:
    """Returns the tower and its parameters for another input side; InputError when patches do not fill it."""
    if side % tower.patch:
        raise _checks.InputError(f"input_size: expected a multiple of the patch, {tower.patch} pixels, got {side}")
    own = tower.positions - tower.grid**2
    position = resample_positions(params["position"], own, side // tower.patch)
    return dataclasses.replace(tower, side=side), {**params, "position": position}


def encoder_as_stated(
    encoder: transformer.Encoder, checkpoint: checkpoints.Checkpoint, name: str
) -> transformer.Encoder:
    """Returns the encoder with the activation and the epsilon of a file's configuration, or of its format.

    Raises:
      InputError: when the configuration says heads or an activation that the architecture does not have.
    """
    stated, tensors = checkpoint.stated, checkpoint.tensors
    if stated.heads not in (None, encoder.heads):
        raise _checks.InputError(
            f"{checkpoint.path}: its configuration says {stated.heads} heads, {name} has {encoder.heads}; its tensors "
            "have the same shapes, and it computes something else"
        )
    if stated.activation is not None and stated.activation not in transformer.ACTIVATIONS:
        raise _checks.InputError(
            f"{checkpoint.path}: its configuration says the activation {stated.activation[:40]}, expected one of "
            f"{', '.join(transformer.ACTIVATIONS)}"
        )
    epsilon, activation = encoder.epsilon, encoder.activation
    if _format(tensors)[0] is _hugging_face and not encoder.layer_scale:
        epsilon = _HUGGING_FACE_EPSILON
    if _format(tensors)[0] is _google:
        activation = "gelu_tanh"  # Flax's GELU, which timm and transformers replace by the exact one.
    return dataclasses.replace(encoder, epsilon=stated.epsilon or epsilon, activation=stated.activation or activation)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels, a multiple of the patch; by default 224 or, with a classifier, the
        side the file was trained at. Positions are resampled where the file's grid is another.

    Returns:
      The network.

    Raises:
      InputError: when the patches do not fill the side.
    """
    return network_of(name, VARIANTS[name], checkpoint, input_size)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    stored, entries = entries_of(variant.tower, checkpoint.tensors)
    default = stored.side if stored.num_classes else variant.tower.side
    tower, params = at_side(stored, formats.convert(entries, checkpoint.tensors), input_size or default)
    tower = dataclasses.replace(tower, encoder=encoder_as_stated(tower.encoder, checkpoint, name))
    preprocessing = networks.Preprocessing(
        size=tower.side,
        crop_fraction=variant.crop_fraction,
        mean=variant.mean,
        std=variant.std,
        smallest=tower.side,
        fixed_size=True,
        interpolation="bicubic",
    )
    preprocessing = networks.as_stated(preprocessing, checkpoint.stated, None, checkpoint.path)
    return networks.Network(
        name=name,
        apply=networks.applier(transformer.VisionTower(tower, preprocessing), preprocessing),
        params=jax.tree.map(np.asarray, params),
        preprocessing=preprocessing,
        num_classes=tower.num_classes,
        stages=tower.stages,
        weights_sha256=checkpoint.sha256,
        classifier=(lambda params: networks.classifier_of(params, "head")) if tower.num_classes else None,
    )
