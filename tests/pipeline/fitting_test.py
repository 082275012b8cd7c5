"""Witnesses fitted on anchors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, backbones
from causal_iqa.pipeline import anchors, fitting
from causal_iqa.pipeline.views import View


def test_anchors_without_finite_features_are_left_out_and_counted():
    rng = np.random.default_rng(0)
    read = anchors.AnchorImages(
        rng.integers(0, 256, (12, 48, 48, 3), dtype=np.uint8), np.arange(12) % 3, tuple(map(str, range(12)))
    )
    read.pixels[:4] = 255
    view = View(48, ("net",), {"net": 48})

    def broken_if(white):
        base = backbones.load_packaged("scene_features")

        def apply(params, image):
            logits, features = base.apply(params, image)
            bad = (image.mean() > 0.9) | (not white)
            return logits, {stage: jnp.where(bad, jnp.inf, x) for stage, x in features.items()}

        return {"net": dataclasses.replace(base, apply=apply)}

    witnesses, notes = fitting.fit_on_images(read, 3, [view], broken_if(white=True))
    assert fitting.not_finite_remarks(notes, 12) == [
        "anchors: the features of net are not finite for 4 of 12, which are left out"
    ]
    fewer = anchors.AnchorImages(read.pixels[4:], read.labels[4:], read.ids[4:])
    expected, _ = fitting.fit_on_images(fewer, 3, [view], broken_if(white=True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), witnesses, expected)
    with pytest.raises(InputError, match="backbone net: its features are not finite for 12 of 12 anchors"):
        fitting.fit_on_images(read, 3, [view], broken_if(white=False))
