"""Makes task_performance.json: what torchmetrics and pycocotools give on drawn masks and boxes.

Run with torchmetrics 1.9.0, torch 2.13.0 and pycocotools 2.0.11: python -m tests.golden.task_performance
"""

import contextlib
import io
import json
import pathlib
import sys

import numpy as np

CLASSES, SIDE, IMAGES, SLOTS = 5, 24, 6, 12


def drawn_masks(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths int [IMAGES, SIDE, SIDE]; not every class is in every image."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.integers(0, 2 + i % 4, (SIDE, SIDE)) for i in range(IMAGES)])
    other = rng.integers(0, CLASSES, truth.shape)
    return np.where(rng.random(truth.shape) < 0.7, truth, other), truth


def drawn_boxes(seed: int = 1) -> list[dict[str, np.ndarray]]:
    """Objects of every image and predictions near and far from them."""
    rng = np.random.default_rng((seed, 2))
    found = []
    for image in range(IMAGES):
        count = 0 if image == 3 else int(rng.integers(3, 9))
        low = rng.uniform(0, 0.6, (count, 2))
        truth = np.concatenate([low, low + rng.uniform(0.1, 0.4, (count, 2))], axis=1).astype(np.float32)
        classes = rng.integers(0, CLASSES, count).astype(np.int32)
        near = truth[rng.permutation(count)[: max(0, count - 1)]] if count else truth
        own = np.array([classes[np.flatnonzero((truth == box).all(axis=1))[0]] for box in near], np.int32)
        boxes = np.concatenate([near + rng.normal(0, 0.02, near.shape), rng.uniform(0, 0.5, (4, 4))]).astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 0.02)
        labels = np.concatenate([own, rng.integers(0, CLASSES, 4)]).astype(np.int32)
        scores = rng.uniform(0.05, 1, len(boxes)).astype(np.float32)
        found.append({"truth": truth, "classes": classes, "boxes": boxes, "labels": labels, "scores": scores})
    return found


def padded(one: dict[str, np.ndarray], slots: int = 16) -> tuple[np.ndarray, ...]:
    """Boxes, scores and classes predicted, boxes and classes there: each in so many slots, class -1 where empty."""

    def pad(values: np.ndarray, fill: float) -> np.ndarray:
        out = np.full((slots, *values.shape[1:]), fill, values.dtype)
        out[: len(values)] = values
        return out

    fills = {"boxes": 0, "scores": 0, "labels": -1, "truth": 0, "classes": -1}
    return tuple(pad(one[name], fill) for name, fill in fills.items())


def coco_precision(images: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Average precision at an overlap of .5 of every class over images by pycocotools; NaN without an object."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths, predictions = [], []
    for image, one in enumerate(images, 1):
        for box, label in zip(one["truth"].astype(float), one["classes"], strict=True):
            size = box[2:] - box[:2]
            truths.append(
                {
                    "id": len(truths) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [*box[:2], *size],
                    "area": float(size.prod()),
                    "iscrowd": 0,
                }
            )
        for box, label, score in zip(one["boxes"].astype(float), one["labels"], one["scores"], strict=True):
            size = box[2:] - box[:2]
            predictions.append(
                {
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [*box[:2], *size],
                    "score": float(score),
                    "id": len(predictions) + 1,
                    "area": float(size.prod()),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(len(images))],
            "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
            "annotations": truths,
            "info": {},
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(predictions), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        # Boxes are in units of the image here: no range of areas in pixels.
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]
    return np.where(precision[0] >= 0, precision.mean(axis=0), np.nan)


def golden(seed: int = 1) -> dict[str, list[float | None]]:
    """Everything that the file holds."""
    import torch
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index
    from torchmetrics.functional.segmentation import dice_score, mean_iou

    prediction, truth = map(torch.as_tensor, drawn_masks(seed))

    def present(values: torch.Tensor) -> float:
        return float(values[torch.as_tensor(np.isfinite(values.numpy()) & (values.numpy() >= 0))].mean())

    per_class = mean_iou(prediction, truth, num_classes=CLASSES, per_class=True, input_format="index")
    there = torch.stack(
        [
            torch.stack([((p == k) | (t == k)).any() for k in range(CLASSES)])
            for p, t in zip(prediction, truth, strict=True)
        ]
    )
    dices = dice_score(
        prediction, truth, num_classes=CLASSES, average="none", input_format="index", aggregation_level="samplewise"
    )
    images = drawn_boxes(seed)
    alone = [coco_precision([one]) for one in images]
    found = {
        "pixel_accuracy": [
            float(multiclass_accuracy(p.flatten(), t.flatten(), CLASSES, average="micro"))
            for p, t in zip(prediction, truth, strict=True)
        ],
        "mean_iou": [present(torch.where(own, row, torch.nan)) for row, own in zip(per_class, there, strict=True)],
        "dice": [present(torch.where(own, row, torch.nan)) for row, own in zip(dices, there, strict=True)],
        "set_mean_iou": [
            float(multiclass_jaccard_index(prediction.flatten(), truth.flatten(), CLASSES, average="macro"))
        ],
        "average_precision": [float(np.nanmean(one)) if np.isfinite(one).any() else None for one in alone],
        "set_average_precision": coco_precision(images).tolist(),
    }
    return found


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden(), indent=1) + "\n")
    sys.stdout.write(f"{path}\n")
