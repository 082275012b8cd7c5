"""Small transformer towers in every format of weight files, for the tests and the script of their golden values."""

import numpy as np

from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.weights import formats
from causal_iqa.backbones.zoo import clip, vit
from tests.backbones import synthetic

_CLIP_TEXT = transformer.Text(transformer.Encoder(32, 2, 2, 64, "quick_gelu", 1e-5), 100, 12, 24)


def _clip(activation: str) -> clip.Variant:
    vision = transformer.Encoder(64, 4, 4, 128, activation, 1e-5)
    text = transformer.Text(transformer.Encoder(32, 2, 2, 64, activation, 1e-5), 100, 12, 24)
    tower = transformer.Vision(vision, 8, 32, patch_bias=False, pre_norm=True, projection=24)
    return clip.Variant(tower, text, clip.VARIANTS["clip_vit_b32"].pixels, "clip", 1.0)


def _siglip() -> clip.Variant:
    encoder = transformer.Encoder(48, 4, 4, 96, "gelu_tanh")
    tower = transformer.Vision(encoder, 8, 32, class_token=False, pool="attention", projection=48)
    text = transformer.Text(encoder, 100, 12, 48, causal=False, pool="last", projection_bias=True)
    return clip.Variant(tower, text, clip.VARIANTS["siglip_b16"].pixels, "siglip", 1.0)


def _vit(**kind: object) -> vit.Variant:
    scaled = bool(kind)
    encoder = transformer.Encoder(64, 4, 4, 256, layer_scale=scaled)
    like = vit.VARIANTS["dinov2_b14_reg" if scaled else "vit_b16"]
    return vit.Variant(transformer.Vision(encoder, 8, 32, **kind), like.mean, like.std, 0.9)


# Case -> (variant, names that tell the format and what a file may choose, with their shapes).
CLIPS = {
    "clip_hf": (_clip("quick_gelu"), {"vision_model.post_layernorm.weight": (64,)}),
    "clip_openai": (_clip("gelu"), {}),
    "siglip_hf": (_siglip(), {"vision_model.head.probe": (1, 1, 48)}),
    "siglip_npz": (_siglip(), {"params.txt.Embed_0.embedding": (100, 48)}),
}
VITS = {
    "vit_timm": (_vit(), {"pos_embed": (1, 17, 64), "head.bias": (7,)}),
    "vit_npz": (_vit(), {"Transformer.posembed_input.pos_embedding": (1, 17, 64), "head.bias": (7,)}),
    "dinov2_timm": (_vit(registers=4), {"pos_embed": (1, 16, 64), "head.bias": (7,)}),
    "vit_hf": (_vit(), {"vit.embeddings.position_embeddings": (1, 17, 64), "classifier.bias": (7,)}),
    "dinov2_hf": (
        _vit(registers=4),
        {"embeddings.position_embeddings": (1, 17, 64), "embeddings.mask_token": (1, 64)},
    ),
}
CASES = (*CLIPS, *VITS)
PIXELS = {case: variant.pixels for case, (variant, _) in CLIPS.items()} | {
    case: (variant.mean, variant.std) for case, (variant, _) in VITS.items()
}


def layout(case: str) -> dict[str, tuple[int, ...]]:
    """Returns the tensors of a file of this case."""
    if case in CLIPS:
        variant, chosen = CLIPS[case]
        return formats.layout(clip.entries_of(variant, _empty(chosen)))
    variant, chosen = VITS[case]
    return formats.layout(vit.entries_of(variant.tower, _empty(chosen))[1])


def _empty(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def weights(case: str) -> dict[str, np.ndarray]:
    """Draws the tensors of a file of this case."""
    drawn = synthetic.tensors(layout(case), seed=7)
    # Branches of blocks add up; positions must matter.
    return {name: value * 3 if "pos" in name.rsplit(".", 2)[-1] else value for name, value in drawn.items()}


def image() -> np.ndarray:
    """float32 [32, 32, 3] in [0, 1]."""
    return synthetic.images(1, 32)[0]


def tokens() -> np.ndarray:
    """A prompt of 7 tokens, the end mark 99, padded: int32 [12]."""
    found = np.random.default_rng(5).integers(0, 98, 12).astype(np.int32)
    found[0], found[7], found[8:] = 98, 99, 0
    return found
