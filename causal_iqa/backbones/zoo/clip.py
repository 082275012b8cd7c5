"""CLIP and SigLIP: a vision and a text tower with a joint embedding.

Files of CLIP: OpenAI's and OpenCLIP's names, or Hugging Face's. Files of SigLIP: Hugging Face's, or big_vision's .npz.

References:
  [1] Radford et al. Learning transferable visual models from natural language supervision. ICML 2021.
  [2] Cherti et al. Reproducible scaling laws for contrastive language-image learning. CVPR 2023 (OpenCLIP).
  [3] Zhai et al. Sigmoid loss for language image pre-training. ICCV 2023 (SigLIP).
"""

import dataclasses
import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import Params
from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.weights import checkpoints, formats
from causal_iqa.backbones.zoo import vit

REFERENCE = "Radford et al. ICML 2021; Cherti et al. CVPR 2023; Zhai et al. ICCV 2023"

CLIP_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF_PIXELS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published pair of towers, how its images were prepared and the kind of its tokenizer."""

    vision: transformer.Vision
    text: transformer.Text
    pixels: tuple[tuple[float, float, float], tuple[float, float, float]]
    tokenizer: str
    crop_fraction: float


def _clip(width: int, depth: int, patch: int, text_width: int, joint: int, activation: str) -> Variant:
    kind = {"activation": activation, "epsilon": 1e-5}
    encoder = transformer.Encoder(width, depth, width // 64, 4 * width, **kind)
    vision = transformer.Vision(encoder, patch, 224, patch_bias=False, pre_norm=True, projection=joint)
    text_encoder = transformer.Encoder(text_width, 12, text_width // 64, 4 * text_width, **kind)
    return Variant(vision, transformer.Text(text_encoder, 49408, 77, joint), CLIP_PIXELS, "clip", 1.0)


def _siglip(width: int, depth: int, heads: int, patch: int, side: int) -> Variant:
    encoder = transformer.Encoder(width, depth, heads, 4 * width, activation="gelu_tanh")
    vision = transformer.Vision(encoder, patch, side, class_token=False, pool="attention", projection=width)
    text = transformer.Text(encoder, 32000, 64, width, causal=False, pool="last", projection_bias=True)
    return Variant(vision, text, _HALF_PIXELS, "siglip", 1.0)


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        **{
            f"{family}_vit_{name}": _clip(*sizes, activation)
            for family, activation in (("clip", "quick_gelu"), ("openclip", "gelu"))
            for name, sizes in {
                "b32": (768, 12, 32, 512, 512),
                "b16": (768, 12, 16, 512, 512),
                "l14": (1024, 24, 14, 768, 768),
            }.items()
        },
        "siglip_b16": _siglip(768, 12, 12, 16, 224),
        "siglip_l16": _siglip(1024, 24, 16, 16, 256),
    }
)


def text_entries(text: transformer.Text) -> list[formats.Entry]:
    """Entries of the text tower and the temperature with OpenAI's names."""
    width = text.encoder.width
    return [
        formats.same("text.tokens", "token_embedding.weight", text.vocabulary, width),
        formats.same("text.position", "positional_embedding", text.context, width),
        *_under("text", vit.stacked_blocks(text.encoder, "transformer.resblocks.{}", _OPENAI_BLOCK)),
        *formats.norm("text.norm", "ln_final", width),
        formats.same("text.projection.kernel", "text_projection", width, text.projection),
        formats.same("temperature.scale", "logit_scale"),
    ]


SCRIPTED_SIZES = ("input_resolution", "context_length", "vocab_size")


def scripted_sizes(tensors: Mapping) -> list[formats.Entry]:
    """The three sizes that OpenAI's TorchScript archives hold as tensors, where the file has them."""
    return [formats.unused(name, *np.shape(tensors[name])) for name in SCRIPTED_SIZES if name in tensors]


_OPENAI_BLOCK = {
    "norm1": "ln_1", "qkv": "attn.in_proj", "out": "attn.out_proj", "norm2": "ln_2", "fc1": "mlp.c_fc",
    "fc2": "mlp.c_proj",
}  # fmt: skip
_HF_BLOCK = {
    "norm1": "layer_norm1", "qkv": tuple(f"self_attn.{p}_proj" for p in "qkv"), "out": "self_attn.out_proj",
    "norm2": "layer_norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
}  # fmt: skip


def _under(root: str, entries: list[formats.Entry]) -> list[formats.Entry]:
    return [entry._replace(here=f"{root}.{entry.here}") if entry.here else entry for entry in entries]


def _openai(vision: transformer.Vision, text: transformer.Text, tensors: Mapping) -> list[formats.Entry]:
    width, p = vision.encoder.width, vision.patch
    assert vision.projection is not None, "of a tower beside text"
    return [
        formats.Entry(
            "vision.patches.kernel",
            ("visual.conv1.weight",),
            ((width, 3, p, p),),
            lambda value: value.transpose(2, 3, 1, 0).reshape(p * p * 3, width),
        ),
        formats.reshaped("vision.class_token", "visual.class_embedding", (width,), (1, width)),
        formats.same("vision.position", "visual.positional_embedding", vision.positions, width),
        *formats.norm("vision.pre_norm", "visual.ln_pre", width),
        *_under("vision", vit.stacked_blocks(vision.encoder, "visual.transformer.resblocks.{}", _OPENAI_BLOCK)),
        *formats.norm("vision.norm", "visual.ln_post", width),
        formats.same("vision.projection.kernel", "visual.proj", width, vision.projection),
        *text_entries(text),
        *scripted_sizes(tensors),
    ]


def _hf_text(text: transformer.Text, projection: list[formats.Entry]) -> list[formats.Entry]:
    width = text.encoder.width
    return [
        formats.same("text.tokens", "text_model.embeddings.token_embedding.weight", text.vocabulary, width),
        formats.same("text.position", "text_model.embeddings.position_embedding.weight", text.context, width),
        *_under("text", vit.stacked_blocks(text.encoder, "text_model.encoder.layers.{}", _HF_BLOCK)),
        *formats.norm("text.norm", "text_model.final_layer_norm", width),
        *projection,
    ]


def _hf_vision(vision: transformer.Vision) -> list[formats.Entry]:
    width, p, root = vision.encoder.width, vision.patch, "vision_model.embeddings"
    kernel = formats.Entry(
        "vision.patches.kernel",
        (f"{root}.patch_embedding.weight",),
        ((width, 3, p, p),),
        lambda value: value.transpose(2, 3, 1, 0).reshape(p * p * 3, width),
    )
    return [
        kernel,
        formats.same("vision.position", f"{root}.position_embedding.weight", vision.positions, width),
        *_under("vision", vit.stacked_blocks(vision.encoder, "vision_model.encoder.layers.{}", _HF_BLOCK)),
        *formats.norm("vision.norm", "vision_model.post_layernorm", width),
    ]


def _hugging_face_clip(vision: transformer.Vision, text: transformer.Text, tensors: Mapping) -> list[formats.Entry]:
    width = vision.encoder.width
    assert vision.projection is not None, "of a tower beside text"
    entries = [
        *_hf_vision(vision),
        formats.reshaped("vision.class_token", "vision_model.embeddings.class_embedding", (width,), (1, width)),
        # The misspelling is theirs.
        *formats.norm("vision.pre_norm", "vision_model.pre_layrnorm", width),
        *formats.dense("vision.projection", "visual_projection", width, vision.projection, bias=False),
        *_hf_text(
            text, formats.dense("text.projection", "text_projection", text.encoder.width, text.projection, bias=False)
        ),
        formats.same("temperature.scale", "logit_scale"),
    ]
    for tower in ("vision_model", "text_model"):  # Written by older versions.
        name = f"{tower}.embeddings.position_ids"
        if name in tensors:
            entries.append(formats.unused(name, *tensors[name].shape))
    return entries


def _attention_pool(size: transformer.Encoder, there: str) -> list[formats.Entry]:
    """SigLIP's pooling head with PyTorch's MultiheadAttention: query, key and value in one tensor."""
    w, names = size.width, (f"{there}.attention.in_proj_weight", f"{there}.attention.in_proj_bias")
    kernel, bias = names
    inner = [
        formats.reshaped("probe", f"{there}.probe", (1, 1, w), (1, w)),
        formats.Entry("query.kernel", (kernel,), ((3 * w, w),), lambda value: value[:w].T),
        formats.Entry("query.bias", (bias,), ((3 * w,),), lambda value: value[:w]),
        formats.Entry("key_value.kernel", (kernel,), ((3 * w, w),), lambda value: value[w:].T),
        formats.Entry("key_value.bias", (bias,), ((3 * w,),), lambda value: value[w:]),
        *formats.dense("out", f"{there}.attention.out_proj", w, w),
        *formats.norm("norm", f"{there}.layernorm", w),
        *formats.dense("fc1", f"{there}.mlp.fc1", w, size.mlp),
        *formats.dense("fc2", f"{there}.mlp.fc2", size.mlp, w),
    ]
    return _under("vision.pool", inner)


def _hugging_face_siglip(vision: transformer.Vision, text: transformer.Text, tensors: Mapping) -> list[formats.Entry]:
    return [
        *_hf_vision(vision),
        formats.same("vision.patches.bias", "vision_model.embeddings.patch_embedding.bias", vision.encoder.width),
        *_attention_pool(vision.encoder, "vision_model.head"),
        *_hf_text(text, formats.dense("text.projection", "text_model.head", text.encoder.width, text.projection)),
        formats.reshaped("temperature.scale", "logit_scale", (1,), ()),
        formats.reshaped("temperature.bias", "logit_bias", (1,), ()),
    ]


def _big_vision(vision: transformer.Vision, text: transformer.Text, tensors: Mapping) -> list[formats.Entry]:
    size, width = vision.encoder, vision.encoder.width
    head, attention = "params.img.MAPHead_0", "MultiHeadDotProductAttention_0"
    qkv = {entry.here: entry for entry in vit.flax_attention(size, f"{head}.{attention}")}
    pool = [
        formats.reshaped("probe", f"{head}.probe", (1, 1, width), (1, width)),
        *_split_flax_attention(size, qkv),
        *formats.norm("norm", f"{head}.LayerNorm_0", width, ("scale", "bias")),
        *vit.flax_dense("fc1", f"{head}.MlpBlock_0.Dense_0", width, size.mlp),
        *vit.flax_dense("fc2", f"{head}.MlpBlock_0.Dense_1", size.mlp, width),
    ]
    position = (1, vision.positions, width)
    entries = [
        *_under("vision", vit.flax_patches("params.img.embedding", vision)),
        formats.reshaped("vision.position", "params.img.pos_embedding", position, position[1:]),
        *_under("vision", vit.flax_blocks(size, "params.img.Transformer.encoderblock_{}", attention)),
        *formats.norm("vision.norm", "params.img.Transformer.encoder_norm", width, ("scale", "bias")),
        *_under("vision.pool", pool),
        formats.same("text.tokens", "params.txt.Embed_0.embedding", text.vocabulary, text.encoder.width),
        formats.reshaped(
            "text.position",
            "params.txt.pos_embedding",
            (1, text.context, text.encoder.width),
            (text.context, text.encoder.width),
        ),
        *_under("text", vit.flax_blocks(text.encoder, "params.txt.Encoder_0.encoderblock_{}", attention)),
        *formats.norm("text.norm", "params.txt.Encoder_0.encoder_norm", text.encoder.width, ("scale", "bias")),
        *vit.flax_dense("text.projection", "params.txt.head", text.encoder.width, text.projection),
        formats.reshaped("temperature.scale", "params.t", (1,), ()),
        formats.reshaped("temperature.bias", "params.b", (1,), ()),
    ]
    return entries


def _split_flax_attention(size: transformer.Encoder, qkv: Mapping[str, formats.Entry]) -> list[formats.Entry]:
    """`qkv` as the pooling head has it: the query apart from key and value."""
    w, split = size.width, []
    for part, columns in (("query", slice(0, w)), ("key_value", slice(w, None))):
        for kind in ("kernel", "bias"):
            entry = qkv[f"qkv.{kind}"]

            def turn(*values, entry=entry, columns=columns):
                return entry.turn(*values)[..., columns]

            split.append(entry._replace(here=f"{part}.{kind}", turn=turn))
    return [*split, qkv["out.kernel"], qkv["out.bias"]]


def _format(tensors: Mapping[str, np.ndarray]) -> Callable[..., list[formats.Entry]]:
    """The format of a file by its names."""
    if "params.txt.Embed_0.embedding" in tensors:
        return _big_vision
    if any(name.startswith("vision_model.head.") for name in tensors):
        return _hugging_face_siglip
    if any(name.startswith("vision_model.") for name in tensors):
        return _hugging_face_clip
    return _openai


def entries_of(variant: Variant, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    """Returns the entries of a variant in the format the file's names are of."""
    found = _format(tensors)
    if found is _openai and variant.vision.pool == "attention":
        found = _hugging_face_siglip
    return found(variant.vision, variant.text, tensors)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds, in the format its names are of.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's, for the format.

    Returns:
      Name -> shape.
    """
    return formats.layout(entries_of(VARIANTS[name], tensors))


def text_tower(text: transformer.Text, tokenizer: str) -> networks.TextTower:
    """Wraps the text tower of parameters {"text", "temperature"} for a Network."""
    module = transformer.TextTower(text)

    def apply(params: Params, tokens: jax.Array) -> jax.Array:
        if jnp.shape(tokens) != (text.context,):
            raise ValueError(f"tokens: expected shape ({text.context},), got {jnp.shape(tokens)}")
        return module.apply({"params": params["text"]}, tokens[None])[0]

    def temperature(params: Params) -> tuple[jax.Array, jax.Array]:
        found = params["temperature"]
        return jnp.exp(found["scale"]), found.get("bias", jnp.float32(0.0))

    return networks.TextTower(apply, text.context, text.vocabulary, tokenizer, temperature)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    params = formats.convert(entries_of(variant, checkpoint.tensors), checkpoint.tensors)
    tower, vision = vit.at_side(variant.vision, params["vision"], input_size or variant.vision.side)
    params = {**params, "vision": vision}
    mean, std = variant.pixels
    preprocessing = networks.Preprocessing(
        size=tower.side,
        crop_fraction=variant.crop_fraction,
        mean=mean,
        std=std,
        smallest=tower.side,
        fixed_size=True,
        interpolation="bicubic",
    )
    preprocessing = networks.as_stated(preprocessing, checkpoint.stated, None, checkpoint.path)
    return networks.Network(
        name=name,
        apply=networks.applier(transformer.VisionTower(tower, preprocessing), preprocessing, part="vision"),
        params=jax.tree.map(np.asarray, params),
        preprocessing=preprocessing,
        num_classes=0,
        stages=tower.stages,
        weights_sha256=checkpoint.sha256,
        classifier=None,
        text=text_tower(variant.text, variant.tokenizer),
    )


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels, a multiple of the patch; positions are resampled where it is another
        than the file's.

    Returns:
      The network: no classifier, a text tower, and the joint embedding of the image as stage "embedding".

    Raises:
      InputError: when the patches do not fill the side.
    """
    _checks.lookup(VARIANTS, name, "architecture")
    return network_of(name, VARIANTS[name], checkpoint, input_size)
