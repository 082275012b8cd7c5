"""What the pieces of a program compute of a few images, against plain NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import pipeline
from causal_iqa.pipeline import piece_functions


@pytest.mark.parametrize(
    ("order", "size"), [((0, 1, 2, 3), 2), ((2, 0, 3, 1), 3), ((1, 0, 2, 3), 4), ((3, 2, 1, 0), 5)]
)
def test_conditions_are_cut_into_runs_in_order_and_the_last_is_filled_up(order, size):
    parts = [np.arange(12.0).reshape(3, 2, 2), 100 + np.arange(4.0).reshape(1, 2, 2)]
    runs = piece_functions.cut(np.asarray(order), size, *map(jnp.asarray, parts))
    wanted = np.concatenate(parts)[list(order)]
    wanted = np.concatenate([wanted, np.repeat(wanted[-1:], -len(wanted) % size, axis=0)])
    assert {run.shape[0] for run in runs} == {size}
    np.testing.assert_array_equal(np.concatenate(runs), wanted)


def test_rows_are_those_of_every_image_under_every_condition():
    def row(image, scale, label):
        return {"sum": scale * image.sum(), "label": label, "pixels": image.reshape(-1)}

    run, labels = np.arange(24.0, dtype=np.float32).reshape(3, 4, 2), np.arange(4)
    packed = piece_functions.over_runs(row, (0, None, 0), 1, 2, jnp.asarray(run), 10.0, jnp.asarray(labels))
    assert packed.names == ("sum", "label") and set(packed.vectors) == {"pixels"}
    np.testing.assert_array_equal(packed.scalars[..., 0], 10 * run.sum(axis=2))
    np.testing.assert_array_equal(packed.scalars[..., 1], np.tile(labels, (3, 1)))
    np.testing.assert_array_equal(packed.vectors["pixels"], run)


def test_keys_follow_from_the_seed_and_the_name_of_the_image_alone():
    salts = np.asarray([piece_functions.stable_hash(name) for name in ("a", "b", "c")], np.uint32)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    clean, keys, view_keys = piece_functions.begin(7, False, pixels, salts)
    np.testing.assert_allclose(clean, pixels / 255, rtol=1e-6)
    turned = piece_functions.begin(7, False, pixels[::-1], salts[::-1])
    np.testing.assert_array_equal(turned[1], keys[::-1])
    expected = jax.random.fold_in(jax.random.key(7), salts[1])
    np.testing.assert_array_equal(keys[1], jax.random.key_data(expected))
    assert len({tuple(key) for key in np.concatenate([keys, view_keys]).tolist()}) == 6
    assert not (np.asarray(piece_functions.begin(8, False, pixels, salts)[1]) == np.asarray(keys)).all()


def test_hashes_never_change():
    assert piece_functions.stable_hash("123456789") == 0xCBF43926  # The check value of CRC-32.


def test_copies_that_were_given_are_the_conditions():
    copies = np.random.default_rng(1).integers(0, 256, (2, 3, 4, 4, 3), dtype=np.uint8)
    given = piece_functions.given_copies(copies)
    np.testing.assert_allclose(given, copies.swapaxes(0, 1) / 255, rtol=1e-6)
    clean, _, _ = piece_functions.begin(0, True, copies, np.zeros(2, np.uint32))
    np.testing.assert_array_equal(clean, given[0])


def test_a_view_sees_a_run_as_it_sees_its_images():
    view = pipeline.View(4, (), {}, interpolation="bilinear")
    run = np.random.default_rng(2).uniform(size=(2, 3, 8, 8, 3)).astype(np.float32)
    seen = jax.jit(functools.partial(piece_functions.see_run, view))(run)
    np.testing.assert_allclose(seen[1], piece_functions.see(view, run[1]), atol=1e-6)
    assert piece_functions.as_run(run[0]).shape == (1, 3, 8, 8, 3)
