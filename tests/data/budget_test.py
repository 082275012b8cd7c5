"""What is decoded at a time is bounded, whatever the number of threads; larger images are named and passed over."""

import io
import threading
import time
import zlib

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data
from causal_iqa.data import budget, decoding, formats


def _png(height: int, width: int, value: int = 7) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_larger_images_than_the_budget_are_named():
    assert decoding.decode(_png(10, 20), "x", max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(data.UnreadableImage, match=r"20 x 10 pixels are more than the budget of 199 \(max_pixels\)"):
        decoding.decode(_png(10, 20), "x", max_pixels=199)


def test_a_header_of_a_huge_image_is_refused_before_anything_is_decoded():
    header = b"\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"  # 100,000 squared, RGB.
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    with pytest.raises(data.UnreadableImage, match=f"100000 x 100000 pixels .* budget of {budget.MAX_PIXELS}"):
        decoding.decode(png + b"\x00\x00\x00\x00IDAT", "x")


def test_large_files_are_refused_unread(tmp_path):
    sparse = tmp_path / "a.png"
    with open(sparse, "wb") as file:
        file.write(_png(4, 4))
        file.truncate(2**42)
    with pytest.raises(data.UnreadableImage, match=r"4398046511104 bytes are more than"):
        data.open_images(sparse)[0]


def test_strips_change_no_pixel(monkeypatch):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (50, 40, 4), dtype=np.uint8)
    grey16 = rng.integers(0, 65536, (50, 40), dtype=np.uint16)
    for pixels, format in ((rgba, "PNG"), (grey16, "PNG"), (rgba[..., :3], "PNG"), (rgba[..., :3], "GIF")):
        file = io.BytesIO()
        PIL.Image.fromarray(pixels).save(file, format)
        whole = decoding.decode(file.getvalue(), "x")
        with monkeypatch.context() as patch:
            patch.setattr(decoding, "_STRIP_PIXELS", 280)
            np.testing.assert_array_equal(decoding.decode(file.getvalue(), "x"), whole)


def test_memory_of_a_decoded_image_goes_back_to_the_system():
    formats.load_plugins()
    assert PIL.Image.core.get_block_size() > 2**25  # The C library keeps smaller blocks for the thread.


def test_threads_share_the_budget():
    running, most, lock = [0], [0], threading.Lock()

    def work(weight):
        with budget.spend(weight, 1000):
            with lock:
                running[0] += weight
                most[0] = max(most[0], running[0])
            time.sleep(0.002)
            with lock:
                running[0] -= weight

    threads = [threading.Thread(target=work, args=(weight,)) for weight in [400, 300, 1000, 5, 999] * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert running == [0] and 0 < most[0] <= 1000


def test_budget_is_held_until_the_image_is_used_and_given_back():
    free = threading.Event()

    def other():
        with budget.spend(1234, 1234):
            free.set()

    thread = threading.Thread(target=other)
    with budget.held_until_used():
        with budget.spend(700, 1234):
            pass
        with budget.spend(800, 1234):  # The one before is given back: the two do not fit together.
            pass
        thread.start()
        assert not free.wait(0.05)
    assert free.wait(60)
    thread.join()


def test_more_images_than_fit_at_once_all_come_through_the_batcher(tmp_path):
    for i in range(12):
        (tmp_path / f"{i:02d}.png").write_bytes(_png(30, 30, i))
    source = data.open_images(tmp_path, max_pixels=1000)
    batches = list(data.batches(source, range(12), batch_size=5, size=16, workers=6))
    values = np.concatenate([batch.images[batch.valid][:, 0, 0, 0] for batch in batches])
    np.testing.assert_array_equal(values, np.arange(12))
    small = data.open_images(tmp_path, max_pixels=899)
    (batch,) = data.batches(small, range(12), batch_size=12, size=16)
    assert not batch.valid.any() and len(batch.skipped) == 12


@pytest.mark.parametrize("open_any", [data.open_folder, data.open_images])
def test_budget_must_be_positive(open_any, tmp_path):
    with pytest.raises(InputError, match="max_pixels: expected at least one pixel, got 0"):
        open_any(tmp_path, max_pixels=0)
