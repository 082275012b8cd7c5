"""Facts of the images."""

import numpy as np
import PIL.Image

from causal_iqa import data


def _image(path, seed=0, size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def test_facts_know_size_colour_and_copies(tmp_path):
    smooth = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    photo = np.asarray(smooth.resize((160, 120), PIL.Image.Resampling.BICUBIC))
    smaller = np.asarray(PIL.Image.fromarray(photo).resize((80, 60)))
    other = np.asarray(smooth.rotate(180).resize((160, 120), PIL.Image.Resampling.BICUBIC))
    facts = [data.facts_of(one) for one in (photo, smaller, other)]

    def bits(a, b):
        return (a.look_across ^ b.look_across).bit_count() + (a.look_down ^ b.look_down).bit_count()

    assert (facts[0].width, facts[0].height) == (160, 120)
    assert bits(facts[0], facts[1]) <= 8 < 30 < bits(facts[0], facts[2])
    assert data.facts_of(np.full((30, 40, 3), 7, np.uint8)).one_colour and not facts[0].one_colour
    spot = np.full((40, 40, 3), 7, np.uint8)
    spot[5, 5] = 8
    assert not data.facts_of(spot).one_colour, "one pixel off the coarse grid"


def test_the_batcher_tells_what_was_seen_of_valid_images(tmp_path):
    for i in range(3):
        _image(tmp_path / f"{i}.png", i, size=(20 + i, 12))
    (tmp_path / "1.png").write_bytes(b"nothing")
    source = data.open_images(tmp_path)
    (batch,) = data.batches(source, range(3), batch_size=4, size=8, look=data.Looker(source))
    assert [one.width for one in batch.looks] == [20, 22] and batch.looks[0].format == "PNG"
    assert batch.valid.tolist() == [True, False, True, False]
