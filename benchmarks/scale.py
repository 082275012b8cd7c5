"""What a very large set of images takes: measured on few images, and on many names of images, then multiplied.

  python -m benchmarks.scale --images=DIR --number=1e9 --price=.04 --json=scale.json

Seconds are those that the processor worked, so that other work on the machine and the number of cores do not matter;
compilation is left out, for each worker compiles once. The price is of a core for an hour, in any currency.
"""

import json
import pathlib
import resource
import tempfile
import time

import jax
from absl import app, flags

from causal_iqa import _files, _score, data, pipeline
from causal_iqa.cli import common

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs that stand for all.", required=True)
_NUMBER = flags.DEFINE_float("number", 1e9, "Images of the set.")
_PRICE = flags.DEFINE_float("price", 0.04, "Price of a core for an hour.")
_NAMES = flags.DEFINE_integer("names", 200_000, "Empty files that are listed.")
_JSON = flags.DEFINE_string("json", None, "File to write.")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _scored(folder: str) -> dict[str, float]:
    """Scores a folder once to compile and once for the clock; parts and totals as `--noreport` leaves them."""
    chosen, _ = _score.default_backbones()
    work = _score.prepare(pipeline.ScoringConfig(images=(folder,), backbones=chosen), None, pipeline.Execution())
    diagnose = _score.diagnosis()
    scorer = pipeline.PartScorer(work, pipeline.Execution(), diagnose)
    first = next(pipeline.parts_of(work.sets))
    list(scorer.score([first]))
    with tempfile.TemporaryDirectory() as output:
        store = pipeline.ScoringStore(output, work, {})
        totals, adding = [], 0.0
        with store.locked():
            start, before = time.perf_counter(), _processor()
            for part in pipeline.parts_of(work.sets):
                stamp = pipeline.stamp_of(work.sets[0], part)
                ((table, skipped),) = scorer.score([part])
                store.write(part, stamp, table, skipped)
                begun = _processor()
                totals.append(pipeline.part_totals(work, part, table, len(skipped)))
                adding += _processor() - begun
            processor, seconds = _processor() - before, time.perf_counter() - start
            begun = _processor()
            pipeline.merge_totals(totals).write(output)
            adding += _processor() - begun
        size = sum(path.stat().st_size for path in pathlib.Path(output, "scores").iterdir())
        totals_size = pathlib.Path(output, pipeline.TOTALS_FILE).stat().st_size
    return {
        "images": work.num_images,
        "processor_ms_an_image": 1e3 * processor / work.num_images,
        "images_per_second_and_core": work.num_images / processor,
        "wall_clock_seconds": seconds,
        "of_which_totals_ms_an_image": 1e3 * adding / work.num_images,
        "bytes_an_image_of_parts": size / work.num_images,
        "bytes_of_totals": totals_size,
    }


def _listed(number: int) -> dict[str, float]:
    """Lists empty files as every worker lists the images, and stamps a part of them."""
    with tempfile.TemporaryDirectory() as root:
        for first in range(0, number, 1000):
            folder = pathlib.Path(root, f"folder{first // 1000:06d}")
            folder.mkdir()
            for i in range(first, first + 1000):
                (folder / f"image{i:09d}.jpg").touch()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        sets = data.open_sets([root])
        listing = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        start = time.perf_counter()
        stamps = [pipeline.stamp_of(sets[0], part) for part in pipeline.parts_of(sets)]
        stamping = time.perf_counter() - start
    return {
        "names": len(sets[0].source),
        "parts": len(stamps),
        "listing_us_an_image": 1e6 * listing / number,
        "stamping_us_an_image": 1e6 * stamping / number,
        "bytes_of_memory_an_image": 1024 * memory / number,
    }


def main(_: list[str]) -> None:
    """Measures and multiplies."""
    common.one_device_per_core()
    number, price = _NUMBER.value, _PRICE.value
    # First, for the memory that scoring takes would hide that of the names.
    listed = _listed(_NAMES.value)
    scored = _scored(_IMAGES.value)
    hours = number * scored["processor_ms_an_image"] / 3.6e6
    found = {
        "jax": jax.__version__,
        "listing": listed,
        "scoring": scored,
        "the whole set": {
            "images": number,
            "core_hours": hours,
            "price": hours * price,
            "days_on_1000_cores": hours / 1000 / 24,
            "gigabytes_of_parts": number * scored["bytes_an_image_of_parts"] / 1e9,
            "gigabytes_of_names_in_every_worker": number * listed["bytes_of_memory_an_image"] / 1e9,
            "hours_of_listing_in_every_worker": number * listed["listing_us_an_image"] / 3.6e9,
            "hours_of_stamping": number * listed["stamping_us_an_image"] / 3.6e9,
        },
    }
    print(json.dumps(found, indent=1))
    if _JSON.value is not None:
        _files.write_text(_JSON.value, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
