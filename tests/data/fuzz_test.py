"""Damaged files: every one is an image or unreadable with a reason; none is lost, doubled or passed over in silence.

`pytest -m slow tests/data/fuzz_test.py` runs the long version: 30,000 mutations of files in every format that Pillow
writes, and 200 malformed entries among 60 good images.
"""

import collections
import io

import numpy as np
import PIL.Image
import pytest

from causal_iqa import data
from causal_iqa.data import decoding, names
from tests.data import malformed

_MAX_PIXELS = 2**20


def _try(content: bytes, name: str) -> str:
    """Decodes; returns what came of it. Anything but an image or UnreadableImage is raised."""
    decoding.upright_size(io.BytesIO(content), name)
    decoding.has_several_frames(io.BytesIO(content), name)
    try:
        pixels = decoding.decode(content, name, max_pixels=_MAX_PIXELS)
    except data.UnreadableImage as error:
        assert error.id == name and error.reason and "\n" not in str(error)
        return "unreadable"
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= _MAX_PIXELS
    np.testing.assert_array_equal(pixels, decoding.decode(content, name, max_pixels=_MAX_PIXELS))
    return "image"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("num", [40, pytest.param(1250, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", malformed.endings())
def test_mutated_files_are_images_or_unreadable(ending, num):
    rng = np.random.default_rng(malformed.endings().index(ending))
    originals = {other: malformed.encode(other) for other in malformed.endings()}
    assert _try(originals[ending], f"x{ending}") == "image"
    outcomes = collections.Counter()
    for number in range(num):
        other = originals[str(rng.choice(list(originals)))]
        damaged = malformed.mutate(rng, originals[ending], other)
        try:
            outcomes[_try(damaged, f"x{ending}")] += 1
        except Exception as error:
            raise AssertionError(f"mutation {number}: {type(error).__name__}: {error}") from error
    assert outcomes.total() == num and outcomes["unreadable"] > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("num_good", "num_bad"), [(20, 60), pytest.param(60, 200, marks=pytest.mark.slow)])
def test_malformed_entries_in_a_good_folder(tmp_path, num_good, num_bad):
    good = {f"good{i:03d}.png" for i in range(num_good)}
    for i, name in enumerate(sorted(good)):
        PIL.Image.fromarray(malformed.pixels(1000 + i)).save(tmp_path / name)
    bad = malformed.spoil(tmp_path, num_bad, seed=num_bad)
    source = data.open_images(tmp_path, max_pixels=_MAX_PIXELS)
    assert len(set(source.paths)) == len(source)
    read, skipped = collections.Counter(), collections.Counter()
    values = {}
    for batch in data.batches(source, range(len(source)), batch_size=16, size=16, workers=4):
        read.update(np.asarray(batch.ids)[batch.valid].tolist())
        skipped.update(name for name, reason in batch.skipped if reason)
        values |= dict(zip(np.asarray(batch.ids)[batch.valid], batch.images[batch.valid], strict=True))
    # None lost: every good image is read as it is; none doubled.
    for name in good:
        expected = data.fit(np.asarray(PIL.Image.open(tmp_path / name)), 16, crop_fraction=data.CROP_FRACTION)
        np.testing.assert_array_equal(values[name], expected)
    assert set((read + skipped).values()) == {1}
    assert not set(read) & set(skipped)
    # None silent: what is not read is skipped by name, named, or counted.
    passed = source.passed_over
    named = {path for path, _ in passed.named}
    counted = passed.hidden + sum(passed.endings.values())
    texts = {names.text_of(name) for name in bad}
    uncounted = texts - set(read) - set(skipped) - named
    assert uncounted == {".hidden.png", "notes.txt", "film.mp4", "no_ending"} and counted == len(uncounted)
    assert set(read) | set(skipped) | named | uncounted == good | texts
    assert {"pipe.jpg", "device.png", "nowhere.png", "itself.png", "up", "socket.png"} == named
