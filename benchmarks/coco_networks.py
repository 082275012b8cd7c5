"""Two networks of other tasks as a user would wrap them: DeepLabV3 (TFLite), FastestDet (ONNX); from the shared folder.

  causal-iqa align --dataset=masks:DIR/images --annotations=DIR/masks --classes=masks.csv \\
    --network=deeplab=benchmarks.coco_networks:deeplab
"""

import numpy as np

from causal_iqa import backbones
from tests import shared

DEEPLAB_SIDE, DETECTOR_SIDE = 513, 352
VOC_CLASSES, COCO_CLASSES = 21, 80
# Boxes below this score are not predicted at all, and of boxes that overlap more the surest stays.
_LEAST_SCORE, _OVERLAP = 0.02, 0.45


def _whole(side: int) -> backbones.Preprocessing:
    return backbones.Preprocessing(side, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=side, fixed_size=True)


def deeplab() -> backbones.Network:
    """DeepLabV3 on MobileNet V2, quantised: masks of the 21 classes of PASCAL VOC."""
    seen = _whole(DEEPLAB_SIDE)
    model = backbones.tflite_runner(shared.ROOT / "weights" / "coco" / "deeplabv3_mnv2_pascal_quant.tflite", seen)
    return backbones.task_network(
        "deeplab",
        lambda images: model.run(images)[0].astype(np.int32),
        seen,
        performance="mean_iou",
        num_classes=VOC_CLASSES,
        weights=model.weights,
    )


def fastestdet(performance: str = "average_precision") -> backbones.Network:
    """FastestDet: boxes of the 80 classes of COCO."""
    seen = _whole(DETECTOR_SIDE)
    model = backbones.onnx_runner(shared.ROOT / "weights" / "coco" / "FastestDet.onnx", seen, channels="BGR")
    return backbones.task_network(
        "fastestdet",
        lambda images: backbones.padded_detections([decode(one) for one in model.run(images)[0]]),
        seen,
        performance=performance,
        num_classes=COCO_CLASSES,
        weights=model.weights,
    )


def decode(output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes of one output [85, h, w] of FastestDet: objectness, offsets, sizes and class scores of every cell.

    Args:
      output: the network's output for one image.

    Returns:
      Boxes [n, 4] as fractions of the sides, scores [n], classes int [n], after suppression within each class.
    """
    output = np.asarray(output, np.float32)
    height, width = output.shape[1:]
    classes = output[5:].argmax(axis=0)
    scores = np.clip(output[0], 0, 1) ** 0.6 * np.clip(output[5:].max(axis=0), 0, 1) ** 0.4
    row, column = np.nonzero(scores >= _LEAST_SCORE)
    offset = np.tanh(output[1:3, row, column])
    size = 1 / (1 + np.exp(-output[3:5, row, column]))
    centre = np.stack([(column + offset[0]) / width, (row + offset[1]) / height])
    boxes = np.concatenate([centre - size / 2, centre + size / 2]).T.clip(0, 1)
    return suppressed(boxes, scores[row, column], classes[row, column])


def suppressed(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Non-maximum suppression: of boxes of one class that overlap, the surest stays.

    Args:
      boxes: [n, 4].
      scores: [n].
      classes: int [n].

    Returns:
      The boxes, scores and classes that stay, from the surest on.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1)
    overlap = common / np.maximum(area[:, None] + area[None] - common, 1e-12)
    rivals = (overlap > _OVERLAP) & (classes[:, None] == classes[None])
    kept: list[int] = []
    for place in range(len(boxes)):
        if not rivals[place, kept].any():
            kept.append(place)
    return boxes[kept], scores[kept], classes[kept]
