"""Writes docs/study_tasks.md: segmentation and detection under 19 degradations at 5 severities, one command.

  python -m benchmarks.study_tasks --output_dir=results/tasks --page=docs/study_tasks.md

Photographs of the shared folder, stretched to a square of 224 pixels, for which ImageNet-C publishes its parameters;
DeepLabV3 sees them at 513, FastestDet at 352. Both networks run on the very images that the study scores
(`pipeline.degraded_images`); their predictions are kept image by image, and quality by eight images, so a run that was
killed goes on. Quality is scored once, from a table of stand-ins for performance, so that neither long part waits for
the other; each performance is then put beside it (`pipeline.attach`). Needs the extras onnx, tflite and imagenet.
"""

import csv
import functools
import pathlib
import zlib
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from absl import app, flags, logging

from benchmarks import coco_networks, harness
from causal_iqa import _files, alignment, backbones, data, images, pipeline, tasks
from causal_iqa.analysis import findings
from causal_iqa.estimates import Estimate
from causal_iqa.report import format, record
from causal_iqa.report import study as study_report
from tests import shared

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "results/tasks", "Where predictions, runs and reports go.")
_PAGE = flags.DEFINE_string("page", "docs/study_tasks.md", "The page whose tables are filled in.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", None, "So many photographs, those with masks first; all by default.")
_ONLY = flags.DEFINE_enum(
    "only", None, ["predictions", "quality"], "One of the two long parts alone: two processes may share the work."
)
_NUM_MASKS = flags.DEFINE_integer("num_masks", None, "So many of them are segmented, a third of a minute each; all.")

# ImageNet-C publishes its parameters for this side.
SIDE = 224
_MOST_BOXES = 64
_SLOTS = 100
# What a kill can cost: quality of one photograph under 96 conditions takes a sixth of a minute.
_PART_IMAGES = 8
# Boxes of this score and more count as detected where a detector's own confidence is averaged.
SURE = 0.3
# Name of the run -> network, what reports call its performance.
RUNS = {
    "segmentation": ("deeplab", "mean IoU"),
    "detection": ("fastestdet", "AP at IoU .5"),
    "detection_f1": ("fastestdet", "F1 at IoU .5"),
}


def photographs() -> data.AnnotatedSource:
    """The photographs with their boxes."""
    root = shared.ROOT / "data" / "coco128"
    return data.open_boxes(root / "images", root / "boxes", root / "box_classes.txt", max_pixels=data.MAX_PIXELS)


def mask_of(image_id: str) -> np.ndarray | None:
    """The mask of a photograph in the 21 classes of VOC at the side of DeepLab, -1 where it is not known; or None."""
    root = shared.ROOT / "data" / "coco128"
    path = root / "masks" / pathlib.PurePath(image_id).with_suffix(".png").name
    if not path.exists():
        return None
    label = np.full(256, -1, np.int32)
    with open(root / "mask_classes.csv", newline="") as file:
        for row in csv.DictReader(file):
            label[int(row["mask_value"])] = int(row["voc_label"])
    label[[0, 255]] = -1
    side = coco_networks.DEEPLAB_SIDE
    with PIL.Image.open(path) as mask:
        return label[np.asarray(mask.resize((side, side), PIL.Image.Resampling.NEAREST))]


def order(source: data.AnnotatedSource) -> list[int]:
    """Places of the photographs, those with masks first, then by a hash of their names."""
    masked = {id: mask_of(id) is not None for id in source.images.paths}
    key = [(not masked[id], zlib.crc32(id.encode())) for id in source.images.paths]
    return sorted(range(len(source)), key=key.__getitem__)


def study_config(performance: str, name: str = RUNS["detection"][1]) -> pipeline.StudyConfig:
    """The study of one performance."""
    root = shared.ROOT / "data"
    return pipeline.StudyConfig(
        dataset=f"boxes:{root / 'coco128' / 'images'}",
        annotations=str(root / "coco128" / "boxes"),
        classes=str(root / "coco128" / "box_classes.txt"),
        image_size=SIDE,
        num_images=None,
        performance=performance,
        performance_name=name,
        performance_range=(0.0, 1.0),
        backbones=(pipeline.NetworkChoice.parse("efficientnet_lite0"),),
        anchor_dataset=f"folder:{root / 'imagenet_sample' / 'validation'}",
        anchor_classes=str(root / "imagenet_sample" / "imagenet_wnids.txt"),
        num_anchors=350,
    )


def predict(folder: pathlib.Path, source: data.AnnotatedSource, chosen: Sequence[int], segmented: set[str]) -> None:
    """Runs both networks on every image under every condition, and keeps what they predict.

    Args:
      folder: ID.npz holds "det", raw outputs float16 [C, 85, 22, 22], and "seg", masks uint8 [C, 513, 513].
      source: the photographs.
      chosen: places of them.
      segmented: ids of those that DeepLab sees.
    """
    side = coco_networks.DEEPLAB_SIDE
    sides = (side, coco_networks.DETECTOR_SIDE)
    none = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    seen = [backbones.Preprocessing(s, 1.0, *none, smallest=s, fixed_size=True) for s in sides]
    weights = shared.ROOT / "weights" / "coco"
    segment = backbones.tflite_runner(weights / "deeplabv3_mnv2_pascal_quant.tflite", seen[0])
    detect = backbones.onnx_runner(weights / "FastestDet.onnx", seen[1], channels="BGR")
    enlarge = [jax.jit(lambda x, s=s: images.resize(x, s, s, "bilinear")) for s in sides]
    config = study_config("-")
    missing = [i for i in chosen if not (folder / f"{source.id(i)}.npz").exists()]
    for done, (image_id, degraded) in enumerate(pipeline.degraded_images(config, source, missing, SIDE), 1):
        found: dict[str, np.ndarray] = {
            "det": np.concatenate([detect.run(np.asarray(enlarge[1](x))[None])[0] for x in degraded]).astype(np.float16)
        }
        if image_id in segmented:
            masks = [segment.run(np.asarray(enlarge[0](x))[None])[0] for x in degraded]
            found["seg"] = np.concatenate(masks).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        harness.save_arrays(folder / f"{image_id}.npz", found)
        logging.info("predictions: %d of %d images", done, len(missing))


class Judge:
    """Performances of one photograph under all conditions, and what its set is made of."""

    def __init__(self) -> None:
        count = coco_networks.VOC_CLASSES
        self.pixels = jax.jit(jax.vmap(lambda p, t: tasks.class_pixels(p, t, num_classes=count), in_axes=(0, None)))
        precision = functools.partial(tasks.average_precision, num_classes=coco_networks.COCO_CLASSES)
        self.precision, self.f1, self.match = (
            jax.jit(jax.vmap(of, in_axes=(0, None, None))) for of in (precision, tasks.box_f1, tasks.match_boxes)
        )

    def masks(self, predicted: np.ndarray, mask: np.ndarray) -> tasks.ClassPixels:
        """Pixels of every class [C, K]."""
        return jax.device_get(self.pixels(jnp.asarray(predicted, jnp.int32), mask))

    def boxes(self, raw: np.ndarray, truth: data.Boxes) -> dict[str, np.ndarray]:
        """Average precision, F1 and matches [C, ...]."""
        padded = backbones.padded_detections([coco_networks.decode(one) for one in raw], most=_SLOTS)
        boxes, classes = np.zeros((_MOST_BOXES, 4), np.float32), np.full(_MOST_BOXES, -1, np.int32)
        boxes[: len(truth.classes)], classes[: len(truth.classes)] = truth
        given = tasks.Detections(*map(jnp.asarray, padded)), boxes, classes
        found = {"detection": self.precision(*given), "detection_f1": self.f1(*given), "matches": self.match(*given)}
        return jax.device_get(found)


def performances(folder: pathlib.Path, source: data.AnnotatedSource, chosen: Sequence[int]) -> Iterator[tuple]:
    """Yields (id, {run: performance [C]}, pixels [C, K] or None, matches, classes of the truth) of every photograph."""
    judge = Judge()
    for index in chosen:
        image_id = source.id(index)
        with np.load(folder / f"{image_id}.npz") as kept:
            truth = source.target(index).boxes
            assert truth is not None, "the source is opened with boxes"
            found = judge.boxes(kept["det"], truth)
            matches, pixels = found.pop("matches"), None
            mask = mask_of(image_id)
            if "seg" in kept and mask is not None:
                pixels = judge.masks(kept["seg"], mask)
                found["segmentation"] = np.asarray(tasks.mean_iou(pixels))
        yield image_id, found, pixels, matches, truth.classes


def set_numbers(rows: Sequence[tuple], num_conditions: int) -> dict[str, np.ndarray]:
    """mIoU and mAP of the whole set under every condition [C]."""
    pixels = [row[2] for row in rows if row[2] is not None]
    whole = tasks.ClassPixels(*(np.sum([getattr(one, field) for one in pixels], axis=0) for field in pixels[0]._fields))
    num_true = np.bincount(np.concatenate([row[4] for row in rows]), minlength=coco_networks.COCO_CLASSES)
    precision = []
    for c in range(num_conditions):
        parts = [
            np.concatenate([getattr(row[3], field)[c] for row in rows]) for field in ("scores", "classes", "found")
        ]
        scores, classes, hits = parts
        precision.append(np.nanmean(tasks.set_average_precision(scores, classes, hits, num_true)))
    return {"mIoU": np.asarray(tasks.mean_iou(whole)), "mAP": np.array(precision)}


def write_tables(folder: pathlib.Path, rows: Sequence[tuple], conditions: Sequence[str]) -> dict[str, pathlib.Path]:
    """Writes a table of performance for every run."""
    paths = {}
    for run, (network, _) in RUNS.items():
        paths[run] = folder / f"{run}.csv"
        cells: list[tuple[str | float, ...]] = [("image_id", "condition", "network", "performance")]
        for image_id, found, *_ in rows:
            for condition, value in zip(conditions, found.get(run, ()), strict=run in found):
                cells.append((image_id, condition, network, float(f"{value:.7g}")))
        _files.write_text(paths[run], _files.csv_text(cells))
    return paths


def stand_ins(path: pathlib.Path, image_ids: Sequence[str], conditions: Sequence[str]) -> pathlib.Path:
    """Writes a table that names the images of the study; its numbers are their places, and nothing reads them."""
    cells: list[tuple[str | float, ...]] = [("image_id", "condition", "network", "performance")]
    for place, image_id in enumerate(image_ids):
        cells += [(image_id, condition, "none", place / len(image_ids)) for condition in conditions]
    path.parent.mkdir(parents=True, exist_ok=True)
    _files.write_text(path, _files.csv_text(cells))
    return path


def quality(
    folder: pathlib.Path, image_ids: Sequence[str], conditions: Sequence[str]
) -> tuple[pipeline.Study, pipeline.ScoreTable]:
    """Scores the quality of every image under every condition."""
    study = pipeline.prepare(study_config(str(stand_ins(folder / "images.csv", image_ids, conditions))))
    details = study.config, study.provenance, study.details
    output = pipeline.Store(folder / "quality", *details, images_per_part=_PART_IMAGES)
    return study, pipeline.run(
        study, output, progress=lambda done, total: logging.info("quality: %d of %d", done, total)
    )


def report(
    folder: pathlib.Path,
    paths: Mapping[str, pathlib.Path],
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    scores: pipeline.ScoreTable,
    details: Mapping,
) -> None:
    """Analyses every run and writes its report."""
    for run, (_, name) in RUNS.items():
        own = study_config(str(paths[run]), name)
        own, table = pipeline.attach(own, scores, pipeline.read_table(paths[run], bounds=(0.0, 1.0)))
        names = tuple(choice.name for choice in own.networks)
        placed = [pipeline.Column(**{**vars(column), "networks": names}) for column in columns]
        found = findings.analyse(own, placed, table)
        place = folder / run
        (place / "figures").mkdir(parents=True, exist_ok=True)
        _files.write_json(place / "config.json", {"config": own.to_json(), **details})
        logging.info("%s\n%s", run, study_report.write(place, own, table, found, details))


def ceilings(folder: pathlib.Path, rows: Sequence[tuple], clean: int) -> str:
    """What the networks' own outputs say of their performance: how far a score could come that knew them.

    The detector's surest box, and the mean score of its boxes of .3 and more; the mean IoU of the masks with those that
    the network predicts for the clean photograph, which reads that photograph, too.

    Args:
      folder: predictions.
      rows: as `performances` yields them.
      clean: place of the clean condition.

    Returns:
      A sentence and a table: between, within and pooled of each.
    """
    judge, said = Judge(), {}
    for image_id, found, *_ in rows:
        with np.load(folder / f"{image_id}.npz") as kept:
            scores = [coco_networks.decode(one)[1] for one in kept["det"]]
            sure = [one[one >= SURE] for one in scores]
            own = {
                ("detection", "surest box"): np.array([one.max(initial=0.0) for one in scores]),
                ("detection", f"mean score of boxes of {SURE} and more"): np.array(
                    [one.mean() if one.size else 0.0 for one in sure]
                ),
            }
            if "segmentation" in found:
                masks = kept["seg"]
                agreed = tasks.mean_iou(judge.masks(masks, np.asarray(masks[clean], np.int32)))
                own["segmentation", "mean IoU with the masks of the clean photograph"] = np.asarray(agreed)
        for (run, name), values in own.items():
            said.setdefault((run, name), []).append((values, found[run]))
    lines = ["What a score could reach that knew the networks' own outputs:", ""]
    lines += ["| performance | the network's own | between | within | pooled |", "|---|---|---|---|---|"]
    for (run, name), pairs in said.items():
        q, m = (np.delete(np.array(values).T, clean, axis=0) for values in zip(*pairs, strict=True))
        numbers = alignment.between(q, m), alignment.within(q, m).rho, alignment.pooled(q, m)
        cells = " | ".join(f"{float(value):.3f}" for value in numbers)
        lines.append(f"| {RUNS[run][1]} | {name} | {cells} |")
    return "\n".join(lines)


def set_table(numbers: Mapping[str, np.ndarray], rows: Sequence[tuple], conditions: Sequence[str]) -> str:
    """Means over images beside the numbers of the set, clean and in the mean of the degraded conditions."""
    lines = ["| performance | clean | mean of the conditions |", "|---|---|---|"]
    clean = conditions.index("clean/0")

    def line(name: str, values: np.ndarray) -> str:
        return f"| {name} | {values[clean]:.3f} | {np.nanmean(np.delete(values, clean)):.3f} |"

    for run, (network, name) in RUNS.items():
        values = np.array([found[run] for _, found, *_ in rows if run in found])
        lines.append(line(f"{name}, mean of {len(values)} images ({network})", np.nanmean(values, axis=0)))
    return "\n".join([*lines, *(line(f"{name} of the set", values) for name, values in numbers.items())])


def pooled_rows(runs: Mapping[str, record.Recorded]) -> str:
    """Rows for the table of MIQD-2.5M: the best pooled number of every family, with its score."""
    rows = []
    for family in ("no_reference", "full_reference", "feature_reference", "label_free"):
        cells = []
        for run in ("detection", "segmentation"):
            of_family = {
                name: one.number("pooled")[0].value
                for name, one in runs[run].summary.metrics.items()
                if one.family == family and np.isfinite(one.number("pooled")[0].value)
            }
            best = max(of_family, key=of_family.__getitem__)
            cells.append(f"{of_family[best]:.3f} (`{best}`)")
        rows.append(f"| {family.replace('_', ' ')}, the best | | {' | '.join(cells)} |")
    return "\n".join(rows)


def bars(runs: Mapping[str, record.Recorded]) -> str:
    """Whether the bars are met: the best of the label-free scores against fixed numbers and the best of its rivals."""
    rivals = {
        "between": (("no_reference",), 0.15, 0.90),
        "corrected": (("no_reference",), 0.15, 0.90),
        "within": (("no_reference", "full_reference"), 0.10, None),
    }
    lines = ["| performance | number | best label free | its best rival | lead, bar | bar of the value |"]
    lines.append("|---|---|---|---|---|---|")
    for run in ("segmentation", "detection"):
        for number, (families, lead, least) in rivals.items():
            ours, theirs = (_best(runs[run], number, own) for own in (("label_free",), families))
            cells = [RUNS[run][1], number, "-", "-", "-", ""]
            if ours is not None and theirs is not None:
                cells[2:4] = (f"`{name}` {format.estimate(one, format.TWO_DIGITS, other)}"
                              for name, one, other in (ours, theirs))  # fmt: skip
                ahead = ours[1].value - theirs[1].value
                cells[4] = f"{ahead:+.2f}, {lead:.2f}: {'met' if ahead >= lead else 'not met'}"
                if least is not None:
                    cells[5] = f"{least:.2f}: {'met' if ours[1].value >= least else 'not met'}"
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _best(run: record.Recorded, number: str, families: Sequence[str]) -> tuple[str, Estimate, Estimate] | None:
    """The score of some families whose number is largest, with both intervals; None where none has the number."""
    found = [(name, *one.number(number)) for name, one in run.summary.metrics.items() if one.family in families]
    found = [one for one in found if np.isfinite(one[1].value)]
    return max(found, key=lambda one: one[1].value) if found else None


def fill(page: pathlib.Path, folder: pathlib.Path, sets: str, own: str) -> None:
    """Puts the tables of the runs into the page."""
    runs = {run: record.read(folder / run) for run in RUNS}
    text = record.fill(page.read_text("utf-8"), runs)
    for name, content in (("sets", sets), ("ceilings", own), ("miqd", pooled_rows(runs)), ("bars", bars(runs))):
        start, end = f"<!-- {name} -->\n", f"<!-- {name} end -->"
        first, last = text.index(start) + len(start), text.index(end)
        text = f"{text[:first]}{content}\n{text[last:]}"
    _files.write_text(page, text)


def main(_: Sequence[str]) -> None:
    """Photographs -> predictions -> performances -> quality -> reports and page."""
    folder = pathlib.Path(_OUTPUT_DIR.value)
    source = photographs()
    chosen = order(source)[: _NUM_IMAGES.value]
    masked = [source.id(i) for i in chosen if mask_of(source.id(i)) is not None]
    conditions = [condition.name for condition in study_config("-").conditions]
    if _ONLY.value != "quality":
        predict(folder / "predictions", source, chosen, set(masked[: _NUM_MASKS.value]))
    if _ONLY.value == "predictions":
        return
    study, scores = quality(folder, [source.id(i) for i in chosen], conditions)
    if _ONLY.value == "quality":
        return
    rows = list(performances(folder / "predictions", source, chosen))
    paths = write_tables(folder, rows, conditions)
    report(folder, paths, study.config, [scorer.column for scorer in study.scorers], scores, study.details)
    own = ceilings(folder / "predictions", rows, conditions.index("clean/0"))
    fill(pathlib.Path(_PAGE.value), folder, set_table(set_numbers(rows, len(conditions)), rows, conditions), own)


if __name__ == "__main__":
    app.run(main)
