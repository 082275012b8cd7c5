"""One call before a study: what a network promises is checked on a drawn image, once."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, backbones
from causal_iqa.backbones import dry_calls

_PREPROCESSING = backbones.Preprocessing(8, 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 8)


def _network(name):
    def own(params, image):
        features = image.mean(axis=(0, 1))
        return features @ params["kernel"], {"penultimate": features}

    return backbones.make_network(name, own, {"kernel": np.ones((3, 2), np.float32)}, _PREPROCESSING)


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda params, image: (jnp.zeros(3), {"penultimate": jnp.zeros(3)}), r"expected logits \[2\], it gives \[3\]"),
        (lambda params, image: (jnp.zeros(2), {"last": jnp.zeros(3)}), r"expected the stages \['penultimate'\]"),
        (lambda params, image: (jnp.full(2, jnp.nan), {"penultimate": jnp.zeros(3)}), "its logits .* hold NaN"),
        (
            lambda params, image: (jnp.zeros(2), {"penultimate": jnp.full(3, jnp.inf)}),
            "features of stage 'penultimate' .* hold infinite numbers",
        ),
        (lambda params, image: 1 / 0, r"fails on a drawn image \(ZeroDivisionError"),
    ],
)
def test_what_is_wrong_shows_at_once(apply, message):
    network = dataclasses.replace(_network("right"), name="wrong", apply=apply)
    with pytest.raises(InputError, match=message) as caught:
        dry_calls.check_network(network)
    assert "\n" not in str(caught.value)


def test_a_network_is_called_once():
    calls, own = [], _network("mine")

    def counted(params, image):
        calls.append(1)
        return own.apply(params, image)

    network = dataclasses.replace(own, name="counted", apply=counted)
    dry_calls.check_network(network)
    dry_calls.check_network(network)
    assert calls == [1]
    dry_calls.check_network(dataclasses.replace(network, name="another", apply=lambda *given: counted(*given)))
    assert calls == [1, 1]


def test_drawn_images_differ_and_stay_the_same():
    images = dry_calls.drawn_images(9)
    assert images.shape == (3, 9, 9, 3) and images.dtype == np.float32 and 0 <= images.min() < images.max() <= 1
    np.testing.assert_array_equal(images, dry_calls.drawn_images(9))
    assert not np.allclose(images[0], images[1])


def test_results_that_depend_on_the_batch_are_refused():
    with pytest.raises(InputError, match="depend on the other images of its batch"):
        dry_calls.call_on_host("x", lambda images: images.mean((1, 2)) - images.mean((0, 1, 2)), 8)
    shapes = dry_calls.call_on_host("x", lambda images: (images.mean((1, 2)), images[:, 0, 0]), 8)
    assert shapes == dry_calls.Shapes(3, 3)
    with pytest.raises(InputError, match="logits should be floating point numbers, got int64"):
        dry_calls.call_on_host("x", lambda images: np.zeros((len(images), 2), np.int64), 8)
    with pytest.raises(InputError, match="not 3 values"):
        dry_calls.call_on_host("x", lambda images: (images.mean((1, 2)),) * 3, 8)
