"""Choice, size policy and batching, on sources that count what is asked of them."""

import dataclasses
import itertools
import threading
import time

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data


def _pixels(index: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (*shape, 3), dtype=np.uint8)


@dataclasses.dataclass
class FakeSource:
    """Images made from their index; some are unreadable; decoding takes a moment that differs by image."""

    length: int = 20
    image_shape: tuple[int, int] | None = (8, 8)
    class_names: tuple[str, ...] = ("a", "b", "c")
    broken: frozenset[int] = frozenset()
    duplicate: int = -1
    fatal: int = -1
    delay: float = 0.0
    name: str = "fake"
    split: str | None = None
    decoded: list[int] = dataclasses.field(default_factory=list)

    def __len__(self):
        return self.length

    def id(self, index):
        return f"image{0 if index == self.duplicate else index}"

    def label(self, index):
        return (-1, 0, 0, 1, 0, 2)[index % 6]

    def __getitem__(self, index):
        self.decoded.append(index)
        time.sleep(self.delay * (index * 7 % 5))
        if index in self.broken:
            raise data.UnreadableImage(self.id(index), "broken on purpose")
        if index == self.fatal:
            raise RuntimeError("disk on fire")
        shape = self.image_shape or (10 + index, 16)
        return data.Example(_pixels(index, shape), self.label(index), self.id(index))


class WholeSource(FakeSource):
    """Renders many images at once."""

    def batch(self, indices):
        self.decoded.append(len(indices))
        return [FakeSource.__getitem__(self, i) for i in indices]

    def __getitem__(self, index):
        raise AssertionError("the batcher must use batch()")


def _read(source, indices, **options):
    options = {"batch_size": 4, "size": 8, "workers": 3} | options
    return list(data.batches(source, indices, **options))


# choose


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("exclude", [frozenset(), {"image3", "image4", "image7"}])
def test_shorter_choice_is_a_prefix_of_a_longer_one(balanced, exclude):
    source = FakeSource(30)
    everything = data.choose(source, None, seed=5, exclude_ids=exclude, balanced=balanced)
    for k in range(1, everything.size + 1):
        np.testing.assert_array_equal(
            data.choose(source, k, seed=5, exclude_ids=exclude, balanced=balanced), everything[:k]
        )
    allowed = {i for i in range(30) if source.id(i) not in exclude and (not balanced or source.label(i) >= 0)}
    assert set(everything) == allowed and everything.size == len(allowed)
    assert everything.dtype == np.int64


def test_choice_depends_on_the_seed_and_is_spread():
    source = FakeSource(200)
    first, again, other = (data.choose(source, 50, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    counts = np.zeros(20)
    for seed in range(600):
        counts[data.choose(FakeSource(20), 5, seed=seed)] += 1
    # Each image is chosen with probability 1/4: mean 150, standard deviation 10.6; five of them as the bound.
    assert np.abs(counts - 150).max() < 53


def test_balanced_choice_takes_turns_until_a_class_runs_out():
    source = FakeSource(36)  # labels: six -1, eighteen 0, six 1, six 2
    chosen = data.choose(source, None, seed=1, balanced=True)
    labels = np.array([source.label(i) for i in chosen])
    for turn in labels[:18].reshape(6, 3):
        assert sorted(turn) == [0, 1, 2]
    assert (labels[18:] == 0).all()
    assert labels.size == 30


def test_choice_reads_only_the_ids_it_needs():
    source = FakeSource(1000)
    asked = []
    original = source.id
    source.id = lambda index: asked.append(index) or original(index)
    data.choose(source, 3, seed=0, exclude_ids={"image1"})
    assert len(asked) <= 4
    assert source.decoded == []


def test_labelled_choice_passes_over_the_unlabelled():
    source = FakeSource(36)  # labels: six -1
    everything = data.choose(source, None, seed=4)
    chosen, passed_over = data.choose_labelled(source, None, seed=4)
    np.testing.assert_array_equal(chosen, [i for i in everything if source.label(i) >= 0])
    assert passed_over == 6 and chosen.dtype == np.int64
    for k in (1, 7, 30):
        first = data.choose_labelled(source, k, seed=4)
        np.testing.assert_array_equal(first.indices, chosen[:k])
        assert first.num_unlabelled <= 6
    labelled = dataclasses.replace(source)
    labelled.label = lambda index: 1
    np.testing.assert_array_equal(data.choose_labelled(labelled, 9, seed=4).indices, data.choose(source, 9, seed=4))
    with pytest.raises(InputError, match=r"31 images of fake .* only 30 labelled images exist \(36 in all\)"):
        data.choose_labelled(source, 31, seed=4)
    labelled.label = lambda index: -1
    with pytest.raises(InputError, match="labels: none of the 36 images of fake"):
        data.choose_labelled(labelled, None, seed=4)


@pytest.mark.parametrize("label", [3, -2])
def test_a_label_that_is_no_class_is_refused(label):
    source = FakeSource(4)
    source.label = lambda index: label
    with pytest.raises(InputError, match=f"label: expected a class from 0 to 2, or -1 for unlabelled, got {label} of"):
        _read(source, range(4))


def test_too_many_or_no_images_is_said():
    with pytest.raises(InputError, match=r"expected 21 images of fake .* only 20 exist"):
        data.choose(FakeSource(20), 21, seed=0)
    with pytest.raises(InputError, match=r"only 18 exist \(20 in all, 2 ids excluded\)"):
        data.choose(FakeSource(20), 19, seed=0, exclude_ids={"image1", "image2"})
    assert data.choose(FakeSource(20), 21, seed=0, at_most=True).size == 20
    assert data.choose(FakeSource(1), 5, seed=0, at_most=True, balanced=True).size == 0
    with pytest.raises(InputError, match="at least one"):
        data.choose(FakeSource(20), 0, seed=0)
    with pytest.raises(InputError, match="only 0"):
        data.choose(FakeSource(0), None, seed=0)
    with pytest.raises(InputError, match="only 0 labelled"):
        data.choose(FakeSource(1), None, seed=0, balanced=True)


# fit


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (7, 9), (33, 33)])
@pytest.mark.parametrize("fraction", [0.875, 1.0, 0.5])
def test_fit_equals_pillow(shape, fraction):
    image = _pixels(3, shape)
    side = round(min(shape) * fraction)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    expected = (
        PIL.Image.fromarray(image).crop((left, top, left + side, top + side)).resize((24, 24), PIL.Image.BILINEAR)
    )
    fitted = data.fit(image, 24, crop_fraction=fraction)
    assert fitted.dtype == np.uint8
    np.testing.assert_array_equal(fitted, np.asarray(expected))


def test_fit_averages_when_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = data.fit(stripes, 16, crop_fraction=1.0)[:, 2:-2]
    assert np.abs(inner.astype(int) - 128).max() <= 16  # point sampling would give 0 or 255


def test_fit_is_exact_where_nothing_changes():
    image = _pixels(0, (8, 8))
    np.testing.assert_array_equal(data.fit(image, 8, crop_fraction=1.0), image)
    np.testing.assert_array_equal(data.fit(image, 7), image[:7, :7])


@pytest.mark.parametrize("bad", [{"size": 0}, {"crop_fraction": 0.0}, {"crop_fraction": 1.5}])
def test_fit_refuses_senseless_numbers(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        data.fit(_pixels(0, (8, 8)), **({"size": 8} | bad))
    with pytest.raises(TypeError, match="uint8"):
        data.fit(np.zeros((8, 8, 3), np.float32), 8)


@pytest.mark.parametrize(
    ("image_shape", "size", "expected"),
    [
        ((8, 8), 8, lambda image: image),
        ((8, 8), 12, lambda image: data.fit(image, 12, crop_fraction=1.0)),
        ((8, 12), 8, lambda image: image[:, 2:10]),
        (None, 8, lambda image: data.fit(image, 8, crop_fraction=0.875)),
    ],
)
def test_size_policy_follows_the_source(image_shape, size, expected):
    for kind in (FakeSource, WholeSource):
        (batch,) = _read(kind(image_shape=image_shape), [2, 5], batch_size=2, size=size)
        for image, index in zip(batch.images, (2, 5), strict=True):
            np.testing.assert_array_equal(image, expected(_pixels(index, image_shape or (10 + index, 16))))


# batches


@pytest.mark.parametrize("kind", [FakeSource, WholeSource])
@pytest.mark.parametrize(("workers", "prefetch", "batch_size"), [(1, 0, 4), (4, 3, 4), (2, 1, 7), (3, 50, 1)])
def test_order_is_that_of_the_indices(kind, workers, prefetch, batch_size):
    indices = data.choose(FakeSource(20), 19, seed=2)
    options = {"workers": workers, "prefetch": prefetch, "batch_size": batch_size}
    read = _read(kind(20, delay=0.001), indices, **options)
    assert len(read) == -(-19 // batch_size)
    for batch in read:
        assert batch.images.shape == (batch_size, 8, 8, 3) and batch.images.dtype == np.uint8
        assert batch.labels.dtype == np.int32 and batch.valid.dtype == bool and len(batch.ids) == batch_size
    rows = [row for batch in read for row in zip(batch.ids, batch.labels, batch.images, batch.valid, strict=True)]
    kept = [row for row in rows if row[3]]
    assert [id for id, *_ in kept] == [f"image{i}" for i in indices]
    for (_, label, image, _), index in zip(kept, indices, strict=True):
        assert label == FakeSource().label(index)
        np.testing.assert_array_equal(image, _pixels(index, (8, 8)))


def test_last_batch_repeats_its_last_image():
    batch = _read(FakeSource(), [0, 1, 2, 3, 4, 5])[-1]
    assert batch.valid.tolist() == [True, True, False, False]
    assert batch.ids == ("image4", "image5", "image5", "image5")
    np.testing.assert_array_equal(batch.images[2:], np.stack([batch.images[1]] * 2))
    assert (batch.labels[2:] == batch.labels[1]).all()


def test_unreadable_images_are_reported_and_left_out():
    source = FakeSource(12, broken=frozenset({1, 4, 5, 6, 7}))
    first, second, third = _read(source, range(12))
    assert first.valid.tolist() == [True, False, True, True]
    assert first.skipped == (("image1", "broken on purpose"),)
    assert first.ids == ("image0", "image3", "image2", "image3")
    assert not second.valid.any()
    assert [id for id, _ in second.skipped] == ["image4", "image5", "image6", "image7"]
    assert second.images.shape == (4, 8, 8, 3) and not second.images.any()
    assert set(second.labels) == {-1} and set(second.ids) == {""}
    assert third.valid.all() and third.skipped == ()


def test_no_indices_no_batches():
    assert _read(FakeSource(), []) == []


@pytest.mark.parametrize("kind", [FakeSource, WholeSource])
def test_other_exceptions_propagate_in_order(kind):
    iterator = data.batches(kind(20, fatal=6), range(20), batch_size=4, size=8)
    assert next(iterator).valid.all()
    with pytest.raises(RuntimeError, match="disk on fire"):
        next(iterator)
    assert _threads() == []


def test_ids_must_be_unique():
    with pytest.raises(InputError, match=r"'image0' names images 0 and 9"):
        _read(FakeSource(duplicate=9), range(12))
    assert len(_read(FakeSource(), [3, 3, 3, 3, 3])) == 2  # one image asked for twice is no clash


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("causal_iqa-data")]


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_leaving_early_ends_the_threads(leave):
    source = FakeSource(400, delay=0.001)
    iterator = data.batches(source, range(400), batch_size=4, size=8, workers=4)
    next(iterator)
    assert _threads()
    if leave == "close":
        iterator.close()
    del iterator
    assert _threads() == []
    assert len(source.decoded) <= 12


def test_prefetch_is_bounded():
    source = FakeSource(400)
    iterator = data.batches(source, range(400), batch_size=4, size=8, workers=4, prefetch=2)
    for taken, _ in enumerate(itertools.islice(iterator, 5), 1):
        time.sleep(0.01)
        assert len(source.decoded) <= 4 * (taken + 2)
    iterator.close()


def test_prefetched_images_are_ready_while_the_consumer_works():
    source = FakeSource(40)
    iterator = data.batches(source, range(40), batch_size=4, size=8, workers=2, prefetch=2)
    next(iterator)
    # The consumer asks for nothing more; the bound only ends the wait when no one reads ahead.
    for _ in range(30_000):
        if len(source.decoded) >= 12:
            break
        time.sleep(0.001)
    assert len(source.decoded) >= 12
    iterator.close()


@pytest.mark.parametrize(
    "bad", [{"batch_size": 0}, {"workers": 0}, {"prefetch": -1}, {"size": 0}, {"crop_fraction": 2}]
)
def test_bad_numbers_are_refused_at_the_call(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        data.batches(FakeSource(), [0], **({"batch_size": 4, "size": 8} | bad))


def test_folder_to_batches_with_a_damaged_file(tmp_path):
    (tmp_path / "class").mkdir()
    for i in range(5):
        PIL.Image.fromarray(_pixels(i, (20, 16 + i))).save(tmp_path / "class" / f"{i}.png")
    (tmp_path / "class" / "2.png").write_bytes((tmp_path / "class" / "2.png").read_bytes()[:200])
    source = data.open_folder(tmp_path)
    (batch,) = _read(source, range(5), batch_size=5, size=8)
    assert batch.valid.tolist() == [True, True, False, True, True]
    ((id, reason),) = batch.skipped
    assert id == "class/2.png" and reason
    np.testing.assert_array_equal(batch.images[4], data.fit(_pixels(4, (20, 20)), 8))
