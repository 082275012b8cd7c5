"""Which stages are read, and what of them."""

import jax.numpy as jnp
import numpy as np

from causal_iqa import quality


def _features(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    draw = lambda d: (rng.normal(size=(n, d)) + shift).astype(np.float32)  # noqa: E731
    final = draw(6)
    return quality.StageFeatures(final, draw(3), (draw(3), draw(4)), (final,))


def test_inner_stages_lie_between_the_first_and_the_last_resolution():
    maps = {
        "stem": (16, 16, 4),
        "a": (16, 16, 8),
        "b": (8, 8, 8),
        "c": (8, 8, 9),
        "d": (4, 4, 9),
        "e": (2, 2, 3),
        "end": (3,),
    }
    order = tuple(maps)
    assert quality.inner_stages(maps, order) == ("c", "d")
    assert quality.inner_stages(maps, [name for name in order if name != "stem"]) == ("c", "d")
    tokens = {f"block{i}": (197, 8) for i in range(12)} | {"end": (8,)}
    assert quality.inner_stages(tokens, tuple(tokens)) == ("block3", "block7")
    assert quality.inner_stages({"end": (8,)}, ("end",)) == ()


def test_stage_features_are_means_and_deviations_over_places():
    rng = np.random.default_rng(5)
    stages = {
        name: rng.normal(size=(side, side, 3)).astype(np.float32) for name, side in (("a", 8), ("b", 4), ("c", 2))
    }
    stages["end"] = rng.normal(size=7).astype(np.float32)
    found = quality.stage_features({k: jnp.asarray(v) for k, v in stages.items()}, ("a", "b", "c", "end"), "end")
    np.testing.assert_allclose(found.inner[0], stages["b"].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(found.inner[1], stages["b"].std((0, 1)), atol=1e-6)
    np.testing.assert_array_equal(found.early, found.inner[0])
    alone = quality.stage_features({"end": jnp.asarray(stages["end"])}, ("end",), "end")
    np.testing.assert_array_equal(alone.early, stages["end"])
    both = quality.joined((found, found))
    assert len(both.inner) == 6 and both.final.shape == (14,) and both.early.shape == (6,)


def test_inner_stages_of_the_smaller_image_stand_beside_those_of_the_enlarged_one():
    large, small = _features(2, 0), _features(2, 1)
    both = quality.with_inner_of(large, small)
    assert both.early is small.early and both.final is large.final and both.glances is large.glances
    assert [id(x) for x in both.inner] == [id(x) for x in (*large.inner, *small.inner)]
