"""The layout of two towers."""

from causal_iqa.backbones.weights import formats
from causal_iqa.backbones.zoo import clip, vit
from tests.backbones import transformer_cases


def test_the_layout_lists_every_tensor_once():
    for case in transformer_cases.CASES:
        if case in transformer_cases.CLIPS:
            variant, _ = transformer_cases.CLIPS[case]
            entries = clip.entries_of(variant, transformer_cases.weights(case))
        else:
            variant, _ = transformer_cases.VITS[case]
            _, entries = vit.entries_of(variant.tower, transformer_cases.weights(case))
        params = [entry.here for entry in entries if entry.here]
        assert len(params) == len(set(params)), case
        assert set(formats.layout(entries)) == set(transformer_cases.weights(case))
